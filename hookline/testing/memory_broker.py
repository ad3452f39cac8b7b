"""The in-memory cluster's state: logs, groups, and what is held back by a seeded plan of faults.

Everything goes through the event loop and nothing but a poll's timeout takes real time.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace

from hookline.clock import Clock, SystemClock
from hookline.errors import (
    LogTruncated,
    LogUnavailable,
    NotAuthorised,
    OffsetOutOfRange,
    RecordRefused,
    RecordTooLarge,
    TopicsUnfit,
)
from hookline.log.cluster import Commit
from hookline.log.records import MAX_RECORD_BYTES, DamagedBatch, Draft, Place, RawRecord, Topic, damaged
from hookline.testing.faults import Faults

__all__ = ["Membership", "MemoryBroker", "turns"]

SINGLE = frozenset({Topic.PIPELINES, Topic.QUARANTINE})
"""Topics of one partition."""


async def turns(count: int) -> None:
    """Let the event loop go round that often."""
    for _ in range(count):
        await asyncio.sleep(0)


class _Log:
    """The records of one place, from `start` on."""

    def __init__(self) -> None:
        self.start = 0
        self.records: list[RawRecord] = []
        self.cuts: list[int] = []
        """Where it was truncated, each time."""
        self.damaged: list[DamagedBatch] = []

    def gives(self, offset: int, most: int) -> Sequence[RawRecord]:
        """From that offset on; what cannot be read any more comes as what stands in its place."""
        records: list[RawRecord] = []
        at = offset
        while len(records) < most and at < self.end:
            hole = next((hole for hole in self.damaged if hole.offset <= at < hole.until), None)
            records.append(self.records[at - self.start] if hole is None else replace(hole, offset=at))
            at = records[-1].next_offset
        return records

    @property
    def end(self) -> int:
        return self.start + len(self.records)

    def delete_below(self, offset: int) -> None:
        if not self.start <= offset <= self.end:
            return
        del self.records[: offset - self.start]
        self.start = offset


class Membership:
    """A consumer group: its members, its generation, and what it committed."""

    def __init__(self, partitions: int) -> None:
        self.generation = 0
        self.commits: dict[Place, Commit] = {}
        self._partitions = partitions
        self._members: dict[int, Callable[[], None]] = {}
        self._joined = 0

    def join(self, rebalanced: Callable[[], None]) -> int:
        """A new member, in a new generation; `rebalanced` is called at each later one."""
        self._joined += 1
        self._members[self._joined] = rebalanced
        self._rebalance()
        return self._joined

    def leave(self, member: int) -> None:
        if self._members.pop(member, None) is not None:
            self._rebalance()

    def dissolve(self) -> None:
        """For tests: every member's session is over, and none knows yet."""
        for member in list(self._members):
            self.leave(member)

    @property
    def members(self) -> frozenset[int]:
        return frozenset(self._members)

    def knows(self, member: int) -> bool:
        return member in self._members

    def assignment(self, member: int) -> frozenset[int]:
        """The partitions of that member, by range: the first ones in order of joining get one more where it does not divide."""
        rank, (size, more) = sorted(self._members).index(member), divmod(self._partitions, len(self._members))
        first = rank * size + min(rank, more)
        return frozenset(range(first, first + size + (rank < more)))

    def commit(self, member: int, generation: int, commits: Mapping[Place, Commit]) -> bool:
        """False where the group has gone on."""
        if member not in self._members or generation != self.generation:
            return False
        self.commits.update(commits)
        return True

    def _rebalance(self) -> None:
        self.generation += 1
        for rebalanced in self._members.values():
            rebalanced()


