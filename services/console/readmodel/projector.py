"""Reads the four logs into the database: fetches on the event loop, folds and writes in one thread; other replicas stand by."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from hookline.clock import Clock
from hookline.errors import ForeignLog, LogTruncated, LogUnavailable, OffsetOutOfRange, Unavailable, Undecodable
from hookline.log.cluster import Cluster, Offsets
from hookline.log.ends import SharedEnds
from hookline.log.follower import Follower
from hookline.log.losses import say_lost
from hookline.log.reader import PartitionReader
from hookline.log.reader_status import ReaderStatus
from hookline.log.records import Place, Positions, Topic, logs_of
from hookline.log.skips import Skip
from hookline.log.watch import CheckLog
from hookline.web.tasks import until_one_ends
from services.console.readmodel.database import REBUILD_COMMAND, Database
from services.console.readmodel.model import ReadModel
from services.console.readmodel.progress import Progress

__all__ = ["Projector"]

Answer = TypeVar("Answer")

GATHER_MS = 200
"""How far behind the read model may be, so that a busy log becomes a few large transactions and not many small ones."""
LOOK_S = 1.0
"""Seconds between two looks at the logs' ends and at whether a rebuild was asked for."""
RETRY_S = 1.0
STANDBY_S = 0.3
ENDS_S = 10.0


@dataclass(frozen=True)
class _Session:
    """The read model, written by one thread, from one connection to the next."""

    model: ReadModel
    thread: ThreadPoolExecutor
    offsets: Offsets

    async def call(self, work: Callable[..., Answer], *args: object) -> Answer:
        """In its thread."""
        return await asyncio.get_running_loop().run_in_executor(self.thread, work, *args)


class Projector:
    """`run` projects until it is cancelled (`hookline.log.reader_interface.Reading`). `progress` tells how far it has got."""

    def __init__(
        self,
        cluster: Cluster,
        check_log: CheckLog,
        database: Database,
        clock: Clock,
        alive: Callable[[], None] = lambda: None,
    ) -> None:
        """alive: called when it gets round its loop, whether or not anyone answered."""
        self.progress = Progress()
        self._cluster = cluster
        self._check_log = check_log
        self._database = database
        self._clock = clock
        self._alive = alive
        self._sessions: list[_Session] = []
        """The one that is open."""
        self._places: list[Place] = []
        self._look_at = 0.0

    async def run(self, partitions: int) -> None:
        """Tries again while Kafka or the database is away. Raises ForeignLog, TopicsUnfit and OffsetOutOfRange: then the log is
        not the one that the database was filled from, or what was not read yet is gone."""
        self._places = [place for partition in range(partitions) for place in logs_of(partition)]
        statuses = [ReaderStatus("console", partition) for partition in range(partitions)]
        follower = Follower(self._cluster, self._clock, statuses, self, gather_ms=GATHER_MS, alive=self._alive)
        self.progress.follow(follower)
        await until_one_ends(follower.run(), follower.watch(self._ends, LOOK_S))

    async def _ends(self) -> Mapping[Place, int]:
        try:
            return await self.progress.refresh_ends()
        except LogUnavailable:
            return {}

    # Reading

    def session(self, offsets: Offsets) -> AbstractAsyncContextManager[None]:
        return self._session(offsets)

    @asynccontextmanager
    async def _session(self, offsets: Offsets) -> AsyncIterator[None]:
        """As the only one that writes this database."""
        log = await self._check_log()
        session = _Session(ReadModel(self._database), ThreadPoolExecutor(1, "projection"), offsets)
        self._sessions.append(session)
        try:
            self.progress.asks(SharedEnds(offsets, self._places, ENDS_S))
            await self._lock(session)
            starts, ends = await _offsets(offsets, self._places)
            await session.call(session.model.open, log.log_id, starts, ends, log.topics)
            await self._note(session.model)
            yield
        finally:
            self.progress.asks(None)
            session.thread.shutdown()  # waits for the batch under way: its transaction ends before the lock does
            session.model.release()
            self._sessions.remove(session)

    async def _lock(self, session: _Session) -> None:
        """Stand by while another process writes this database."""
        while not await session.call(session.model.lock):
            self.progress.doing = "standing by: another console writes this database"
            await session.call(session.model.look_at_set_aside)
            self.progress.note_set_aside(*session.model.set_aside)
            await self.progress.moved(await session.call(session.model.positions), 0)
            self._alive()
            await self._clock.sleep(STANDBY_S)
        self.progress.doing = ""

    async def begin(self, partition: int, offsets: Offsets, progress: Callable[[int], None]) -> PartitionReader:
        """From where the database stands."""
        (session,) = self._sessions
        return session.model.projections[partition].reader

    async def take(self, partitions: Collection[int]) -> Mapping[int, Undecodable]:
        """In batches, each a transaction. Raises Unavailable, also when a rebuild was asked for: begun anew, it does that."""
        (session,) = self._sessions
        if self._clock.monotonic() >= self._look_at:
            if await session.call(session.model.rebuild_asked):
                raise Unavailable("a rebuild was asked for")
            self._look_at = self._clock.monotonic() + LOOK_S
        while await session.call(session.model.project, partitions):
            await self._note(session.model)
        await self._note(session.model)
        projections = session.model.projections
        return {p: stopped for p in partitions if (stopped := projections[p].stopped) is not None}

    async def lose(self, error: OffsetOutOfRange) -> None:
        """Raises ForeignLog where the log lost what was read of it: also once it is as long again, the next start must know.
        Where records were deleted below its first offset, raises that error: the next start reads on from there."""
        (session,) = self._sessions
        say_lost(error, "the console ends")
        place = Place(Topic(error.topic), error.partition)
        if not isinstance(error, LogTruncated) and error.offset < await self._start(session.offsets, place):
            raise error
        words = (
            f"the console's database has read {error.topic}[{error.partition}] to {error.offset}, and records were lost there:"
            f" {error.reason}. Rebuild it: {REBUILD_COMMAND}"
        )
        await session.call(session.model.lose, words)
        raise ForeignLog(words) from error

    def skip(self, partition: int, skip: Skip) -> None:
        (session,) = self._sessions
        session.model.projections[partition].go_on(skip)

    def moved(self, partition: int) -> None:
        """Whoever waits is told by the next `take`."""

    async def _start(self, offsets: Offsets, place: Place) -> int:
        """Its first offset. Kafka is waited for: what is known of a loss must not go with a connection."""
        while True:
            try:
                return (await offsets.starts([place]))[place]
            except LogUnavailable:
                await self._clock.sleep(RETRY_S)

    async def _note(self, model: ReadModel) -> None:
        self.progress.note_set_aside(*model.set_aside)
        positions = {p: projection.reader.positions for p, projection in model.projections.items()}
        await self.progress.moved(positions, max(0, self._clock.now_ms() - model.last_timestamp) / 1000)
        self._alive()


async def _offsets(offsets: Offsets, places: list[Place]) -> tuple[dict[int, Positions], dict[int, Positions]]:
    """First and end offsets of each partition's logs."""
    starts, ends = await offsets.starts(places), await offsets.ends(places)
    partitions = {place.partition for place in places}

    def of(at: dict[Place, int]) -> dict[int, Positions]:
        return {p: Positions.among(at, p) for p in partitions}

    return of(starts), of(ends)
