"""Reads the four logs into the database: fetches on the event loop, folds and writes in one thread; other replicas stand by."""

import asyncio
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import structlog

from hookline.clock import Clock
from hookline.errors import ForeignLog, LogTruncated, LogUnavailable, OffsetOutOfRange, Unavailable
from hookline.log.causes import LostCauses
from hookline.log.cluster import Cluster, Consumer, Offsets
from hookline.log.ends import SharedEnds
from hookline.log.feed import Feed
from hookline.log.losses import say_lost
from hookline.log.reader import PartitionReader
from hookline.log.records import Place, Positions, Topic, logs_of
from hookline.log.skips import LOOK_S as SKIPS_S
from hookline.log.skips import find_skip, skip_to
from hookline.log.watch import CheckLog
from services.console.readmodel.database import REBUILD_COMMAND, Database
from services.console.readmodel.model import ReadModel
from services.console.readmodel.progress import Progress

__all__ = ["Projector"]

log = structlog.get_logger()

Answer = TypeVar("Answer")

POLL_S = 0.5
GATHER_MS = 200
"""How far behind the read model may be, so that a busy log becomes a few large transactions and not many small ones."""
LOOK_S = 1.0
"""Seconds between two looks at the logs' ends and at whether a rebuild was asked for."""
RETRY_S = 1.0
STANDBY_S = 0.3
ENDS_S = 10.0


