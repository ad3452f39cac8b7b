"""One partition in the order in which its dispatchers saw it: before each decision comes what it had read, and no more."""

from collections import deque
from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple, cast

from hookline.audit.order import CAUSES_FIRST, in_step
from hookline.audit.source import PartitionSource
from hookline.chain.events import Decision, ReadTo
from hookline.errors import Undecodable
from hookline.log.codec import Record
from hookline.log.reader import PartitionReader, Read
from hookline.log.records import LOGS, Positions, Topic

__all__ = ["Stop", "Walk", "decision_of"]

MOST_WAITING = 20_000
"""Decisions that may wait for what they had read: later ones had read at least as far, so more is a read_to made up."""
MOST_HELD = 50_000
"""Records of one log that may wait for their causes."""


class Stop(NamedTuple):
    """The record that no reader gets past, and why."""

    topic: Topic
    offset: int
    said: str


class Walk:
    """Partition by partition, an audit reads through this.

    mark: positions of a checkpoint; before a decision at or above its `deliveries` the others are handed out up to it.
    until: each log is cut before its first record stamped later (Unix ms).
    """

    def __init__(self, source: PartitionSource, *, until: int | None = None, mark: Positions | None = None) -> None:
        extent = source.extent
        self.ends = extent.ends
        self.stopped: Stop | None = None
        """Set where reading stopped before the end: a record that cannot be decoded, or that waits for ever."""
        self._source, self._until, self._mark = source, until, mark
        # Where the log no longer begins at 0, the Fence in force at its first offset may be gone.
        fence = -1 if extent.starts.deliveries == 0 else None
        self._reader = PartitionReader(source.number, extent.starts, fence, extent.starts.deliveries)
        self._read: dict[Topic, deque[Read]] = {topic: deque() for topic in LOGS}
        """Handed out by the reader, and not yet by us."""

    @property
    def left(self) -> int:
        """Records not handed out; what was cut by `until` counts."""
        unread = sum(end - at for end, at in zip(self.ends, self._reader.positions, strict=True))
        return unread + sum(map(len, self._read.values()))

    async def reads(self) -> AsyncIterator[list[Read]]:
        """Everything, in batches. Raises LogUnavailable, BundleBroken."""
        at_end = False
        async for topic, records in in_step(self._source, self._until):
            self._reader.offer(topic, records)
            at_end |= topic is Topic.DELIVERIES and not records
            batch = list(self._hand_out())
            if at_end:
                for cause in CAUSES_FIRST:
                    batch += self._all(cause)
            yield batch
            if self.stopped is None and self._reader.held(topic) > MOST_HELD:
                self._stop_at_held()
            if self.stopped is not None:
                return
        if self._until is None:
            self._stop_at_held()
        if self.stopped is None:
            # Decisions that wait for what lies behind a cut, or is not there, wait for nothing any more.
            yield list(self._all(Topic.DELIVERIES))

    def _hand_out(self) -> Iterator[Read]:
        self._take()
        decisions, positions = self._read[Topic.DELIVERIES], self._reader.positions
        while decisions and (len(decisions) > MOST_WAITING or self._may_go(decisions[0], positions)):
            decision = decision_of(decisions[0].record)
            if decision is not None:
                yield from self._below(decision.read_to)
                # Which is below that, unless it is wrong; no reader hands out a record before its cause.
                yield from self._up_to(*_cause(decision))
            if self._mark is not None and decisions[0].record.offset >= self._mark.deliveries:
                yield from self._below(self._mark)
            yield decisions.popleft()

    def _take(self) -> None:
        """All that the reader hands out."""
        try:
            for read in self._reader.read():
                self._read[read.record.topic].append(read)
        except Undecodable as error:
            self.stopped = Stop(Topic(error.topic), error.offset, error.reason)
        if self._reader.rewind is not None:
            at = self._reader.rewind
            self.stopped = Stop(Topic.DELIVERIES, at, "the first decision's token names this offset, which is no Fence")

    def _may_go(self, read: Read, positions: Positions) -> bool:
        decision, mark = decision_of(read.record), self._mark
        if decision is not None and not _reached(positions, decision.read_to, self.ends):
            return False
        return mark is None or read.record.offset < mark.deliveries or _reached(positions, mark, self.ends)

    def _below(self, read_to: ReadTo | Positions) -> Iterator[Read]:
        """Of the other logs, causes first."""
        for topic, end in (
            (Topic.PUSHES, read_to.pushes),
            (Topic.COMMANDS, read_to.commands),
            (Topic.CALLBACKS, read_to.callbacks),
        ):
            yield from self._up_to(topic, end - 1)

    def _up_to(self, topic: Topic, last: int) -> Iterator[Read]:
        reads = self._read[topic]
        while reads and reads[0].record.offset <= last:
            yield reads.popleft()

    def _all(self, topic: Topic) -> Iterator[Read]:
        while reads := self._read[topic]:
            yield reads.popleft()

    def _stop_at_held(self) -> None:
        for topic in LOGS:
            if self.stopped is None and self._reader.held(topic):
                self.stopped = Stop(topic, self._reader.position(topic), "its cause is not in the log")


def decision_of(record: Record) -> Decision | None:
    """By its token, which all decisions have and nothing else (asking for its class takes ten times as long)."""
    return None if record.fence is None else cast(Decision, record.event)


def _cause(decision: Decision) -> tuple[Topic, int]:
    """As `hookline.log.reader.cause_of` has it."""
    return Topic.PUSHES if decision.chain_id.endswith("-0") else Topic.COMMANDS, decision.cause


def _reached(positions: Positions, wanted: Positions | ReadTo, ends: Positions) -> bool:
    """In `pushes`, `callbacks` and `commands`; what lies past an end is as good as reached: it is not there."""
    return (
        positions.callbacks >= min(wanted.callbacks, ends.callbacks)
        and positions.pushes >= min(wanted.pushes, ends.pushes)
        and positions.commands >= min(wanted.commands, ends.commands)
    )
