"""One partition handed out for judging: by the one reader, each decision only once everything that it had read was handed out."""

from collections import deque
from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple, cast

from hookline.audit.order import in_step
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
        self._waiting: deque[Read] = deque()

    @property
    def fence(self) -> int | None:
        """The one in force behind what was handed out by the reader."""
        return self._reader.fence

    @property
    def left(self) -> int:
        """Records not handed out; what was cut by `until` counts."""
        held = sum(end - at for end, at in zip(self.ends, self._reader.positions, strict=True))
        return held + len(self._waiting)

    async def reads(self) -> AsyncIterator[list[Read]]:
        """Everything, in batches. Raises LogUnavailable, BundleBroken."""
        async for topic, records in in_step(self._source, self._until):
            self._reader.offer(topic, records)
            batch = list(self._hand_out())
            yield batch
            if self.stopped is None and self._reader.held(topic) > MOST_HELD:
                self._stop_at_held()
            if self.stopped is not None:
                return
        if self._until is None:
            self._stop_at_held()
        yield list(self._waiting)
        self._waiting.clear()

    def _hand_out(self) -> Iterator[Read]:
        try:
            for read in self._reader.read():
                if read.record.topic is Topic.DELIVERIES:
                    self._waiting.append(read)
                else:
                    yield read
        except Undecodable as error:
            self.stopped = Stop(Topic(error.topic), error.offset, error.reason)
        if self._reader.rewind is not None:
            at = self._reader.rewind
            self.stopped = Stop(Topic.DELIVERIES, at, "the first decision's token names this offset, which is no Fence")
        positions = self._reader.positions
        while self._waiting and (len(self._waiting) > MOST_WAITING or self._may_go(self._waiting[0], positions)):
            yield self._waiting.popleft()

    def _may_go(self, read: Read, positions: Positions) -> bool:
        decision = decision_of(read.record)
        if decision is not None and not _reached(positions, decision.read_to, self.ends):
            return False
        mark = self._mark
        return mark is None or read.record.offset < mark.deliveries or _reached(positions, mark, self.ends)

    def _stop_at_held(self) -> None:
        for topic in LOGS:
            if self.stopped is None and self._reader.held(topic):
                self.stopped = Stop(topic, self._reader.position(topic), "its cause is not in the log")


def decision_of(record: Record) -> Decision | None:
    """By its token, which all decisions have and nothing else (asking for its class takes ten times as long)."""
    return None if record.fence is None else cast(Decision, record.event)


def _reached(positions: Positions, wanted: Positions | ReadTo, ends: Positions) -> bool:
    """In `pushes`, `callbacks` and `commands`; what lies past an end is as good as reached: it is not there."""
    return (
        positions.callbacks >= min(wanted.callbacks, ends.callbacks)
        and positions.pushes >= min(wanted.pushes, ends.pushes)
        and positions.commands >= min(wanted.commands, ends.commands)
    )
