"""Reads an audit's records from a cluster: a consumer without a group, nothing produced, nothing committed (I12)."""

from collections import deque
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence

from hookline.audit.source import Extent, Origin, PartitionSource, Span
from hookline.chain.pipeline import LOG_ID_KEY, LogId
from hookline.clock import Clock
from hookline.errors import LogUnavailable, TopicsUnfit
from hookline.log.cluster import Cluster, Commit, Consumer, Offsets
from hookline.log.codec import decode_setting
from hookline.log.records import LOGS, PIPELINES, Place, RawRecord, Topic
from hookline.log.snapshots import DISPATCHER_GROUP, named_by

__all__ = ["ClusterSource", "open_cluster"]

POLL_S = 1.0
READ_S = 30.0
"""Seconds without a record that must be there after which reading is given up."""
CHUNK = 100
"""Most records delivered at once: how far one log may be read ahead of the others."""
HELD = 4_000
"""Records of one log fetched and not asked for, above which its fetching is paused."""


async def open_cluster(cluster: Cluster, prefix: str, clock: Clock) -> "ClusterSource":
    """Take the ends: what is written later is not read. Raises LogUnavailable, TopicsUnfit, Undecodable."""
    count = await cluster.partitions(Topic.PUSHES)
    offsets = await cluster.offsets()
    try:
        taken_at = clock.now_ms()
        extents = await _extents(offsets, count)
        span = Span((await offsets.starts([PIPELINES]))[PIPELINES], (await offsets.ends([PIPELINES]))[PIPELINES])
    finally:
        await offsets.close()
    consumer = await cluster.consumer()
    try:
        pipelines = await _read_all(consumer, PIPELINES, span)
        found = _log_id(pipelines)
        if found is not None and found.partitions not in (None, count):
            raise TopicsUnfit(
                f"the topics have {count} partitions, and this log was made with {found.partitions}, which cannot change: read it as it"
                " was, restored from a backup, or from a bundle of `hookline audit export`"
            )
        return ClusterSource(
            consumer, Origin(None if found is None else found.log_id, prefix, taken_at, extents), pipelines
        )
    except BaseException:
        await consumer.close()
        raise


class ClusterSource:
    """`hookline.audit.source.Source` over a consumer."""

    def __init__(self, consumer: Consumer, origin: Origin, pipelines: Sequence[RawRecord]) -> None:
        self.origin = origin
        self.pipelines = pipelines
        self._consumer = consumer

    async def partitions(self, only: Collection[int] | None = None) -> AsyncIterator[PartitionSource]:
        for number, extent in enumerate(self.origin.extents):
            if only is None or number in only:
                yield _Partition(self._consumer, number, extent)

    async def close(self) -> None:
        await self._consumer.close()


class _Partition:
    """`hookline.audit.source.PartitionSource`: fetches what is asked for, and pauses what runs ahead of it."""

    def __init__(self, consumer: Consumer, number: int, extent: Extent) -> None:
        self.number = number
        self.extent = extent
        self._consumer = consumer
        self._fetched: dict[Topic, deque[RawRecord]] = {t: deque() for t in (*LOGS, Topic.SNAPSHOTS)}
        self._next = {topic: extent.span(topic).start for topic in self._fetched}
        """Next offset to come from the consumer."""
        self._paused: set[Topic] = set()
        consumer.assign({Place(t, number): at for t, at in self._next.items() if self._has_more(t)})

    @property
    def held(self) -> int:
        """Records of one topic that were fetched and not asked for yet: of the one that has most."""
        return max(map(len, self._fetched.values()))

    async def more(self, topic: Topic) -> Sequence[RawRecord]:
        """Raises LogUnavailable."""
        fetched, idle_s = self._fetched[topic], 0.0
        while not fetched and self._has_more(topic):
            self._pause_and_resume(topic)
            idle_s = 0.0 if await self._fetch() else idle_s + POLL_S
            if idle_s >= READ_S:
                at, end = self._next[topic], self.extent.span(topic).end
                raise LogUnavailable(
                    f"{topic}[{self.number}] gave nothing to read from {at} to {end} (deleted while it was read?)"
                )
        return [fetched.popleft() for _ in range(min(CHUNK, len(fetched)))]

    def _has_more(self, topic: Topic) -> bool:
        return self._next[topic] < self.extent.span(topic).end

    async def _fetch(self) -> bool:
        got = await self._consumer.poll(POLL_S)
        for place, records in got.items():
            self._next[place.topic] = records[-1].next_offset
            end = self.extent.span(place.topic).end
            self._fetched[place.topic].extend(records if self._next[place.topic] <= end else _below(end, records))
        return bool(got)

    def _pause_and_resume(self, wanted: Topic) -> None:
        for topic, fetched in self._fetched.items():
            full = topic is not wanted and (len(fetched) > HELD or not self._has_more(topic))
            if full and topic not in self._paused:
                self._paused.add(topic)
                self._consumer.pause(Place(topic, self.number))
            elif not full and topic in self._paused:
                self._paused.discard(topic)
                self._consumer.resume(Place(topic, self.number))


async def _extents(offsets: Offsets, partitions: int) -> tuple[Extent, ...]:
    numbers = range(partitions)
    places = {topic: [Place(topic, p) for p in numbers] for topic in (*LOGS, Topic.SNAPSHOTS)}
    commits = await offsets.committed(DISPATCHER_GROUP, [place for topic in LOGS for place in places[topic]])
    starts: dict[Place, int] = {}
    ends: dict[Place, int] = {}
    # In this order: whatever a record below one of these ends rests on lies below the ends that are taken after it.
    for topic in (Topic.SNAPSHOTS, Topic.DELIVERIES, Topic.CALLBACKS, Topic.COMMANDS, Topic.PUSHES):
        starts |= await offsets.starts(places[topic])
        ends |= await offsets.ends(places[topic])

    def extent(p: int) -> Extent:
        spans = {topic: Span(starts[Place(topic, p)], ends[Place(topic, p)]) for topic in places}
        snapshots = spans.pop(Topic.SNAPSHOTS)
        of_partition = {topic: commits[place] for topic in LOGS if (place := Place(topic, p)) in commits}
        return Extent(spans, _named(of_partition, snapshots), of_partition)

    return tuple(map(extent, numbers))


def _named(commits: Mapping[Topic, Commit], snapshots: Span) -> Span:
    """What of `snapshots` is read: from the offset that the commit names on, where that is still there."""
    if Topic.PUSHES not in commits:
        return Span(0, 0)
    try:
        first = named_by(commits[Topic.PUSHES]).snapshot
    except ValueError:
        return Span(0, 0)  # the judge of checkpoints says what is wrong with it
    return Span(max(first, snapshots.start), max(first, snapshots.start, snapshots.end))


async def _read_all(consumer: Consumer, place: Place, span: Span) -> list[RawRecord]:
    """Raises LogUnavailable."""
    if not len(span):
        return []
    consumer.assign({place: span.start})
    records: list[RawRecord] = []
    while not records or records[-1].next_offset < span.end:
        got = (await consumer.poll(READ_S)).get(place, ())
        if not got:
            raise LogUnavailable(f"{place.topic} gave nothing to read up to {span.end}")
        records += got
    return _below(span.end, records)


def _below(end: int, records: Iterable[RawRecord]) -> list[RawRecord]:
    return [record for record in records if record.offset < end]


def _log_id(pipelines: Iterable[RawRecord]) -> LogId | None:
    """The last one written. Raises Undecodable."""
    ids = [decode_setting(raw, LogId) for raw in pipelines if raw.key == LOG_ID_KEY]
    return ids[-1] if ids else None