class MemoryBroker:
    """Topics with `partitions` partitions each; `pipelines` and `quarantine` have one."""

    def __init__(self, partitions: int = 12, *, faults: Faults | None = None, clock: Clock | None = None) -> None:
        self.faults = faults or Faults.none()
        self._partitions = partitions
        self.clock = clock or SystemClock()
        """The brokers'."""
        self._logs = {Place(topic, p): _Log() for topic in Topic for p in range(self.count(topic))}
        self._groups: dict[str, Membership] = {}
        self._under_way: set[asyncio.Task[None]] = set()
        self._watchers: dict[Callable[[], None], None] = {}
        self._down = False
        self.limits: dict[Topic, int] = {}
        """By topic, the most bytes of a value that it takes; MAX_RECORD_BYTES where none is said."""
        self.known_cuts: dict[tuple[Place, int], int] = {}
        """How often a place had been truncated when somebody had read to an offset of it."""
        self.denied: set[Topic] = set()
        """Topics that nobody may write to."""

    # What a test does

    @property
    def down(self) -> bool:
        """True: as if no broker answered. Appends, offsets and commits fail at once, polls come back empty."""
        return self._down

    @down.setter
    def down(self, value: bool) -> None:
        self._down = value
        self.notify()

    def log(self, place: Place) -> list[RawRecord]:
        """What lies there now."""
        return list(self._logs[place].records)

    def rewrite(self, place: Place, change: Callable[[list[RawRecord]], None]) -> None:
        """For tests: change the records of a place, as only an attacker or a broken disk does."""
        change(self._logs[place].records)

    def append(self, draft: Draft) -> int:
        """Append at once, past all faults; the offset."""
        log = self._log(draft.place)
        offset = log.end
        log.records.append(
            RawRecord(draft.place, offset, self.clock.now_ms(), draft.key, draft.value, dict(draft.headers))
        )
        self.notify()
        return offset

    def damage(self, place: Place, first: int, until: int) -> None:
        """For tests: a disk changed a byte of that batch, so that none of its records can be read any more."""
        self._log(place).damaged.append(damaged(place, first, until, "its checksum is wrong"))
        self.notify()

    def truncate(self, place: Place, end: int) -> None:
        """For tests: its records from there on are lost, as if an older copy had been put back."""
        log = self._log(place)
        del log.records[end - log.start :]
        log.damaged = [hole for hole in log.damaged if hole.until <= end]
        log.cuts.append(end)
        self.notify()

    def make_anew(self, topic: Topic) -> None:
        """As if it were deleted and made anew: nothing lies in it, and no group has committed anything there."""
        for place in [place for place in self._logs if place.topic is topic]:
            self._logs[place] = _Log()
            for group in self._groups.values():
                group.commits.pop(place, None)
        self.notify()

    async def land_all(self) -> None:
        """Wait until all that was held back has landed or is lost."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    # What the parts below share

    async def reach(self) -> None:
        """One way to the broker and back. Raises LogUnavailable while it is down."""
        await asyncio.sleep(0)
        if self._down:
            raise LogUnavailable("no broker answers")

    def refusal(self, draft: Draft) -> RecordRefused | None:
        """Why it does not take that record; None where it does."""
        topic, size = draft.place.topic, len(draft.value or b"")
        if topic in self.denied:
            return NotAuthorised(f"nobody may write to {topic}")
        if size > self.limits.get(topic, MAX_RECORD_BYTES):
            return RecordTooLarge(f"{topic} does not take a record of {size} bytes")
        if topic is Topic.PIPELINES and draft.key is None:
            return RecordRefused(f"{topic} is compacted and takes no record without a key")
        return None

    def has(self, place: Place) -> bool:
        return place in self._logs

    def start(self, place: Place) -> int:
        return self._log(place).start

    def end(self, place: Place) -> int:
        return self._log(place).end

    def records(self, place: Place, offset: int, most: int) -> Sequence[RawRecord]:
        """From that offset on. Raises OffsetOutOfRange."""
        log = self._log(place)
        if not log.start <= offset <= log.end:
            raise OffsetOutOfRange(*place, offset, f"the log has {log.start} to {log.end}")
        if log.damaged:
            return log.gives(offset, most)
        first = offset - log.start
        return log.records[first : first + most]

    def cuts(self, place: Place) -> int:
        """How often it was truncated."""
        return len(self._log(place).cuts)

    def check_cuts(self, place: Place, known: int, position: int) -> None:
        """known: how often it was truncated when reading up to that position began. Raises LogTruncated."""
        log = self._log(place)
        if any(cut < position for cut in log.cuts[known:]):
            raise LogTruncated(*place, position, "the log has other records below it than were read")

    def delete_below(self, place: Place, offset: int) -> None:
        self._log(place).delete_below(offset)

    def membership(self, group: str) -> Membership:
        return self._groups.setdefault(group, Membership(self._partitions))

    def later(self, work: Coroutine[None, None, None]) -> None:
        """Let something land on its own."""
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    def watch(self, changed: Callable[[], None]) -> None:
        self._watchers[changed] = None

    def unwatch(self, changed: Callable[[], None]) -> None:
        self._watchers.pop(changed, None)

    def notify(self) -> None:
        for changed in tuple(self._watchers):
            changed()

    def count(self, topic: Topic) -> int:
        return 1 if topic in SINGLE else self._partitions

    def _log(self, place: Place) -> _Log:
        if (log := self._logs.get(place)) is None:
            raise TopicsUnfit(f"there is no {place.topic}[{place.partition}]")
        return log
