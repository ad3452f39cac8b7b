"""One partition that the group gave us: restores, works, checkpoints, and restores again when an incarnation ends.

PARKED      the group is rebalancing
RESTORING   Fence acked -> commit -> its snapshot -> ends of the four logs -> fold until every cursor is there
RUNNING     timers and POSTs
STOPPED     at a record that this version cannot read (rule 7); goes on when an operator skipped it, or with a new version.
            Or a record waits for a cause that is lost: it reads on, on its token, and goes on once the cause is there
"""

import asyncio
import contextlib
from collections.abc import Iterator
from enum import StrEnum
from functools import partial

import structlog

from hookline.chain.events import Fence
from hookline.chain.fold import PartitionFold
from hookline.chain.state import Chain
from hookline.errors import (
    CommitRefused,
    Fenced,
    ForeignLog,
    HooklineError,
    LogError,
    LogTruncated,
    OffsetOutOfRange,
    Undecodable,
    Unfoldable,
)
from hookline.log.causes import LostCause
from hookline.log.codec import encode
from hookline.log.losses import say_lost
from hookline.log.reader import PartitionReader, Read
from hookline.log.records import Positions, logs_of
from hookline.log.skips import Skip, covering
from hookline.log.snapshots import committed, read_checkpoint
from services.dispatcher import metrics
from services.dispatcher.brake import Brake
from services.dispatcher.checkpoint import Checkpoints
from services.dispatcher.stop import until_skipped
from services.dispatcher.surroundings import Surroundings
from services.dispatcher.transport import Transport
from services.dispatcher.troubles import Troubles
from services.dispatcher.worker import Worker

__all__ = ["Partition", "State"]

log = structlog.get_logger()


class State(StrEnum):
    PARKED = "parked"
    RESTORING = "restoring"
    RUNNING = "running"
    STOPPED = "stopped"


