"""A replica of callbacks: the tails of all partitions, restored from the dispatcher's commits and read on without end.

A partition starts as a dispatcher's does, without the Fence (design section 6): commit -> that snapshot -> the tails.
Which commits are made later does not matter to one that runs.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from uuid import UUID

import structlog

from hookline.clock import Clock
from hookline.errors import LogUnavailable, OffsetOutOfRange, Refused, SnapshotLost, Unavailable, Undecodable
from hookline.log.causes import LostCause, LostCauses
from hookline.log.cluster import Cluster, Consumer, Offsets
from hookline.log.ends import SharedEnds
from hookline.log.feed import Feed
from hookline.log.losses import say_lost
from hookline.log.reader import PartitionReader
from hookline.log.records import Place, Positions, logs_of
from hookline.log.skips import LOOK_S, find_skip, skip_to
from hookline.log.snapshots import committed, read_checkpoint
from services.callbacks.memory import EndedChains
from services.callbacks.metrics import STOPPED, TAIL_LAG
from services.callbacks.tail import Tail

__all__ = ["Replica"]

log = structlog.get_logger()

POLL_S = 1.0
GATHER_MS = 50
"""While no answer waits for it, nothing is lost by reading the logs in larger pieces."""
RETRY_S = 0.5
"""Seconds between two tries while Kafka does not answer."""
LOST_RETRY_S = 2.0
"""Seconds until it is asked again what the group has committed, while the snapshot of a partition is gone."""
LAG_S = 5.0
"""Seconds between two looks at how far behind the tails are."""
RESTORES_AT_ONCE = 4


class Replica:
    """`run` and `watch_lag` until cancelled; everything else may be called meanwhile."""

    def __init__(
        self, cluster: Cluster, partitions: int, log_id: UUID, clock: Clock, look: Callable[[], None] = lambda: None
    ) -> None:
        """look: called when a log has lost records: the topic may have been made anew."""
        self.tails = tuple(Tail(p, self._hurry, partial(self._in_doubt, p)) for p in range(partitions))
        self.came_round_at = clock.monotonic()
        """When a poll was last completed, or tried: its liveness (seconds of that clock)."""
        self.trouble: str | None = None
        """Why it does not read just now."""
        self.refused = False
        """Is that because Kafka does not let us? Then an operator must mend it."""
        self.unanswered: str | None = None
        """Why Kafka did not say how far the logs go, when it was last asked (every LAG_S)."""
        self._cluster = cluster
        self._log_id = log_id
        self._clock = clock
        self._look = look
        self._ended = EndedChains(clock.monotonic)
        self._ends: SharedEnds | None = None
        self._consumer: Consumer | None = None
        self._feed: Feed | None = None
        self._restoring: asyncio.Task[None] | None = None
        """Of what has not begun, while all others are read."""
        self._skips_at = self._restores_at = 0.0

    @property
    def reads(self) -> bool:
        """Does Kafka let it read on, as far as it knows?"""
        return self.trouble is None and self.unanswered is None

    @property
    def current(self) -> bool:
        """Is every partition restored? One that stopped holds up no other, unless none is left."""
        stopped = sum(tail.stands for tail in self.tails)
        return stopped < len(self.tails) and all(tail.current or tail.stands for tail in self.tails)

    def progress(self) -> str:
        """How far it is, in words: which partitions are not current, and why; what is wrong just now."""
        behind = [tail for tail in self.tails if not tail.current or tail.stands]
        said = [f"{len(self.tails) - len(behind)} of {len(self.tails)} partitions are current"]
        said += [f"partition {tail.partition}: {tail.progress()}" for tail in behind]
        if (trouble := self.trouble or self.unanswered) is not None:
            said.append(f"trying again: {trouble}")
        return "; ".join(said)

    async def ends(self, places: Iterable[Place] | None = None) -> dict[Place, int]:
        """End offsets of those places (default: of all logs); one ListOffsets for all who ask, made after they asked.

        A deposed leader tells an old end: no answer of 200 rests on one, and a goal that is too low only lets us answer
        from less, which the table of answers allows.

        Raises LogUnavailable, and Unavailable while nothing is read, and where a log ends below what was read of it: a leader
        answers that was deposed, or it lost records.
        """
        if self._ends is None:
            raise Unavailable("Kafka does not answer")
        before = {tail.partition: tail.positions for tail in self.tails}
        ends = await self._ends.now(places)
        if any(end < before[place.partition].of(place.topic) for place, end in ends.items()):
            raise Unavailable("the log ends below what was read of it")
        return ends

    async def run(self) -> None:
        """Read until cancelled, and begin anew from where it was when Kafka was away.

        Raises ForeignLog.
        """
        while True:
            try:
                await self._read_on()
            except (LogUnavailable, SnapshotLost) as error:
                refused = isinstance(error, Refused)
                if self.trouble is None or refused is not self.refused:
                    log.warning("tails stopped, trying again", reason=str(error))
                self.trouble, self.refused = str(error), refused
                await self._clock.sleep(RETRY_S)
            self._came_round()

    async def watch_lag(self) -> None:
        """Keep the lag's metric, and stop those of which a record waits for a cause that is lost; until cancelled."""
        causes = LostCauses(self._clock)
        while True:
            await self._clock.sleep(LAG_S)
            waits = causes.waits(self._readers())
            try:
                ends = await self.ends()
            except (LogUnavailable, Unavailable) as error:
                ends, self.unanswered = {}, str(error)
            else:
                self.unanswered = None
            self._stop_lacking(causes.check(waits, ends))
            for tail in self.tails:
                lag = sum(Positions.among(ends, tail.partition)) - sum(tail.positions) if ends else float("nan")
                TAIL_LAG.labels(tail.partition).set(lag)

    def _stop_lacking(self, lost: Mapping[int, LostCause]) -> None:
        """Those of which a record waits for such a cause, and let go on those that lacked one and do no more."""
        for tail in self.tails:
            now = lost.get(tail.partition) if tail.stopped is None else None
            if tail.lacks is not None and now is None:
                log.info("partition goes on", partition=tail.partition)
            _lack(tail, now)

    async def _read_on(self) -> None:
        """Restore what has not begun, then read; what has lost its log, or finds no snapshot, is restored meanwhile."""
        async with AsyncExitStack() as stack:
            offsets = await self._cluster.offsets()
            stack.push_async_callback(offsets.close)
            consumer = await self._cluster.consumer(gather_ms=GATHER_MS)
            stack.push_async_callback(consumer.close)
            await self._restore(offsets)
            await self._aim(offsets)
            feed = Feed(consumer)
            feed.assign(self._readers())
            self._consumer, self._feed = consumer, feed
            self._ends = SharedEnds(offsets, [place for tail in self.tails for place in logs_of(tail.partition)])
            stack.callback(self._forget)
            self.trouble, self.refused = None, False
            self._restores_at = self._clock.monotonic() + LOST_RETRY_S
            stack.push_async_callback(self._give_up_restoring)
            await self._advance(feed, self.tails)  # what was held when Kafka went away
            while True:
                moved = await self._poll(feed)
                self._came_round()
                await self._advance(feed, moved)
                if any(tail.awaited for tail in self.tails):
                    consumer.hurry()
                await self._pass_skipped(feed)
                if self._has_restored(offsets):
                    feed.assign(self._readers())

    async def _poll(self, feed: Feed) -> list[Tail]:
        """Those that have something new to read."""
        try:
            return [self.tails[partition] for partition in await feed.poll(POLL_S)]
        except OffsetOutOfRange as error:  # one partition's: all others read on
            say_lost(error, "that partition is restored, and its callbacks are answered 503 until then")
            tail = self.tails[error.partition]
            if tail.reader is not None:
                feed.stop(tail.reader)
            tail.lose()
            self._restores_at = 0.0
            self._look()
            return []

    def _has_restored(self, offsets: Offsets) -> bool:
        """Have those just been restored that had not begun? Begins it where it is time. Raises what went wrong with it."""
        if self._restoring is None:
            waits = any(tail.reader is None and tail.stopped is None for tail in self.tails)
            if waits and self._clock.monotonic() >= self._restores_at:
                self._restores_at = self._clock.monotonic() + LOST_RETRY_S
                self._restoring = asyncio.create_task(self._restore_more(offsets))
            return False
        if not self._restoring.done():
            return False
        done, self._restoring = self._restoring, None
        done.result()
        return True

    async def _restore_more(self, offsets: Offsets) -> None:
        await self._restore(offsets)
        await self._aim(offsets)

    async def _give_up_restoring(self) -> None:
        if self._restoring is not None:
            self._restoring.cancel()
            await asyncio.wait({self._restoring})
            self._restoring = None

    async def _advance(self, feed: Feed, tails: Iterable[Tail]) -> None:
        was_current = self.current
        for tail in [tail for tail in tails if tail.reader is not None and tail.stopped is None]:
            await tail.advance()
            feed.settle(tail.partition)
            if tail.stopped is not None and tail.reader is not None:
                feed.stop(tail.reader)
                _lack(tail, None)
                self._say_stopped(tail.stopped)
        if self.current and not was_current:
            log.info("restored", partitions=len(self.tails))

    async def _pass_skipped(self, feed: Feed) -> None:
        """Let those go on that stopped at a record which an operator skipped. Raises LogUnavailable."""
        if self._clock.monotonic() < self._skips_at:
            return
        self._skips_at = self._clock.monotonic() + LOOK_S
        for tail in self.tails:
            if (stopped := tail.stopped) is not None and (found := await find_skip(self._cluster, stopped)) is not None:
                log.warning("record skipped", record=str(stopped), by=found.by, reason=found.reason)
                STOPPED.remove(stopped.topic, stopped.partition)
                tail.go_on(skip_to(found))
                if tail.reader is not None:
                    feed.start(tail.reader)
                    await self._advance(feed, (tail,))  # it holds what was fetched before it stopped

    # Restoring

    async def _restore(self, offsets: Offsets) -> None:
        """Begin every tail that has not begun. Raises ForeignLog, LogUnavailable, and SnapshotLost if there is no other."""
        slots = asyncio.Semaphore(RESTORES_AT_ONCE)

        async def restore(tail: Tail) -> None:
            async with slots:
                await self._begin(tail, offsets)

        waiting = [restore(tail) for tail in self.tails if tail.reader is None and tail.stopped is None]
        tasks = [asyncio.create_task(work) for work in waiting]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if not self._readers() and (lost := [tail.lost for tail in self.tails if tail.lost is not None]):
            raise SnapshotLost("; ".join(lost))

    async def _begin(self, tail: Tail, offsets: Offsets) -> None:
        def progress(records: int) -> None:
            self._came_round()
            tail.snapshot_read(records)

        try:
            checkpoint = await committed(offsets, tail.partition, self._log_id)
            tail.begin(
                await read_checkpoint(
                    self._cluster, offsets, tail.partition, checkpoint, keep_payload=False, progress=progress
                ),
                self._ended,
            )
        except Undecodable as error:
            tail.stop(error)
            self._say_stopped(error)
        except SnapshotLost as error:
            # The group may have committed newer ones since we asked; nobody but this partition waits for that.
            if tail.lost is None:
                log.warning("a snapshot is gone, looking again", reason=str(error))
            tail.lost = str(error)
        self._came_round()

    async def _aim(self, offsets: Offsets) -> None:
        """Tell the tails how far they must read to be current. Raises LogUnavailable."""
        behind = [tail for tail in self.tails if not tail.current and tail.stopped is None and tail.lost is None]
        ends = await offsets.ends([place for tail in behind for place in logs_of(tail.partition)])
        for tail in behind:
            tail.aim(Positions.among(ends, tail.partition))

    # Small things

    def _readers(self) -> list[PartitionReader]:
        return [tail.reader for tail in self.tails if tail.reader is not None and tail.stopped is None]

    def _forget(self) -> None:
        self._ends = self._consumer = self._feed = None

    def _hurry(self) -> None:
        if self._consumer is not None:
            self._consumer.hurry()

    def _in_doubt(self, partition: int) -> bool:
        """While nothing is read nobody knows."""
        return self._feed is None or self._feed.in_doubt(partition)

    def _came_round(self) -> None:
        self.came_round_at = self._clock.monotonic()

    def _say_stopped(self, error: Undecodable) -> None:
        self._skips_at = 0.0  # it may have been skipped long ago
        STOPPED.labels(error.topic, error.partition).set(error.offset)
        log.error(
            "partition stopped", topic=error.topic, partition=error.partition, offset=error.offset, reason=error.reason
        )


def _lack(tail: Tail, lost: LostCause | None) -> None:
    if (before := tail.lacks) is not None:
        STOPPED.remove(before.wait.topic, tail.partition)
    if lost is not None:
        STOPPED.labels(lost.wait.topic, tail.partition).set(lost.wait.offset)
    tail.lack(lost)
