"""A source over lists of records, so that a test may change any of them; and the verdict on one."""

from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import UUID

from hookline.audit.bundle_file import BundleSource
from hookline.audit.findings import Finding
from hookline.audit.pushes import PushReader
from hookline.audit.source import Extent, Origin, PartitionSource, Span
from hookline.audit.verify import Figures, verify
from hookline.chain.events import Event
from hookline.log.cluster import Commit
from hookline.log.codec import encode
from hookline.log.records import LOGS, Place, RawRecord, Topic
from hookline.log.snapshots import DISPATCHER_GROUP
from hookline.testing.memory import MemoryCluster
from tests.unit.chain.logs import Logs

TAKEN_AT = 1_800_000_000_000


@dataclass
class Records:
    """All records of a log, by place; what was committed; where each log begins, if not with its first record."""

    places: dict[Place, list[RawRecord]]
    partitions: int
    commits: dict[Place, Commit] = field(default_factory=dict)
    log_id: UUID | None = None
    pipelines: list[RawRecord] = field(default_factory=list)
    ends: dict[Place, int] = field(default_factory=dict)
    """Where a log's end is not behind its last record."""
    now: int = TAKEN_AT
    """When records are appended, Unix ms."""

    def source(self, chunk: int = 7) -> "ListSource":
        return ListSource(self, chunk)

    def of(self, topic: Topic, partition: int = 0) -> list[RawRecord]:
        return self.places.setdefault(Place(topic, partition), [])

    def copy(self) -> "Records":
        return replace(
            self, places={place: list(records) for place, records in self.places.items()},
            commits=dict(self.commits), ends=dict(self.ends), pipelines=list(self.pipelines),
        )  # fmt: skip

    def append(self, event: Event, fence: int | None = None, partition: int = 0) -> int:
        draft = encode(event, partition, now_ms=self.now, fence=fence)
        records = self.of(draft.place.topic, partition)
        offset = records[-1].offset + 1 if records else 0
        records.append(RawRecord(draft.place, offset, self.now, draft.key, draft.value, draft.headers))
        return offset


def of_logs(logs: Logs) -> Records:
    """A history's partition, as the only one of its log: then every push lies where it belongs."""
    return Records(
        {
            Place(topic, 0): [replace(raw, place=Place(topic, 0)) for raw in logs.records[topic]]
            for topic in LOGS
        },
        1,
    )  # fmt: skip


def of_cluster(cluster: MemoryCluster, partitions: int, log_id: UUID | None = None) -> Records:
    places = [Place(topic, p) for topic in (*LOGS, Topic.SNAPSHOTS) for p in range(partitions)]
    commits = dict(cluster.membership(DISPATCHER_GROUP).commits)
    return Records({place: cluster.log(place) for place in places}, partitions, commits, log_id)


async def of_bundle(path: Path) -> Records:
    with BundleSource(path) as source:
        origin = source.origin
        records = Records({}, origin.partitions, log_id=origin.log_id, pipelines=list(source.pipelines))
        for number, extent in enumerate(origin.extents):
            records.commits |= {Place(topic, number): commit for topic, commit in extent.commits.items()}
        async for partition in source.partitions():
            for topic in (*LOGS, Topic.SNAPSHOTS):
                while more := await partition.more(topic):
                    records.of(topic, partition.number).extend(more)
        return records


class ListSource:
    """`hookline.audit.source.Source`. chunk: most records delivered at once."""

    def __init__(self, records: Records, chunk: int) -> None:
        self._records = records
        self._chunk = chunk
        extents = tuple(self._extent(p) for p in range(records.partitions))
        self.origin = Origin(records.log_id, "hookline.", TAKEN_AT, extents)
        self.pipelines: Sequence[RawRecord] = records.pipelines

    async def partitions(self, only: Collection[int] | None = None) -> AsyncIterator[PartitionSource]:
        for number, extent in enumerate(self.origin.extents):
            if only is None or number in only:
                yield _ListPartition(self._records, number, extent, self._chunk)

    async def close(self) -> None: ...

    def _extent(self, p: int) -> Extent:
        commits = {place.topic: commit for place, commit in self._records.commits.items() if place.partition == p}
        return Extent(
            {topic: self._span(Place(topic, p)) for topic in LOGS}, self._span(Place(Topic.SNAPSHOTS, p)), commits
        )

    def _span(self, place: Place) -> Span:
        records = self._records.places.get(place, [])
        start, end = (records[0].offset, records[-1].offset + 1) if records else (0, 0)
        return Span(start, self._records.ends.get(place, end))


class _ListPartition:
    def __init__(self, records: Records, number: int, extent: Extent, chunk: int) -> None:
        self.number = number
        self.extent = extent
        self._records = records
        self._chunk = chunk
        self._at: dict[Topic, int] = {}

    async def more(self, topic: Topic) -> Sequence[RawRecord]:
        records, at = self._records.of(topic, self.number), self._at.get(topic, 0)
        if topic is Topic.SNAPSHOTS and not self.extent.commits:
            return []
        self._at[topic] = at + self._chunk
        return records[at : at + self._chunk]


async def judge(
    records: Records, *, chunk: int = 7, settled: bool = False, pushes: PushReader | None = None
) -> tuple[list[Finding], Figures]:
    findings: list[Finding] = []
    figures = await verify(records.source(chunk), findings.append, settled=settled, pushes=pushes)
    return findings, figures


def named(findings: Iterable[Finding]) -> set[str]:
    """The invariants that were found broken."""
    return {finding.invariant.value for finding in findings}
