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

import structlog

from hookline.chain.events import Fence
from hookline.errors import (
    CommitRefused,
    ForeignLog,
    HooklineError,
    LogError,
    OffsetOutOfRange,
    Undecodable,
    Unfoldable,
)
from hookline.log.causes import LostCause
from hookline.log.codec import encode
from hookline.log.losses import say_lost
from hookline.log.reader import Read
from hookline.log.reader_status import ReaderStatus, until_skipped
from hookline.log.reader_status import State as Stands
from hookline.log.skips import Skip, covering
from services.dispatcher import metrics
from services.dispatcher.brake import Brake
from services.dispatcher.incarnation import UNKNOWN, Incarnation, ends_now, restored
from services.dispatcher.surroundings import Surroundings
from services.dispatcher.transport import Transport
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
        self.status = ReaderStatus("dispatcher", number)
        self._is_parked = False
        self._transport = transport
        self._around = around
        self._incarnation: Incarnation | None = None
        self._must_leave = False
        self._skips: set[Skip] = set()
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._brake = Brake(around.random)
        self._assigned = asyncio.Event()
        self._assigned.set()
        self._fencing = asyncio.Lock()
        self._draining = False
        self.status.restoring("waiting for its turn")
        self._task = asyncio.create_task(self._live())

    @property
    def state(self) -> State:
        if self._is_parked:
            return State.PARKED
        match self.status.state:
            case Stands.RESTORING:
                return State.RESTORING
            case Stands.CURRENT:
                return State.RUNNING
            case _:
                return State.STOPPED

    @property
    def worker(self) -> Worker | None:
        return self._incarnation.worker if self._incarnation is not None else None

    def words(self) -> str:
        """Where it stands, and why."""
        match self.state:
            case State.PARKED:
                return f"{State.PARKED}: the group is rebalancing"
            case State.RESTORING:
                return f"{State.RESTORING}: {self.status}"
            case State.RUNNING | State.STOPPED:
                return str(self.status)

    # ---- called by the poll loop and the group

    def on_data(self) -> None:
        """Deliver what may be read; an error here ends the incarnation."""
        if (now := self._incarnation) is None or self._failed.done():
            return
        try:
            for read in now.reader.read():
                self._take(now.worker, read)
            self._transport.feed.adjust(self.number)
            self._advance(now)
        except Exception as error:  # noqa: BLE001 - crash only: `_live` restores from the log
            self._fail(error)

    def lose(self, error: OffsetOutOfRange) -> None:
        """A log lost records that were already read: the memory of this partition is useless."""
        say_lost(error, "the partition is restored from what is left")
        if self._incarnation is not None:
            self._fail(error)

    def _take(self, worker: Worker, read: Read) -> None:
        try:
            worker.take(read)
        except Unfoldable as error:
            if covering(self._skips, read.record.topic, error.offset) is None:
                raise

    def tick(self) -> None:
        """After every poll: what is due by time, and a checkpoint when one is due."""
        if (now := self._incarnation) is None or self.state is not State.RUNNING or self._failed.done():
            return
        try:
            now.worker.turn()
            now.checkpoints.tick()
        except Exception as error:  # noqa: BLE001 - as above
            self._fail(error)

    def park(self) -> None:
        """Revoked, perhaps only for the length of a rebalance: keep memory and token, begin nothing."""
        self._assigned.clear()
        if (now := self._incarnation) is None:
            return
        self._transport.feed.stop(now.reader)
        if self.state is State.RUNNING or self.status.halt is not None:
            now.worker.pause()
            self._is_parked = True
            self.status.restoring("parked")

    def unpark(self) -> None:
        """Assigned again. Goes on once `deliveries` was read to its end: a Fence above ours there ends the incarnation.

        Where a deposed leader hides one, this worker is a zombie until it reads it: what it decides is void.
        """
        self._assigned.set()
        if (now := self._incarnation) is not None:
            self._transport.feed.start(now.reader)
            self._read_on(now, "reading on after a rebalance")

    def lack(self, lost: LostCause | None) -> None:
        """A record waits for that cause: nothing is decided or POSTed until it is there. None: there is no such record.

        It keeps its token and reads on, since that is what brings the cause: another Fence would change nothing.
        """
        if (now := self._incarnation) is None or self._is_parked or self._failed.done():
            return
        if lost is not None:
            now.worker.pause()
            self.status.lack(lost)
        elif self.status.lack(None):
            self._read_on(now, "reading on: the cause is there")

    @property
    def next_due(self) -> int | None:
        """Unix ms of the earliest timer."""
        return self.worker.next_due if self.worker is not None and self.state is State.RUNNING else None

    def troubles(self) -> Iterator[str]:
        """What is wrong with single chains and records of it, one line each."""
        return iter(()) if self.worker is None else self.worker.troubles.words()

    async def quiesced(self) -> None:
        """No POST is open, every append (our Fence, too) acked, every commit answered: another may have the partition.

        Only after `park` or `begin_drain`, which begin no more of them.
        """
        async with self._fencing:
            pass
        if (now := self._incarnation) is not None:
            await now.worker.quiesced()
            await now.checkpoints.written()

    def begin_drain(self) -> None:
        """SIGTERM: decide and begin nothing any more."""
        self._draining = True
        if self.worker is not None:
            self.worker.pause()

    async def drained(self) -> None:
        """Quiesced, and a last checkpoint taken, so that the next owner has little to read."""
        await self.quiesced()
        if (now := self._incarnation) is not None and self.state is State.RUNNING:
            await now.checkpoints.finish()

    async def close(self) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        await self._drop()
        self.status.close()

    # ---- an incarnation

    async def _live(self) -> None:
        while True:
            try:
                await self._assigned.wait()
                await self._incarnate()
            except Undecodable as error:
                self._restoring("checking whether the record was skipped")
                await self._drop()
                transport, clock = self._transport, self._around.clock
                self._skips.add(await until_skipped(self.status, error, transport.cluster, clock))
                continue
            except ForeignLog as error:
                self._transport.end(error)
                return
            except Exception as error:  # noqa: BLE001 - crash only (rule 5): whatever it was, the log has the truth
                now = self._incarnation
                ran_s = 0.0 if now is None else now.ran_s(self._around.clock.monotonic())
                pause_s = self._brake.pause_s(error, ran_s)
                self._report(error, pause_s)
                self._must_leave |= isinstance(error, CommitRefused)
            await self._drop()
            if self._must_leave:
                self._must_leave = False
                await self._transport.leave()
            await asyncio.sleep(pause_s)

    def _restoring(self, detail: str) -> None:
        self._is_parked = False
        self.status.restoring(detail)

    def _report(self, error: Exception, pause_s: float) -> None:
        cause = type(error).__name__
        metrics.INCARNATIONS.labels(cause if isinstance(error, HooklineError) else "bug").inc()
        self._restoring(f"restoring after {cause}" + (f": {error}" if isinstance(error, LogError) else ""))
        if isinstance(error, HooklineError):
            log.warning("restoring", partition=self.number, cause=cause, reason=str(error), pause_s=round(pause_s, 2))
        else:
            log.error(
                "restoring after an unexpected error", partition=self.number, pause_s=round(pause_s, 2), exc_info=error
            )

    async def _incarnate(self) -> None:
        """Restore, then run until something fails; never returns."""
        self._failed = asyncio.get_running_loop().create_future()
        token = await self._fence()
        now = self._incarnation = await restored(
            self.number, token, self._transport, self._around, self._skips, self.status, self._fail
        )
        if self._assigned.is_set():
            self._transport.feed.start(now.reader)
        self._advance(now)
        await self._failed

    async def _fence(self) -> int:
        self._restoring("taking the partition")
        now = self._around.clock.now_ms()
        fence = Fence(owner=self._transport.owner, fenced_at=now)
        async with self._fencing:
            return await self._transport.writer.append(encode(fence, self.number, now_ms=now))

    def _advance(self, now: Incarnation) -> None:
        """To RUNNING when every cursor is at or past its end; then decide for what was touched."""
        if self._draining or not self._assigned.is_set():
            return
        if self.state is State.RUNNING:
            now.worker.decide_touched()
        elif self.state is State.RESTORING and now.ends is not UNKNOWN:
            if now.reader.positions.reached(now.ends):
                self.status.current()
                now.running_since = self._around.clock.monotonic()
                self._report_running(now)
                now.worker.run()
            else:
                self.status.restoring(f"{now.reader.positions.behind(now.ends)} events to read")

    def _report_running(self, now: Incarnation) -> None:
        seconds = now.running_since - now.began_at
        metrics.RESTORE_SECONDS.observe(seconds)
        log.info("running", partition=self.number, open_chains=len(now.worker.fold.chains), seconds=round(seconds, 3))

    def _read_on(self, now: Incarnation, detail: str) -> None:
        """Under the same token: RUNNING once all is read that is there by then."""
        self._restoring(detail)
        now.ends, now.began_at = UNKNOWN, self._around.clock.monotonic()

        async def ask() -> None:
            try:
                ends = await ends_now(self._transport, now.reader, now.worker.token)
            except Exception as error:  # noqa: BLE001 - crash only
                if now is self._incarnation:
                    self._fail(error)
                return
            if now is self._incarnation:
                now.ends = ends
                self.on_data()

        self._ends_task = asyncio.create_task(ask())

    def _fail(self, error: Exception) -> None:
        """The incarnation is over: from now on nothing is read, decided or POSTed; `_live` takes it from here."""
        if not self._failed.done():
            self._failed.set_exception(error)
        if self.worker is not None:
            self.worker.pause()

    async def _drop(self) -> None:
        """Forget worker, memory and token."""
        now, self._incarnation = self._incarnation, None
        if now is not None:
            self._transport.feed.stop(now.reader)
            self._must_leave |= isinstance(await now.checkpoints.close(), CommitRefused)
            await now.worker.close()
        metrics.OPEN_CHAINS.labels(self.number).set(0)
