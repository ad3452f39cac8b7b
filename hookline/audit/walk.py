"""One partition in the order in which its dispatchers saw it: before each decision comes what it had read, and no more."""

from collections import deque
from collections.abc import AsyncIterator, Collection, Sequence
from typing import NamedTuple, cast

from hookline.audit.findings import BACK_MS
from hookline.audit.order import CAUSES_FIRST, in_step
from hookline.audit.source import PartitionSource
from hookline.chain.events import Decision, ReadTo
from hookline.errors import Undecodable
from hookline.log.codec import Record
from hookline.log.reader import PartitionReader, Read
from hookline.log.records import LOGS, Positions, RawRecord, Topic
from hookline.log.skips import Skip, skip_of

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

    taken_at: Unix ms, when the ends were asked for. mark: positions of a checkpoint; before a decision at or above its `deliveries` the others are delivered up to it.
    until: each log is cut before its first record stamped later (Unix ms).
    """

    def __init__(
        self, source: PartitionSource, *, taken_at: int, until: int | None = None, mark: Positions | None = None
    ) -> None:
        extent = source.extent
        self.ends = extent.ends
        """How far there is anything to deliver."""
        self.stopped: Stop | None = None
        """Set where reading stopped before the end: a record that cannot be decoded, or that waits forever."""
        self._source, self._taken_at, self._until, self._mark = source, taken_at, until, mark
        # Where the log no longer begins at 0, the Fence in force at its first offset may be gone.
        fence = -1 if extent.starts.deliveries == 0 else None
        self._reader = PartitionReader(source.number, extent.starts, fence, extent.starts.deliveries)
        self._blocked: Stop | None = None
        """At a record that cannot be decoded, until what lets readers pass over it is found further on in `commands`."""
        self._read: dict[Topic, deque[Read]] = {topic: deque() for topic in LOGS}
        """Delivered by the reader, and not yet by us."""

    @property
    def skipped(self) -> Collection[Skip]:
        """The records that were passed over so far (`hookline.log.skips`)."""
        return self._reader.skipped

    @property
    def left(self) -> int:
        """Records not delivered; what was cut by `until` counts."""
        unread = sum(end - at for end, at in zip(self.ends, self._reader.positions, strict=True))
        return unread + sum(map(len, self._read.values()))

    async def reads(self) -> AsyncIterator[list[Read]]:
        """Everything, in batches. Raises LogUnavailable, BundleBroken."""
        at_end = False
        async for topic, records in in_step(self._source, self._until):
            self._reader.offer(topic, records)
            self._note_skips(topic, records)
            at_end |= topic is Topic.DELIVERIES and not records
            batch: list[Read] = []
            if self._blocked is None:
                self._hand_out(batch)
            if at_end and self._blocked is None:
                for cause in CAUSES_FIRST:
                    _move(self._read[cause], self.ends.of(cause), batch)
            yield batch
            if self.stopped is None and self._reader.held(topic) > MOST_HELD:
                self._stop_at_held()
            if self.stopped is not None:
                return
        if self._until is None or self._blocked is not None:
            self._stop_at_held()
        if self.stopped is None:
            # Decisions that wait for what lies behind a cut, or is not there, wait for nothing any more.
            yield list(self._read[Topic.DELIVERIES])
            self._read[Topic.DELIVERIES].clear()

    def _hand_out(self, batch: list[Read]) -> None:
        """Every decision that may go, each behind what it had read."""
        self._take()
        positions, mark, decisions = self._reader.positions, self._mark, self._read[Topic.DELIVERIES]
        while decisions and (len(decisions) > MOST_WAITING or self._may_go(decisions[0], positions)):
            read = decisions.popleft()
            if mark is not None and read.record.offset >= mark.deliveries:
                self._go_to(mark.pushes, mark.commands, mark.callbacks, batch)
            if (decision := decision_of(read.record)) is not None:
                read_to, cause = decision.read_to, decision.cause + 1
                # Its cause lies below its read_to, unless that is wrong; no reader delivers a record before its cause.
                if decision.chain_id.endswith("-0"):
                    self._go_to(max(read_to.pushes, cause), read_to.commands, read_to.callbacks, batch)
                else:
                    self._go_to(read_to.pushes, max(read_to.commands, cause), read_to.callbacks, batch)
            batch.append(read)

    def _take(self) -> None:
        """All that the reader delivers."""
        try:
            for read in self._reader.read():
                self._read[read.record.topic].append(read)
        except Undecodable as error:
            self._blocked = Stop(Topic(error.topic), error.offset, error.reason)
        if self._reader.rewind is not None:
            at = self._reader.rewind
            self.stopped = Stop(Topic.DELIVERIES, at, "the first decision's token names this offset, not a Fence")

    def _may_go(self, read: Read, positions: Positions) -> bool:
        decision, mark = decision_of(read.record), self._mark
        if decision is not None and not _reached(positions, decision.read_to, self.ends):
            return False
        return mark is None or read.record.offset < mark.deliveries or _reached(positions, mark, self.ends)

    def _go_to(self, pushes: int, commands: int, callbacks: int, batch: list[Read]) -> None:
        """Causes first."""
        _move(self._read[Topic.PUSHES], pushes, batch)
        _move(self._read[Topic.COMMANDS], commands, batch)
        _move(self._read[Topic.CALLBACKS], callbacks, batch)

    def _note_skips(self, topic: Topic, records: Sequence[RawRecord]) -> None:
        """A record may be let pass by one that came much later: whoever reads holds everything until then."""
        if topic is not Topic.COMMANDS:
            return
        for skip in filter(None, map(skip_of, records)):
            self._reader.skip(skip)
            if self._blocked is not None and skip.covers(self._blocked.topic, self._blocked.offset):
                self._blocked = None

    def _stop_at_held(self) -> None:
        if self.stopped is None:
            self.stopped = self._blocked
        if self.stopped is None:
            self._cut_at_a_later_seal()
        for topic in LOGS:
            if self.stopped is None and self._reader.position(topic) < self.ends.of(topic) and self._reader.held(topic):
                self.stopped = Stop(topic, self._reader.position(topic), "its cause is not in the log")

    def _cut_at_a_later_seal(self) -> None:
        """`callbacks` is over for us at a StepSealed whose intent was appended after the end of `deliveries` was taken.

        Of a log that is written to there is no order of asking for ends in which all that records rest on lies below them:
        decisions name what was read of `callbacks`, and seals an intent in `deliveries`.
        """
        for wait in self._reader.waits:
            if (
                wait.cause_topic is Topic.DELIVERIES
                and wait.cause >= self.ends.deliveries
                and wait.timestamp >= self._taken_at - BACK_MS
            ):
                self.ends = self.ends._replace(callbacks=wait.offset)


def decision_of(record: Record) -> Decision | None:
    """By its token, which all decisions have and nothing else (asking for its class takes ten times as long)."""
    return None if record.fence is None else cast(Decision, record.event)


def _move(reads: deque[Read], end: int, batch: list[Read]) -> None:
    while reads and reads[0].record.offset < end:
        batch.append(reads.popleft())


def _reached(positions: Positions, wanted: Positions | ReadTo, ends: Positions) -> bool:
    """In `pushes`, `callbacks` and `commands`; what lies past an end is as good as reached: it is not there."""
    return (
        positions.callbacks >= min(wanted.callbacks, ends.callbacks)
        and positions.pushes >= min(wanted.pushes, ends.pushes)
        and positions.commands >= min(wanted.commands, ends.commands)
    )
