"""The one reader of the four logs: causal order, and the fence rule (design sections 3 and 4).

Pure: it is offered raw records and delivers decoded ones. Dispatcher, callbacks, console and audit all read through it.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from hookline.chain.events import Event, Fence, PushReceived, RedeliveryRequested, SkipRequested, StepSealed
from hookline.errors import Undecodable
from hookline.log.codec import Record, decode
from hookline.log.records import LOGS, DamagedBatch, Positions, RawRecord, Topic
from hookline.log.skips import Skip, covering, is_fence

__all__ = ["HELD_LIMIT", "PartitionReader", "Read", "Wait", "cause_of", "causes_of"]

HELD_LIMIT = 2_000
"""Records of one log that may wait for a cause before its fetching is paused."""

# Causes first: then most records are delivered as soon as they are offered.
_ORDER = (Topic.PUSHES, Topic.COMMANDS, Topic.CALLBACKS, Topic.DELIVERIES)


class Read(NamedTuple):
    """A record delivered. `valid` is False for a decision whose writer was fenced off: void for every reader (I10)."""

    record: Record
    valid: bool


class Wait(NamedTuple):
    """A record that waits for its cause."""

    topic: Topic
    offset: int
    cause_topic: Topic
    cause: int
    timestamp: int
    """Kafka's time of the record, Unix ms."""


def cause_of(event: Event) -> tuple[Topic, int] | None:
    """Topic and offset of the record that started its chain, which must be read before this one."""
    match event:
        case PushReceived() | SkipRequested() | Fence():
            return None
        case RedeliveryRequested():
            return Topic.PUSHES, event.cause
        case _:
            # Run 0 comes from a push, a later run from a RedeliveryRequested.
            return (Topic.PUSHES if event.chain_id.endswith("-0") else Topic.COMMANDS), event.cause


def causes_of(event: Event) -> tuple[tuple[Topic, int], ...]:
    """All of these: a StepSealed comes after the intent that it names, too, so that who meets it knows whether it is valid."""
    cause = cause_of(event)
    if isinstance(event, StepSealed) and cause is not None:
        return cause, (Topic.DELIVERIES, event.intent)
    return () if cause is None else (cause,)


