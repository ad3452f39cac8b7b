"""Verifies a whole log: each partition walked, judged, and compared with its checkpoint and with the console's rows."""

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hookline.audit.findings import Finding, Invariant
from hookline.audit.history import Facts, PartitionHistory
from hookline.audit.judge import PartitionJudge
from hookline.audit.judge_checkpoint import open_checkpoint
from hookline.audit.pipelines import PipelineHistory
from hookline.audit.pushes import PushJudge, PushReader, payload_hash
from hookline.audit.source import PartitionSource, Source
from hookline.audit.walk import Stop, Walk
from hookline.chain.events import Payload
from hookline.chain.state import Chain
from hookline.errors import HooklineError, OffsetOutOfRange
from hookline.log.reader import Read
from hookline.log.records import Topic

if TYPE_CHECKING:
    from hookline.audit.console import ConsoleRows  # needs SQLAlchemy

__all__ = ["Figures", "verify"]


@dataclass
class Figures:
    """What was judged. Counters by word: `events` by type, `ended` by reason (`completed` too), `passed` as PartitionJudge counts."""

    records: int = 0
    findings: int = 0
    started: int = 0
    open: int = 0
    checkpoints: int = 0
    rows: int = 0
    """Chains compared with the console's."""
    events: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    passed: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Figures") -> None:
        """Of other partitions."""
        for name, value in vars(other).items():
            mine = getattr(self, name)
            setattr(self, name, mine + value)

    def as_fields(self) -> dict[str, int | dict[str, int]]:
        """A JSON object."""
        return {name: dict(value) if isinstance(value, Counter) else value for name, value in vars(self).items()}


async def verify(
    source: Source,
    tell: Callable[[Finding], None],
    *,
    console: "ConsoleRows | None" = None,
    settled: bool = False,
    only: Collection[int] | None = None,
    pushes: PushReader | None = None,
    progress: Callable[[int], None] = lambda records: None,
) -> Figures:
    """Tells each finding as it is found. settled: nothing is under way any more, so a chain that is due is stuck (I8).

    only: these partitions. pushes: reads raw bodies again; null: pushes were made up, and are not compared with what they
    were made of. progress: told how many records were just judged.
    Raises LogUnavailable, BundleBroken, Unavailable (the console's database).
    """
    figures = Figures()
    pipelines = PipelineHistory(source.pipelines)
    if console is not None:
        console.check(source.origin.log_id)

    def found(finding: Finding) -> None:
        figures.findings += 1
        tell(finding)

    if only is None or 0 in only:  # once, however many share the partitions
        for fault in pipelines.faults:
            found(fault)
    async for partition in source.partitions(only):
        judge = None if pushes is None else PushJudge(pipelines, source.origin.log_id, pushes, figures.passed)
        try:
            await _Verification(source, partition, found, figures, console, judge).run(settled, progress)
        except OffsetOutOfRange as error:  # that log's only: all others are judged
            found(_lost(error))
    return figures


class _Verification:
    """One partition's."""

    def __init__(
        self,
        source: Source,
        partition: PartitionSource,
        tell: Callable[[Finding], None],
        figures: Figures,
        console: "ConsoleRows | None",
        pushes: PushJudge | None,
    ) -> None:
        self._pushes = pushes
        self._origin = source.origin
        self._partition = partition
        self._tell = tell
        self._figures = figures
        self._rows = console.of_partition(partition.number, partition.extent, tell) if console else None

    async def run(self, settled: bool, progress: Callable[[int], None]) -> None:
        number, extent, figures = self._partition.number, self._partition.extent, self._figures
        checkpoint = await open_checkpoint(self._partition, self._origin.log_id, self._tell)
        history = PartitionHistory(
            extent.starts,
            keep_payload=checkpoint is not None,
            forget=self._leave,
            hash_payload=_no_hash if self._pushes is None else payload_hash,
        )
        walk = Walk(self._partition, taken_at=self._origin.taken_at, mark=checkpoint.positions if checkpoint else None)
        judge = PartitionJudge(
            number, self._origin.partitions, history, extent.starts, extent.ends, self._tell, self._origin.taken_at,
            walk.skipped, self._pushes,
        )  # fmt: skip
        async for reads in walk.reads():
            for read in reads:
                if checkpoint is not None:
                    checkpoint.before(read.record, history)
                self._contain(judge.take, read)
                self._contain(history.take, read)
            figures.events.update(type(read.record.event).__name__ for read in reads)
            figures.records += len(reads)
            progress(len(reads))
        if walk.stopped is None:
            judge.finish(walk.ends, self._origin.taken_at if settled else None)
            if checkpoint is not None:
                checkpoint.finish(history)
                figures.checkpoints += 1
        else:
            self._tell(_stop(number, walk.stopped, walk.left))
        figures.passed += judge.counts
        history.finish()
        if self._rows is not None and walk.stopped is None:
            self._rows.finish()
            figures.rows += self._rows.compared

    def _contain(self, take: Callable[[Read], object], read: Read) -> None:
        """A record that nothing here was ready for is a finding, and the others are judged all the same."""
        try:
            take(read)
        except HooklineError:
            raise
        except Exception as error:  # noqa: BLE001 - whoever may write to Kafka must not end an audit by what he writes
            record = read.record
            said = f"it cannot be judged ({type(error).__name__}): no part of Hookline writes such a record"
            self._tell(
                Finding(
                    Invariant.I13, record.topic, record.partition, record.offset, type(record.event).__name__, "", said
                )
            )

    def _leave(self, chain: Chain, facts: Facts) -> None:
        """A chain leaves memory: it is counted, and compared with the console's row."""
        self._figures.started += 1
        if chain.ending is None:
            self._figures.open += 1
        else:
            self._figures.ended[chain.ending.reason or "completed"] += 1
        if self._rows is not None:
            self._rows.compare(chain, facts)


def _no_hash(payload: Payload) -> bytes:
    return b""


def _lost(error: OffsetOutOfRange) -> Finding:
    said = f"the partition is not judged further: {error.reason}, while it was read"
    return Finding(Invariant.I8, Topic(error.topic), error.partition, error.offset, "", "", said)


def _stop(number: int, stop: Stop, left: int) -> Finding:
    said = f"every reader stops here: {stop.said}; {left} records of the partition are not judged"
    return Finding(Invariant.I8, stop.topic, number, stop.offset, "", "", said)