class Projector:
    """`run` projects until it is cancelled. `progress` tells how far it has got."""

    def __init__(self, cluster: Cluster, check_log: CheckLog, database: Database, clock: Clock) -> None:
        self.progress = Progress()
        self.last_alive = clock.monotonic()
        """When it last got round its loop, whether or not anyone answered (`Clock.monotonic`)."""
        self._cluster = cluster
        self._check_log = check_log
        self._database = database
        self._clock = clock
        self._causes = LostCauses(clock)
        self._look_at = 0.0
        self._skips_at = 0.0

    async def run(self) -> None:
        """Waits out Kafka and the database. Raises ForeignLog, TopicsUnfit and OffsetOutOfRange: then the log is not the one
        that the database was filled from, or what was not read yet is gone."""
        while True:
            try:
                await self._follow()
                self.progress.restart("rebuilding")
            except (LogUnavailable, Unavailable) as error:
                log.warning("projection waits", reason=str(error))
                self.progress.restart(f"waiting: {error}")
                self.last_alive = self._clock.monotonic()
                await self._clock.sleep(RETRY_S)

    async def _follow(self) -> None:
        """Read from where the database stands; returns when a rebuild was asked for."""
        log = await self._check_log()
        offsets = await self._cluster.offsets()
        model = ReadModel(self._database)
        thread = ThreadPoolExecutor(1, "projection")
        try:
            count = await self._cluster.partitions(Topic.PUSHES)
            places = [place for p in range(count) for place in logs_of(p)]
            self.progress.asks(SharedEnds(offsets, places, ENDS_S))
            await self._lock(model, thread)
            starts, ends = await _offsets(offsets, places)
            await _in(thread, model.open, log.log_id, starts, ends, log.topics)
            consumer = await self._cluster.consumer(gather_ms=GATHER_MS)
            try:
                await self._project(model, thread, consumer)
            except OffsetOutOfRange as error:
                await self._note_lost(error, model, thread, offsets)
                raise
            finally:
                await consumer.close()
        finally:
            self._look_at = 0.0
            self.progress.asks(None)
            thread.shutdown()  # waits for the batch under way: its transaction ends before the lock does
            model.release()
            await offsets.close()

    async def _note_lost(
        self, error: OffsetOutOfRange, model: ReadModel, thread: ThreadPoolExecutor, offsets: Offsets
    ) -> None:
        """Raises ForeignLog where the log lost what was read of it: also once it is as long again, the next start must know.
        Where records were deleted below its first offset, that reads on from there."""
        say_lost(error, "the console ends")
        place = Place(Topic(error.topic), error.partition)
        if not isinstance(error, LogTruncated) and error.offset < await self._start(offsets, place):
            return
        words = (
            f"the console's database has read {error.topic}[{error.partition}] to {error.offset}, and records were lost there:"
            f" {error.reason}. Rebuild it: {REBUILD_COMMAND}"
        )
        await _in(thread, model.lose, words)
        raise ForeignLog(words) from error

    async def _start(self, offsets: Offsets, place: Place) -> int:
        """Its first offset. Kafka is waited for: what is known of a loss must not go with a connection."""
        while True:
            try:
                return (await offsets.starts([place]))[place]
            except LogUnavailable:
                await self._clock.sleep(RETRY_S)

    async def _lock(self, model: ReadModel, thread: ThreadPoolExecutor) -> None:
        """Stand by while another process writes this database."""
        while not await _in(thread, model.lock):
            self.progress.doing = "standing by: another console writes this database"
            await _in(thread, model.look_at_set_aside)
            self.progress.note_set_aside(*model.set_aside)
            await self._moved(await _in(thread, model.positions), 0)
            await self._looked()
            await self._clock.sleep(STANDBY_S)
        self.progress.doing = ""

    async def _project(self, model: ReadModel, thread: ThreadPoolExecutor, consumer: Consumer) -> None:
        feed = Feed(consumer)
        feed.assign(projection.reader for projection in model.projections.values())
        await self._note(model)
        while not (await self._looked(feed.readers.values()) and await _in(thread, model.rebuild_asked)):
            changed = await feed.poll(POLL_S) | await self._pass_skipped(model, feed)
            while await _in(thread, model.project, changed):
                await self._note(model)
            for partition in changed:
                feed.settle(partition)
                self._stop_if_unreadable(model, partition, feed)
            await self._note(model)

    async def _looked(self, readers: Collection[PartitionReader] = ()) -> bool:
        """Ask for the logs' ends now and then; did it just now?

        A partition of which a record waits for one that its topic has lost is stopped meanwhile. Raises LogUnavailable.
        """
        if self._clock.monotonic() < self._look_at:
            return False
        waits = self._causes.waits(readers)
        lost = self._causes.check(waits, await self.progress.refresh_ends())
        self.progress.lack(lost)
        self._look_at = self._clock.monotonic() + LOOK_S
        return True

    async def _note(self, model: ReadModel) -> None:
        self.progress.note_set_aside(*model.set_aside)
        positions = {p: projection.reader.positions for p, projection in model.projections.items()}
        await self._moved(positions, max(0, self._clock.now_ms() - model.last_timestamp) / 1000)

    async def _moved(self, positions: dict[int, Positions], lag_s: float) -> None:
        await self.progress.moved(positions, lag_s)
        self.last_alive = self._clock.monotonic()

    async def _pass_skipped(self, model: ReadModel, feed: Feed) -> set[int]:
        """Of the partitions that are stopped, those that go on, since an operator skipped the record. Raises LogUnavailable."""
        now = self._clock.monotonic()
        going: set[int] = set()
        if now < self._skips_at:
            return going
        self._skips_at = now + SKIPS_S
        for partition, stopped in list(self.progress.stopped.items()):
            if (found := await find_skip(self._cluster, stopped)) is not None:
                log.warning(
                    "record skipped", partition=partition, record=str(stopped), by=found.by, reason=found.reason
                )
                projection = model.projections[partition]
                projection.go_on(skip_to(found))
                self.progress.go_on(partition)
                feed.start(projection.reader)
                going.add(partition)
        return going

    def _stop_if_unreadable(self, model: ReadModel, partition: int, feed: Feed) -> None:
        error = model.projections[partition].stopped
        if error is not None:
            self._skips_at = 0.0  # it may have been skipped long ago
            log.error(
                "partition stopped", topic=error.topic, partition=partition, offset=error.offset, reason=error.reason
            )
            self.progress.stop(error)
            if (reader := feed.readers.get(partition)) is not None:
                feed.stop(reader)


async def _in(thread: ThreadPoolExecutor, work: Callable[..., Answer], *args: object) -> Answer:
    return await asyncio.get_running_loop().run_in_executor(thread, work, *args)


async def _offsets(offsets: Offsets, places: list[Place]) -> tuple[dict[int, Positions], dict[int, Positions]]:
    """First and end offsets of each partition's logs."""
    starts, ends = await offsets.starts(places), await offsets.ends(places)
    partitions = {place.partition for place in places}

    def of(at: dict[Place, int]) -> dict[int, Positions]:
        return {p: Positions.among(at, p) for p in partitions}

    return of(starts), of(ends)