class Partition:
    """Lives from its assignment until `close`. The poll loop calls `on_data` after each poll that brought something."""

    def __init__(self, number: int, transport: Transport, around: Surroundings) -> None:
        self.number = number
        self.state = State.RESTORING
        self.detail = "waiting for its turn"
        self.worker: Worker | None = None
        self._transport = transport
        self._around = around
        self._reader: PartitionReader | None = None
        self._checkpoints: Checkpoints | None = None
        self._ends: Positions | None = None
        self._must_leave = False
        self._lacks = False
        """Is it stopped because a cause is lost?"""
        self._skips: set[Skip] = set()
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._began = 0.0
        self._running_since: float | None = None
        self._brake = Brake(around.random)
        self._assigned = asyncio.Event()
        self._assigned.set()
        self._fencing = asyncio.Lock()
        self._draining = False
        self._task = asyncio.create_task(self._live())

    # ---- called by the poll loop and the group

    def on_data(self) -> None:
        """Hand out what may be read; what goes wrong here ends the incarnation."""
        if self._reader is None or self.worker is None or self._failed.done():
            return
        try:
            for read in self._reader.read():
                self._take(self.worker, read)
            self._transport.feed.settle(self.number)
            self._advance()
        except Exception as error:  # noqa: BLE001 - crash only: `_live` restores from the log
            self._fail(error)

    def lose(self, error: OffsetOutOfRange) -> None:
        """A log has lost what was read of it: what is in memory is of no use."""
        say_lost(error, "that partition is restored from what there is")
        if self._reader is not None:
            self._fail(error)

    def _take(self, worker: Worker, read: Read) -> None:
        try:
            worker.take(read)
        except Unfoldable as error:
            if covering(self._skips, read.record.topic, error.offset) is None:
                raise

    def tick(self) -> None:
        """After every poll: what is due by time, and a checkpoint when one is due."""
        if self.state is not State.RUNNING or self.worker is None or self._failed.done():
            return
        try:
            self.worker.turn()
            if self._checkpoints is not None:
                self._checkpoints.tick()
        except Exception as error:  # noqa: BLE001 - as above
            self._fail(error)

    def park(self) -> None:
        """Revoked, perhaps only for the length of a rebalance: keep memory and token, begin nothing."""
        self._assigned.clear()
        self._stop_reading()
        if self.worker is not None and (self.state is State.RUNNING or self._lacks):
            self._lack_nothing()
            self.worker.pause()
            self.state, self.detail = State.PARKED, "the group is rebalancing"

    def unpark(self) -> None:
        """Assigned again. Goes on once `deliveries` was read to its end: a Fence above ours there ends the incarnation.

        Where a deposed leader hides one, this worker is a zombie until it reads it: what it decides is void.
        """
        self._assigned.set()
        if self._reader is not None:
            self._transport.feed.start(self._reader)
            self._read_on("reading on after a rebalance")

    def lack(self, lost: LostCause | None) -> None:
        """A record waits for that cause: nothing is decided or POSTed until it is there. None: there is no such record.

        It keeps its token and reads on, since that is what brings the cause: another Fence would change nothing.
        """
        if lost is None:
            if self._lacks:
                self._lack_nothing()
                self._read_on("reading on: the cause is there")
            return
        if self.worker is not None and self.state in (State.RESTORING, State.RUNNING) and not self._failed.done():
            self.worker.pause()
            self.state, self._lacks = State.STOPPED, True
            metrics.STOPPED.inc()
        if self._lacks:
            self.detail = str(lost)

    def _lack_nothing(self) -> None:
        if self._lacks:
            self._lacks = False
            metrics.STOPPED.dec()

    @property
    def next_due(self) -> int | None:
        """Unix ms of the earliest timer."""
        return self.worker.next_due if self.worker is not None and self.state is State.RUNNING else None

    def troubles(self) -> Iterator[str]:
        """What is wrong with single chains and records of it, one line each."""
        return iter(()) if self.worker is None else self.worker.troubles.words()

    async def settled(self) -> None:
        """No POST is open, every append (our Fence, too) acked, every commit answered: another may have the partition.

        Only after `park` or `begin_drain`, which begin no more of them.
        """
        async with self._fencing:
            pass
        if self.worker is not None:
            await self.worker.settled()
        if self._checkpoints is not None:
            await self._checkpoints.settled()

    def begin_drain(self) -> None:
        """SIGTERM: decide and begin nothing any more."""
        self._draining = True
        if self.worker is not None:
            self.worker.pause()

    async def drained(self) -> None:
        """Settled, and a last checkpoint taken, so that the next owner has little to read."""
        await self.settled()
        if self._checkpoints is not None and self.state is State.RUNNING:
            await self._checkpoints.finish()

    async def close(self) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        await self._drop()

    # ---- an incarnation

    async def _live(self) -> None:
        while True:
            try:
                await self._assigned.wait()
                await self._incarnation()
            except Undecodable as error:
                self.state, self.detail = State.RESTORING, "looking whether the record was skipped"
                await self._drop()
                self._skips.add(
                    await until_skipped(error, self._transport.cluster, self._around.clock, partial(self._stop, error))
                )
                continue
            except ForeignLog as error:
                self._transport.end(error)
                return
            except Exception as error:  # noqa: BLE001 - crash only (rule 5): whatever it was, the log has the truth
                pause_s = self._brake.pause_s(error, self._ran_s())
                self._report(error, pause_s)
                self._must_leave |= isinstance(error, CommitRefused)
            self.state = State.RESTORING
            await self._drop()
            if self._must_leave:
                self._must_leave = False
                await self._transport.leave()
            await asyncio.sleep(pause_s)

    def _stop(self, error: Undecodable) -> None:
        self.state, self.detail = State.STOPPED, str(error)

    def _ran_s(self) -> float:
        """Seconds since the incarnation that has just ended got to RUNNING; 0 where it did not."""
        return self._around.clock.monotonic() - self._running_since if self._running_since is not None else 0.0

    def _report(self, error: Exception, pause_s: float) -> None:
        cause = type(error).__name__
        metrics.INCARNATIONS.labels(cause if isinstance(error, HooklineError) else "bug").inc()
        self.detail = f"restoring after {cause}" + (f": {error}" if isinstance(error, LogError) else "")
        if isinstance(error, HooklineError):
            log.warning("restoring", partition=self.number, cause=cause, reason=str(error), pause_s=round(pause_s, 2))
        else:
            log.error(
                "restoring after an unexpected error", partition=self.number, pause_s=round(pause_s, 2), exc_info=error
            )

    async def _incarnation(self) -> None:
        """Restore, then run until something fails; never returns."""
        self._failed = asyncio.get_running_loop().create_future()
        self._began, self._running_since = self._around.clock.monotonic(), None
        token = await self._fence()
        checkpoint = await committed(self._transport.offsets, self.number, self._transport.log_id)
        if checkpoint is not None and checkpoint.fence > token:
            raise Fenced(f"partition {self.number}: the commit names fence {checkpoint.fence}, above our token {token}")
        self.detail = "reading its snapshot"
        restored = await read_checkpoint(
            self._transport.cluster, self._transport.offsets, self.number, checkpoint, progress=self._progress
        )
        reader = PartitionReader(
            self.number, restored.positions, restored.fence, restored.positions.deliveries, self._skips
        )
        # A deposed leader may answer with old ends. `deliveries` is read to our own Fence all the same, and so is all that workers
        # before us decided; what is missed of the others is read later, as what comes in is (docs/design.md section 4, rule 4).
        self._ends, self._reader = await self._ends_now(reader, token), reader
        troubles = Troubles(self.number)
        fold = PartitionFold(restored.chains.values(), restored.repeats, on_end=_count_end, on_misfit=troubles.misfit)
        self.worker = Worker(token, self._reader, fold, self._around, troubles, self._fail)
        self._checkpoints = Checkpoints(
            self.number, self._transport.writer, self._transport.offsets, self._transport.commit, self._transport.log_id,
            self.worker, self._around.clock, self._fail, previous=restored.snapshot, min_events=self._transport.checkpoint_events,
        )  # fmt: skip
        if self._assigned.is_set():
            self._transport.feed.start(self._reader)
        self._advance()
        await self._failed

    async def _fence(self) -> int:
        self.state, self.detail = State.RESTORING, "taking the partition"
        now = self._around.clock.now_ms()
        fence = Fence(owner=self._transport.owner, fenced_at=now)
        async with self._fencing:
            return await self._transport.writer.append(encode(fence, self.number, now_ms=now))

    def _progress(self, records: int) -> None:
        self.detail = f"reading its snapshot: {records} records"

    def _advance(self) -> None:
        """To RUNNING when every cursor is at or past its end; then decide for what was touched."""
        if self.worker is None or self._reader is None or self._draining or not self._assigned.is_set():
            return
        if self.state is State.RUNNING:
            self.worker.settle()
        elif self.state is State.RESTORING and self._ends is not None:
            positions = self._reader.positions
            if positions.reached(self._ends):
                self.state, self.detail = State.RUNNING, ""
                self._running_since = self._around.clock.monotonic()
                self._report_running(self.worker)
                self.worker.run()
            else:
                left = sum(max(0, end - mine) for mine, end in zip(positions, self._ends, strict=True))
                self.detail = f"{left} events to read"

    def _report_running(self, worker: Worker) -> None:
        seconds = self._around.clock.monotonic() - self._began
        metrics.RESTORE_SECONDS.observe(seconds)
        log.info("running", partition=self.number, open_chains=len(worker.fold.chains), seconds=round(seconds, 3))

    async def _ends_now(self, reader: PartitionReader, token: int) -> Positions:
        """That of `deliveries` past the Fence of that token, at least.

        Raises LogTruncated where that reader has read further: it would count as there, and is in another log.
        """
        at = reader.positions
        ends = Positions.among(await self._transport.offsets.ends(logs_of(self.number)), self.number)
        if (topic := at.beyond(ends)) is not None:
            raise LogTruncated(topic, self.number, at.of(topic), f"the log ends at {ends.of(topic)}")
        return ends._replace(deliveries=max(ends.deliveries, token + 1))

    def _read_on(self, detail: str) -> None:
        """Under the same token: RUNNING once all is read that is there by then."""
        self.state, self.detail, self._ends = State.RESTORING, detail, None
        self._began = self._around.clock.monotonic()
        worker = self.worker
        assert worker is not None, "it has a reader"

        async def ask() -> None:
            try:
                ends = await self._ends_now(worker.reader, worker.token)
            except Exception as error:  # noqa: BLE001 - crash only
                if worker is self.worker:
                    self._fail(error)
                return
            if worker is self.worker:
                self._ends = ends
                self.on_data()

        self._ends_task = asyncio.create_task(ask())

    def _fail(self, error: Exception) -> None:
        """The incarnation is over: from now on nothing is read, decided or POSTed; `_live` takes it from here."""
        if not self._failed.done():
            self._failed.set_exception(error)
        if self.worker is not None:
            self.worker.pause()

    def _stop_reading(self) -> None:
        if self._reader is not None:
            self._transport.feed.stop(self._reader)

    async def _drop(self) -> None:
        """Forget worker, memory and token."""
        self._stop_reading()
        self._lack_nothing()
        worker, self.worker, self._reader, self._ends = self.worker, None, None, None
        checkpoints, self._checkpoints = self._checkpoints, None
        if checkpoints is not None:
            self._must_leave |= isinstance(await checkpoints.close(), CommitRefused)
        if worker is not None:
            await worker.close()
        metrics.OPEN_CHAINS.labels(self.number).set(0)


def _count_end(chain: Chain) -> None:
    assert chain.ending is not None
    metrics.ENDED.labels(chain.ending.reason or "completed").inc()
