"""Which digest a tag had at the last push that started a pipeline: what `dedupe: digest` goes by.

It is read from `pushes`, all partitions, so that it is the same for every replica and after a restart: a push's plans, and
the pipelines that it was `same_digest` for, say all of it. Two pushes of one image lie in two partitions (their event ids
differ), so no fold of one partition could decide this; ingress does, before it appends, and the record says what was decided.

It errs towards starting a chain: a digest that was not read, or was forgotten, is another one.
"""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import NamedTuple
from weakref import WeakValueDictionary

from pydantic import BaseModel, ConfigDict, ValidationError

from hookline.chain.pipeline import Dedupe, Pipeline
from hookline.errors import LogUnavailable, Undecodable
from hookline.explain import explain
from hookline.log.cluster import Cluster, Consumer
from hookline.log.ends import SharedEnds
from hookline.log.losses import until_sure
from hookline.log.records import DamagedBatch, Place, RawRecord, Topic
from hookline.log.skips import find_skip
from services.ingress.delivery import Push
from services.ingress.repeats import Remembered

__all__ = ["DigestTail", "Digests", "Tag", "Turn", "goes_by_digest", "tag_of"]

CAPACITY = 50_000
"""Digests remembered, one for each pipeline and tag: some 30 MB when full."""
HORIZON = 2_000
"""Records of each partition that a replica begins with: what happened before is not known to it."""
POLL_S = 1.0
PUSH_RECEIVED = b"hookline.PushReceived.v1"


class _Plan(BaseModel):
    model_config = ConfigDict(extra="ignore")

    pipeline_id: str


class _Seen(BaseModel):
    """What matters here of a PushReceived: reading no more keeps a start short."""

    model_config = ConfigDict(extra="ignore")

    push_id: str
    received_at: int
    appended_at: int = 0
    """By its broker: Kafka's time of the record."""
    dedupe_window_s: int
    registry: str | None = None
    repository: str
    tag: str | None = None
    digest: str | None = None
    plans: tuple[_Plan, ...]
    same_digest: tuple[str, ...] = ()


class Tag(NamedTuple):
    """What can have one digest at a time."""

    registry: str | None
    repository: str
    tag: str | None


def tag_of(push: Push) -> Tag:
    return Tag(push.registry, push.repository, push.tag)


def goes_by_digest(pipelines: Iterable[Pipeline], push: Push) -> bool:
    """Must the digests be asked before that push is planned?"""
    return push.tag is not None and push.digest is not None and any(p.dedupe is Dedupe.DIGEST for p in pipelines)


class Digests:
    """One bounded LRU: pipeline and tag to the tag's digest at the last push for that pipeline."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._last: OrderedDict[tuple[str, Tag], str] = OrderedDict()
        self._remembered = Remembered()

    def see(self, push: _Seen) -> None:
        """Take a push of the log in. A repeat is none: it may come long after another digest."""
        if self._remembered.repeats(push.push_id, push.dedupe_window_s, push.appended_at):
            return
        if push.tag is None or push.digest is None:
            return
        tag = Tag(push.registry, push.repository, push.tag)
        for pipeline_id in (*(plan.pipeline_id for plan in push.plans), *push.same_digest):
            self._last.pop((pipeline_id, tag), None)
            self._last[pipeline_id, tag] = push.digest
            if len(self._last) > self._capacity:
                self._last.popitem(last=False)

    def last(self, pipeline: Pipeline, push: Push) -> str | None:
        """The digest of the push's tag at the last push for that pipeline; None where none is known."""
        return self._last.get((pipeline.pipeline_id, tag_of(push))) if push.tag is not None else None


class Turn:
    """Pushes of one delivery, decided one after the other: what the log knows of their tags, and what they add to it."""

    def __init__(self, digests: Digests) -> None:
        self._digests = digests
        self._added: dict[tuple[str, Tag], str] = {}

    def same(self, pipelines: Iterable[Pipeline], push: Push) -> tuple[str, ...]:
        """Ids of those of the push's pipelines that it does not start, since its tag had that digest; they know it from now on."""
        if push.digest is None:
            return ()
        found: list[str] = []
        tag = tag_of(push)
        for pipeline in pipelines:
            known = pipeline.pipeline_id, tag
            last = self._added.get(known) or self._digests.last(pipeline, push)
            if pipeline.dedupe is Dedupe.DIGEST and push.digest == last:
                found.append(pipeline.pipeline_id)
            self._added[known] = push.digest
        return tuple(found)


