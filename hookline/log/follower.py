"""Follows the four logs of partitions without a group: restores, reads on, stops at what cannot be read, goes on when it may.

One loop for every such reader (after arroyo's processor and quix-streams' recovery); what it reads for is a `Reading`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack

import structlog

from hookline.clock import Clock
from hookline.errors import LogUnavailable, OffsetOutOfRange, Refused, SnapshotLost, Unavailable, Undecodable
from hookline.log.causes import LostCauses
from hookline.log.cluster import Cluster, Consumer, Offsets
from hookline.log.feed import Feed
from hookline.log.reader import PartitionReader
from hookline.log.reader_interface import Reading
from hookline.log.reader_status import READER_UNREAD, RETRY_S, ReaderStatus, SkipLook
from hookline.log.records import Place, Positions, logs_of

__all__ = ["Follower"]

log = structlog.get_logger()

POLL_S = 1.0
LOST_RETRY_S = 2.0
"""Seconds until a partition is restored again whose snapshot is gone: the group may have committed a newer one."""
RESTORES_AT_ONCE = 4


class Follower:
    """`run` and `watch` until cancelled; everything else may be called meanwhile."""

    def __init__(
        self,
        cluster: Cluster,
        clock: Clock,
        statuses: Sequence[ReaderStatus],
        reading: Reading,
        *,
        gather_ms: int = 0,
        alive: Callable[[], None] = lambda: None,
        hurry_look: Callable[[], None] = lambda: None,
        is_awaited: Callable[[], bool] = lambda: False,
    ) -> None:
        """statuses: one a partition that it follows. gather_ms: `Cluster.consumer`. alive: called at least once a round.

        hurry_look: called when a log has lost records: the topic may have been made anew. is_awaited: does somebody wait for it?
        """
        self.statuses = {s.partition: s for s in statuses if s.partition is not None}
        self.readers: dict[int, PartitionReader] = {}
        """By partition that was restored."""
        self.trouble: str | None = None
        """Why it does not read just now."""
        self._is_refused = False
        """Is that because Kafka does not let us? Then an operator must mend it."""
        self._cluster = cluster
        self._clock = clock
        self._reading = reading
        self._gather_ms = gather_ms
        self._alive = alive
        self._hurry_look = hurry_look
        self._is_awaited = is_awaited
        self._skips = SkipLook(cluster, clock)
        self._consumer: Consumer | None = None
        self._feed: Feed | None = None
        self._goals: dict[int, Positions] = {}
        """By partition that is not current: where its logs ended when it was restored."""
        self._from: dict[int, Positions] = {}
        self._turn = asyncio.Lock()
        """Held while records are taken: by then what they wait for changes."""
        self._restoring: asyncio.Task[None] | None = None
        """Of what has not begun, while all others are read."""
        self._restore_at = 0.0

    @property
    def current(self) -> bool:
        """Is every partition restored? One that is halted holds up no other, unless none is left."""
        states = self.statuses.values()
        return any(s.halt is None for s in states) and all(s.is_current or s.halt is not None for s in states)

    def progress(self) -> str:
        """How far it is, in words: which partitions are not current, and why; what is wrong just now."""
        behind = [s for s in self.statuses.values() if s.halt is not None or not s.is_current]
        said = [f"{len(self.statuses) - len(behind)} of {len(self.statuses)} partitions are current"]
        return "; ".join([*said, *(f"partition {s.partition}: {s}" for s in behind)])

    def hurry(self) -> None:
        """Somebody waits for what is not read yet."""
        if self._consumer is not None:
            self._consumer.hurry()

    def in_doubt(self, partition: int) -> bool:
        """May a log have lost what was read of it? While nothing is read nobody knows."""
        return self._feed is None or self._feed.in_doubt(partition)

    async def run(self) -> None:
        """Read until cancelled, and begin anew from where it was when Kafka, or what `Reading` reads, was away.

        Raises what `Reading` raises beyond that.
        """
        while True:
            try:
                await self._session()
            except (LogUnavailable, SnapshotLost, Unavailable) as error:
                is_refused = isinstance(error, Refused)
                if self.trouble is None or is_refused is not self._is_refused:
                    log.warning("reading waits", readers=self._names(), reason=str(error))
                self.trouble, self._is_refused = str(error), is_refused
                await self._clock.sleep(RETRY_S)
            self._alive()

    async def watch(self, ends: Callable[[], Awaitable[Mapping[Place, int]]], every_s: float) -> None:
        """Keep the metric of what is not read, and halt those of which a record waits for a cause that is lost, until cancelled.

        ends: of all logs, as they are now; empty where Kafka does not say.
        """
        causes = LostCauses(self._clock)
        while True:
            await self._clock.sleep(every_s)
            async with self._turn:
                waits = causes.waits(self._read_on().values())
            now = await ends()
            lost = causes.check(waits, now)
            for partition, status in self.statuses.items():
                if status.lack(lost.get(partition)):
                    self._reading.moved(partition)
                READER_UNREAD.labels(status.reader, partition).set(self._unread(partition, now))

    def _unread(self, partition: int, ends: Mapping[Place, int]) -> float:
        if not ends or (reader := self.readers.get(partition)) is None:
            return float("nan")
        return sum(Positions.among(ends, partition)) - sum(reader.positions)

    # A session: from one connection to the next

    async def _session(self) -> None:
        async with AsyncExitStack() as stack:
            offsets = await self._cluster.offsets()
            stack.push_async_callback(offsets.close)
            await stack.enter_async_context(self._reading.session(offsets))
            consumer = await self._cluster.consumer(gather_ms=self._gather_ms)
            stack.push_async_callback(consumer.close)
            await self._restore(self.statuses.values(), offsets)
            feed = Feed(consumer)
            feed.assign(self._read_on().values())
            self._consumer, self._feed = consumer, feed
            stack.callback(self._disconnect)
            self.trouble, self._is_refused = None, False
            self._restore_at = self._clock.monotonic() + LOST_RETRY_S
            stack.push_async_callback(self._give_up_restoring)
            await self._advance(feed, self.statuses)  # what was held when Kafka went away
            while True:
                await self._round(feed, offsets)

    async def _round(self, feed: Feed, offsets: Offsets) -> None:
        moved = await self._poll(feed)
        self._alive()
        await self._advance(feed, moved)
        if self._is_awaited():
            self.hurry()
        await self._pass_skipped(feed)
        if self._has_restored(offsets):
            feed.assign(self._read_on().values())

    async def _poll(self, feed: Feed) -> set[int]:
        """The partitions that have something new to read."""
        try:
            return await feed.poll(POLL_S)
        except OffsetOutOfRange as error:  # one partition's: all others read on
            await self._reading.lose(error)
            if (reader := self.readers.pop(error.partition, None)) is not None:
                feed.stop(reader)
            self._goals.pop(error.partition, None)
            self.statuses[error.partition].restoring("a log has lost what was read of it")
            self._reading.moved(error.partition)
            self._restore_at = 0.0
            self._hurry_look()
            return set()

    async def _advance(self, feed: Feed, partitions: Iterable[int]) -> None:
        """Take what these may deliver."""
        going = self._read_on()
        asked = [partition for partition in partitions if partition in going]
        was_current = self.current
        async with self._turn:
            stopped = await self._reading.take(asked)
        for partition in asked:
            feed.adjust(partition)
            self._look_at_goal(partition)
            if (error := stopped.get(partition)) is not None:
                feed.stop(self.readers[partition])
                self._stop(partition, error)
        if self.current and not was_current:
            log.info("restored", readers=self._names(), partitions=len(self.statuses))

    async def _pass_skipped(self, feed: Feed) -> None:
        """Let those go on that stopped at a record which an operator skipped. Raises LogUnavailable."""
        for status, skip in await self._skips.found(self.statuses.values()):
            assert status.partition is not None, "it follows partitions"
            self._reading.skip(status.partition, skip)
            feed.start(self.readers[status.partition])
            await self._advance(feed, [status.partition])  # it holds what was fetched before it stopped

    # Restoring

    def _has_restored(self, offsets: Offsets) -> bool:
        """Have those just been restored that had not begun? Begins it where it is time. Raises what went wrong with it."""
        if self._restoring is None:
            waiting = [s for p, s in self.statuses.items() if p not in self.readers and s.stopped is None]
            if waiting and self._clock.monotonic() >= self._restore_at:
                self._restore_at = self._clock.monotonic() + LOST_RETRY_S
                self._restoring = asyncio.create_task(self._restore(waiting, offsets))
            return False
        if not self._restoring.done():
            return False
        done, self._restoring = self._restoring, None
        done.result()
        return True

    async def _give_up_restoring(self) -> None:
        if self._restoring is not None:
            self._restoring.cancel()
            await asyncio.wait({self._restoring})
            self._restoring = None

    async def _restore(self, statuses: Iterable[ReaderStatus], offsets: Offsets) -> None:
        """Begin these, and tell them how far to read. Raises what is no partition's own; SnapshotLost if none can begin."""
        slots = asyncio.Semaphore(RESTORES_AT_ONCE)
        gone: list[str] = []

        async def begin(status: ReaderStatus) -> None:
            async with slots:
                if (lost := await self._begin(status, offsets)) is not None:
                    gone.append(str(lost))

        tasks = [asyncio.create_task(begin(status)) for status in statuses]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if not self._read_on() and gone:
            raise SnapshotLost("; ".join(gone))
        await self._aim(offsets)

    async def _begin(self, status: ReaderStatus, offsets: Offsets) -> SnapshotLost | None:
        """None where it has begun, or stopped."""
        partition = status.partition
        assert partition is not None, "it follows partitions"

        def progress(records: int) -> None:
            status.restoring(f"reading its snapshot, {records} records so far")

        try:
            reader = await self._reading.begin(partition, offsets, progress)
        except Undecodable as error:
            self._stop(partition, error)
        except SnapshotLost as error:
            # The group may have committed a newer one since we asked; nobody but this partition waits for that.
            said = f"waits for a newer snapshot: {error}"
            if str(status) != said:
                log.warning("a snapshot is gone, looking again", reason=str(error))
            status.restoring(said)
            return error
        else:
            if self.readers.get(partition) is not reader:
                self.readers[partition], self._from[partition] = reader, reader.positions
                status.restoring("snapshot read")
        finally:
            self._alive()
        return None

    async def _aim(self, offsets: Offsets) -> None:
        """Those that are not current are once they have read to where their logs end now. Raises LogUnavailable."""
        behind = [partition for partition in self._read_on() if not self.statuses[partition].is_current]
        ends = await offsets.ends([place for partition in behind for place in logs_of(partition)])
        for partition in behind:
            self._goals[partition] = Positions.among(ends, partition)
            self._look_at_goal(partition)

    def _look_at_goal(self, partition: int) -> None:
        status, goal = self.statuses[partition], self._goals.get(partition)
        if goal is None or status.is_current:
            return
        at = self.readers[partition].positions
        if at.reached(goal):
            status.current()
            self._reading.moved(partition)
        elif status.halt is None:
            done, total = (sum(p) - sum(self._from[partition]) for p in (at, goal))
            status.restoring(f"{min(done, total)} of {total} events read")

    # Small things

    def _stop(self, partition: int, error: Undecodable) -> None:
        self.statuses[partition].stop(error)
        self._skips.soon()
        self._reading.moved(partition)

    def _read_on(self) -> dict[int, PartitionReader]:
        """Those that are read: begun, and not stopped."""
        return {p: reader for p, reader in self.readers.items() if self.statuses[p].stopped is None}

    def _names(self) -> str:
        return ", ".join(sorted({status.reader for status in self.statuses.values()}))

    def _disconnect(self) -> None:
        self._consumer = self._feed = None
