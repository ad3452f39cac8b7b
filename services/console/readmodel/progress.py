"""How far the read model has got: for readiness, metrics, and whoever must see what he has just written."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping

from hookline.chain.ids import partition_of
from hookline.errors import Unavailable, Undecodable
from hookline.log.ends import SharedEnds
from hookline.log.follower import Follower
from hookline.log.reader_status import ReaderStatus
from hookline.log.records import Place, Positions
from services.console.metrics import LAG_SECONDS, SET_ASIDE
from services.console.readmodel.rows import SetAside

__all__ = ["Progress"]

CATCH_UP_S = 5.0


class Progress:
    """On the event loop only. `doing` says in words what goes on where it is not simply reading."""

    def __init__(self) -> None:
        self.doing = "starting"
        self.current = False
        """Has it been at the end of the logs since the start?"""
        self.positions: dict[int, Positions] = {}
        self._ends: dict[Place, int] = {}
        self._lag_s = 0.0
        self._ask: SharedEnds | None = None
        self._follower: Follower | None = None
        self.troubles: tuple[str, ...] = ()
        """Records that the database does not take, and which hold up nothing; for `/readyz`."""
        self._moved = asyncio.Condition()

    def follow(self, follower: Follower) -> None:
        """By that one the logs are read."""
        self._follower = follower

    @property
    def halted(self) -> Mapping[int, ReaderStatus]:
        """By partition, those that are stopped: at a record that cannot be read, or whose cause is lost."""
        statuses = {} if self._follower is None else self._follower.statuses
        return {partition: status for partition, status in statuses.items() if status.halt is not None}

    @property
    def stopped(self) -> Mapping[int, Undecodable]:
        """By partition, the record that this version cannot read."""
        return {p: stopped for p, status in self.halted.items() if (stopped := status.stopped) is not None}

    @property
    def behind(self) -> int:
        """Records between the positions and the ends as last asked, stopped partitions left out."""
        halted = self.halted
        return sum(
            max(0, end - self.positions[place.partition].of(place.topic))
            for place, end in self._ends.items()
            if place.partition in self.positions and place.partition not in halted
        )

    def detail(self) -> str:
        """In words, for `/readyz`."""
        trouble = None if self._follower is None else self._follower.trouble
        said = [f"waiting: {trouble}"] if trouble is not None else [self.doing] if self.doing else []
        if self.positions:
            done = sum(map(sum, self.positions.values()))
            said.append(
                f"read {done:,} records, {self.behind:,} to go" if self.behind else f"read all {done:,} records"
            )
        said += [f"partition {partition}: {status}" for partition, status in self.halted.items()]
        return "; ".join(said)

    def asks(self, ends: SharedEnds | None) -> None:
        """Where to ask for ends; None while Kafka is not there."""
        self._ask = ends

    async def refresh_ends(self) -> Mapping[Place, int]:
        """The logs' ends, as they stood at some moment after this call; nothing while Kafka is not there. Raises LogUnavailable."""
        if self._ask is None:
            return {}
        self._ends = await self._ask.now()
        self._judge()
        return self._ends

    async def moved(self, positions: Mapping[int, Positions], lag_s: float) -> None:
        """The database has got there. lag_s: age of the last record read."""
        self.positions = dict(positions)
        self._lag_s = lag_s
        self._judge()
        async with self._moved:
            self._moved.notify_all()

    def _judge(self) -> None:
        behind = self.behind
        self.current = self.current or (bool(self._ends) and bool(self.positions) and not behind)
        LAG_SECONDS.set(self._lag_s if behind else 0)

    def note_set_aside(self, count: int, first: Collection[SetAside]) -> None:
        """So many records are not in the database, though all was read."""
        SET_ASIDE.set(count)
        more = (f"and {count - len(first)} more records",) if count > len(first) else ()
        self.troubles = (
            *(f"{record.topic}[{record.partition}]@{record.offset} is set aside: {record.reason}" for record in first),
            *more,
        )

    def partition_of(self, push_id: str) -> int:
        """Where everything about that push lies. Raises Unavailable while the topics have not been seen."""
        if not self.positions:
            raise Unavailable(f"the logs are not read: {self.doing}")
        return partition_of(push_id, len(self.positions))

    async def caught_up_on(self, push_id: str) -> None:
        """As `caught_up`, for the partition of that push."""
        await self.caught_up({self.partition_of(push_id)})

    async def caught_up(self, partitions: Iterable[int] | None = None, timeout_s: float = CATCH_UP_S) -> None:
        """Wait until those partitions (or all) are in the database to their ends as they stood after this call began.

        Raises Unavailable after that many seconds, or where one is stopped; LogUnavailable.
        """
        if self._ask is None or not self.positions:
            raise Unavailable(f"the logs are not read: {self.doing}")
        wanted = set(self.positions if partitions is None else partitions)
        try:
            async with asyncio.timeout(timeout_s):
                before, ends = dict(self.positions), await self._ask.now()
                if any(before[p].beyond(Positions.among(ends, p)) for p in wanted & before.keys()):
                    raise Unavailable("a log ends before what was already read")
                await self._wait(lambda: self._reached(wanted, ends))
        except TimeoutError:
            raise Unavailable(f"the logs were not read to their end within {timeout_s:g} s") from None

    def _reached(self, partitions: set[int], ends: Mapping[Place, int]) -> bool:
        for partition in partitions:
            if (status := self.halted.get(partition)) is not None:
                raise Unavailable(f"partition {partition} is {status}", 60)
            at = self.positions.get(partition)
            if at is None or not at.reached(Positions.among(ends, partition)):
                return False
        return True

    async def _wait(self, reached: Callable[[], bool]) -> None:
        async with self._moved:
            await self._moved.wait_for(reached)