class DigestTail:
    """The digests, kept up to date from `pushes` from the moment that somebody first asks: most systems never do."""

    def __init__(self, cluster: Cluster, partitions: int, *, horizon: int = HORIZON) -> None:
        self.digests = Digests()
        self._cluster = cluster
        self._places = tuple(Place(Topic.PUSHES, partition) for partition in range(partitions))
        self._horizon = horizon
        self._wanted = asyncio.Event()
        self._positions: dict[Place, int] = {}
        self._ends: SharedEnds | None = None
        self._consumer: Consumer | None = None
        self._moved = asyncio.Condition()
        self._turns: WeakValueDictionary[Tag, asyncio.Lock] = WeakValueDictionary()

    async def run(self) -> None:
        """Read until it is cancelled. Raises Undecodable, and LogUnavailable when Kafka does not answer: then run it again.

        OffsetOutOfRange: what it knows came from records that are gone: `forget` it first.
        """
        await self._wanted.wait()
        async with contextlib.AsyncExitStack() as stack:
            offsets = await self._cluster.offsets()
            stack.push_async_callback(offsets.close)
            consumer = await self._cluster.consumer()
            stack.push_async_callback(consumer.close)
            starts, ends = await offsets.starts(self._places), await offsets.ends(self._places)
            known = self._positions
            positions = {p: max(starts[p], known.get(p, ends[p] - self._horizon)) for p in self._places}
            consumer.assign(positions)
            early: list[RawRecord] = []
            while any(positions[place] < ends[place] for place in self._places):
                early += _records(await consumer.poll(POLL_S), positions)
            self._ends, self._consumer = SharedEnds(offsets, self._places), consumer
            stack.callback(self._stopped)
            await self._take(early, positions)
            while True:
                await self._take(_records(await consumer.poll(POLL_S), positions), positions)

    def forget(self) -> None:
        """Everything: a log has lost what was read of it. The next `run` begins as the first did."""
        self.digests, self._positions = Digests(), {}

    @contextlib.asynccontextmanager
    async def turn(self, tags: Iterable[Tag]) -> AsyncIterator[Turn]:
        """A turn with the digests as they are in the log now; other pushes of these tags wait meanwhile. Raises LogUnavailable.

        The caller sets the timeout, one for the whole delivery.
        """
        async with contextlib.AsyncExitStack() as held:
            for tag in sorted(tags, key=repr):  # always in one order: two deliveries never wait for each other
                await held.enter_async_context(self._turns.setdefault(tag, asyncio.Lock()))
            await self._caught_up()
            yield Turn(self.digests)

    async def _caught_up(self) -> None:
        self._wanted.set()
        async with self._moved:
            await self._moved.wait_for(lambda: self._ends is not None)
        assert self._ends is not None, "waited for"
        before, ends = dict(self._positions), await self._ends.now()
        if any(before[place] > end for place, end in ends.items()):
            raise LogUnavailable("a log of pushes ends before what was already read")
        await until_sure(lambda: self._consumer is not None and any(map(self._consumer.in_doubt, ends)))
        async with self._moved:
            await self._moved.wait_for(lambda: all(self._positions.get(place, 0) >= end for place, end in ends.items()))

    async def _take(self, records: Sequence[RawRecord], positions: Mapping[Place, int]) -> None:
        """In the order of their times: what came together is of several partitions."""
        for push in sorted(await self._readable(records), key=lambda push: push.received_at):
            self.digests.see(push)
        self._positions = dict(positions)
        async with self._moved:
            self._moved.notify_all()

    async def _readable(self, records: Sequence[RawRecord]) -> list[_Seen]:
        """All but those that an operator skipped. Raises Undecodable, LogUnavailable."""
        found = []
        for raw in records:
            try:
                found.append(_seen(raw))
            except Undecodable as stopped:
                if await find_skip(self._cluster, stopped) is None:
                    raise
        return found

    def _stopped(self) -> None:
        self._ends = self._consumer = None


def _records(batch: Mapping[Place, Sequence[RawRecord]], positions: dict[Place, int]) -> list[RawRecord]:
    """All of a poll; `positions` move behind them."""
    for place, records in batch.items():
        positions[place] = records[-1].next_offset
    return [record for records in batch.values() for record in records]


def _seen(raw: RawRecord) -> _Seen:
    """Raises Undecodable."""
    if isinstance(raw, DamagedBatch):
        raise Undecodable(raw.place.topic, raw.place.partition, raw.offset, raw.said)
    try:
        if raw.headers.get("ce_type") != PUSH_RECEIVED:
            raise ValueError("not a PushReceived of a known version")
        return _Seen.model_validate_json(raw.value or b"").model_copy(update={"appended_at": raw.timestamp})
    except ValidationError as error:
        raise Undecodable(raw.place.topic, raw.place.partition, raw.offset, explain(error)) from None
    except ValueError as error:
        raise Undecodable(raw.place.topic, raw.place.partition, raw.offset, str(error)) from None