class PartitionReader:
    """Partition p of the four logs, from `positions` on.

    A record waits until its cause was delivered; a cause below the position that reading began at counts as read.
    Positions are those of what was delivered, never of what was fetched.

    fence: the offset of the Fence in force at `positions.deliveries`, where it is known (a commit names it), -1 before
    any; None after starting somewhere in the middle: then the token of the first decision met is the offset of its Fence,
    and `rewind` asks for `deliveries` to be read again from there (rule 1 of section 4).
    deliveries_start: first offset there is; a Fence below it is gone, and its token is taken as it stands.
    skips: records to pass over where they cannot be decoded (`hookline.log.skips`); `skip` adds one.
    """

    def __init__(
        self,
        partition: int,
        positions: Positions,
        fence: int | None = -1,
        deliveries_start: int = 0,
        skips: Iterable[Skip] = (),
    ) -> None:
        self.partition = partition
        self.fence = fence
        self.skipped: set[Skip] = set()
        """What was passed over."""
        self._skips = set(skips)
        self.rewind: int | None = None
        self._deliveries_start = deliveries_start
        self._next = dict(zip(LOGS, positions, strict=True))
        self._queues: dict[Topic, deque[RawRecord]] = {topic: deque() for topic in LOGS}
        self._head: dict[Topic, Record] = {}

    @property
    def positions(self) -> Positions:
        return Positions(*(self._next[topic] for topic in LOGS))

    def position(self, topic: Topic) -> int:
        return self._next[topic]

    def next_fetch(self, topic: Topic) -> int:
        """The offset to fetch from: past what is held."""
        queue = self._queues[topic]
        return queue[-1].next_offset if queue else self._next[topic]

    def held(self, topic: Topic) -> int:
        """Records of that log offered and not delivered."""
        return len(self._queues[topic])

    @property
    def waits(self) -> list[Wait]:
        """The next record of each log that waits for its cause, as far as they were looked at."""
        return [
            Wait(topic, record.offset, *missing, record.timestamp)
            for topic, record in self._head.items()
            if (missing := self._missing(record)) is not None
        ]

    def offer(self, topic: Topic, records: Sequence[RawRecord]) -> None:
        """Take what was fetched; records below the position (fetched again after a seek) are passed over.

        While `rewind` asks for a seek, what comes of `deliveries` was fetched before it: it will come again.
        """
        if self.rewind is not None and topic is Topic.DELIVERIES:
            return
        known = self.next_fetch(topic)
        self._queues[topic].extend(
            records if records and records[0].offset >= known else [r for r in records if r.offset >= known]
        )

    def read(self) -> Iterator[Read]:
        """Deliver all that may be. Raises Undecodable at a record this version cannot read; it stays the next one."""
        moved = True
        while moved:
            moved = False
            for topic in _ORDER:
                while (got := self._take(topic)) is not None:
                    moved = True
                    yield got

    def skip(self, skip: Skip) -> None:
        """Pass over that record, if it cannot be decoded and is no Fence."""
        self._skips.add(skip)

    def go_back(self, positions: Positions, fence: int | None) -> None:
        """Deliver again from an earlier point on; fence: the one in force there. What is held is to be fetched anew."""
        self.fence, self.rewind = fence, None
        self._next = dict(zip(LOGS, positions, strict=True))
        self._head.clear()
        for queue in self._queues.values():
            queue.clear()

    def rewound(self) -> None:
        """The consumer was sought to `rewind`."""
        self.rewind = None

    def _take(self, topic: Topic) -> Read | None:
        queue = self._queues[topic]
        if not queue or (self.rewind is not None and topic is Topic.DELIVERIES):
            return None
        record = self._decoded(topic)
        if record is None or self._missing(record) is not None:
            return None
        if topic is Topic.DELIVERIES and not self._judge(record):
            return None
        queue.popleft()
        del self._head[topic]
        self._next[topic] = record.offset + 1
        return Read(record, record.fence is None or record.fence == self.fence)

    def _missing(self, record: Record) -> tuple[Topic, int] | None:
        """The first of its causes that was not delivered; one in its own log lies below it."""
        for topic, offset in causes_of(record.event):
            if self._next[topic] <= offset and topic is not record.topic:
                return topic, offset
        return None

    def _decoded(self, topic: Topic) -> Record | None:
        """The next record of that log, behind those that are passed over. Raises Undecodable."""
        queue = self._queues[topic]
        while queue and topic not in self._head:
            raw = queue[0]
            try:
                self._head[topic] = decode(raw)
            except Undecodable:
                if covering(self._skips, topic, raw.offset) is None or is_fence(raw):
                    raise
                is_batch = isinstance(raw, DamagedBatch)
                self.skipped.add(Skip(topic, raw.offset, raw.next_offset if is_batch else 0))
                queue.popleft()
                self._next[topic] = raw.next_offset
        return self._head.get(topic)

    def _judge(self, record: Record) -> bool:
        """Keep the fence in force; False where reading must first go back to it."""
        if isinstance(record.event, Fence):
            self.fence = record.offset
            return True
        token = record.fence
        assert token is not None, "the codec reads a token for every decision"
        if (self.fence is None or self.fence < token) and covering(self.skipped, Topic.DELIVERIES, token):
            self.fence = token  # a Fence lay in a batch that is damaged: who else would know its offset?
        if self.fence is None and token >= self._deliveries_start:
            self.rewind = self._next[Topic.DELIVERIES] = token
            self._queues[Topic.DELIVERIES].clear()
            del self._head[Topic.DELIVERIES]
            return False
        if self.fence is None or self.fence < token < self._deliveries_start:
            self.fence = token  # of the Fences that are gone the latest is in force
        return True
