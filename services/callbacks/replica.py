"""A replica of callbacks: the tails of all partitions, restored from the dispatcher's commits and read on without end.

A partition starts as a dispatcher's does, without the Fence (design section 6): commit -> that snapshot -> the tails.
Which commits are made later does not matter to one that runs.
"""

import asyncio
from collections.abc import Iterable
from contextlib import AsyncExitStack
from uuid import UUID

import structlog

from hookline.clock import Clock
from hookline.errors import LogUnavailable, Refused, SnapshotLost, Unavailable, Undecodable
from hookline.log.causes import LostCauses
from hookline.log.cluster import Cluster, Consumer, Offsets
from hookline.log.ends import SharedEnds
from hookline.log.feed import Feed
from hookline.log.reader import PartitionReader
from hookline.log.records import Place, Positions, Topic, logs_of
from hookline.log.skips import LOOK_S, Skip, find_skip
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

    def __init__(self, cluster: Cluster, partitions: int, log_id: UUID, clock: Clock) -> None:
        self.tails = tuple(Tail(partition, self._hurry) for partition in range(partitions))
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
        self._ended = EndedChains(clock.monotonic)
        self._ends: SharedEnds | None = None
        self._consumer: Consumer | None = None
        self._skips_at = 0.0

    @property
    def reads(self) -> bool:
        """Does Kafka let it read on, as far as it knows?"""
        return self.trouble is None and self.unanswered is None

    @property
    def current(self) -> bool:
        """Is every partition restored? One that stopped holds up no other, unless none is left."""
        stopped = sum(tail.stopped is not None for tail in self.tails)
        return stopped < len(self.tails) and all(tail.current or tail.stopped is not None for tail in self.tails)

    def progress(self) -> str:
        """How far it is, in words: which partitions are not current, and why; what is wrong just now."""
        behind = [tail for tail in self.tails if not tail.current or tail.stopped is not None]
        said = [f"{len(self.tails) - len(behind)} of {len(self.tails)} partitions are current"]
        said += [f"partition {tail.partition}: {tail.progress()}" for tail in behind]
        if (trouble := self.trouble or self.unanswered) is not None:
            said.append(f"trying again: {trouble}")
        return "; ".join(said)

    async def ends(self, places: Iterable[Place] | None = None) -> dict[Place, int]:
        """End offsets of those places (default: of all logs), as they stood at some moment after this call; one ListOffsets
        for all who ask.

        Raises LogUnavailable, and Unavailable while nothing is read.
        """
        if self._ends is None:
            raise Unavailable("Kafka does not answer")
        return await self._ends.now(places)

    async def run(self) -> None:
        """Read until cancelled, and begin anew from where it was when Kafka was away.

        Raises ForeignLog; OffsetOutOfRange, where the log is not the one that was read: what is in memory is of no use then.
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
        """Keep the lag's metric, until cancelled. Raises ForeignLog where a record waits for one that its topic has lost."""
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
            causes.check(waits, ends)
            for tail in self.tails:
                lag = sum(Positions.among(ends, tail.partition)) - sum(tail.positions) if ends else float("nan")
                TAIL_LAG.labels(tail.partition).set(lag)

    async def _read_on(self) -> None:
        """Restore what has not begun, then read; returns when it is time to look again for snapshots that were lost, and when
        a partition goes on past a skipped record."""
        async with AsyncExitStack() as stack:
            offsets = await self._cluster.offsets()
            stack.push_async_callback(offsets.close)
            consumer = await self._cluster.consumer(gather_ms=GATHER_MS)
            stack.push_async_callback(consumer.close)
            await self._restore(offsets)
            await self._aim(offsets)
            feed = Feed(consumer)
            feed.assign(self._readers())
            self._consumer = consumer
            self._ends = SharedEnds(offsets, [place for tail in self.tails for place in logs_of(tail.partition)])
            stack.callback(self._forget)
            self.trouble, self.refused = None, False
            look_again_at = self._clock.monotonic() + LOST_RETRY_S
            # One that goes on past a skipped record holds what was fetched before it stopped.
            await self._advance(feed, self.tails)
            while self._clock.monotonic() < look_again_at or not any(tail.lost for tail in self.tails):
                moved = [self.tails[partition] for partition in await feed.poll(POLL_S)]
                self._came_round()
                await self._advance(feed, moved)
                if any(tail.awaited for tail in self.tails):
                    consumer.hurry()
                if await self._pass_skipped():
                    return

    async def _advance(self, feed: Feed, tails: Iterable[Tail]) -> None:
        was_current = self.current
        for tail in [tail for tail in tails if tail.reader is not None and tail.stopped is None]:
            await tail.advance()
            feed.settle(tail.partition)
            if tail.stopped is not None and tail.reader is not None:
                feed.stop(tail.reader)
                self._say_stopped(tail.stopped)
        if self.current and not was_current:
            log.info("restored", partitions=len(self.tails))

    async def _pass_skipped(self) -> bool:
        """Let those go on that stopped at a record which an operator skipped; is there any? Raises LogUnavailable."""
        if self._clock.monotonic() < self._skips_at:
            return False
        self._skips_at = self._clock.monotonic() + LOOK_S
        gone_on = False
        for tail in self.tails:
            if (stopped := tail.stopped) is not None and (found := await find_skip(self._cluster, stopped)) is not None:
                log.warning("record skipped", record=str(stopped), by=found.by, reason=found.reason)
                STOPPED.remove(stopped.topic, stopped.partition)
                tail.go_on(Skip(Topic(found.topic), found.offset))
                gone_on = True
        return gone_on

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
        self._ends = self._consumer = None

    def _hurry(self) -> None:
        if self._consumer is not None:
            self._consumer.hurry()

    def _came_round(self) -> None:
        self.came_round_at = self._clock.monotonic()

    def _say_stopped(self, error: Undecodable) -> None:
        self._skips_at = 0.0  # it may have been skipped long ago
        STOPPED.labels(error.topic, error.partition).set(error.offset)
        log.error(
            "partition stopped", topic=error.topic, partition=error.partition, offset=error.offset, reason=error.reason
        )
