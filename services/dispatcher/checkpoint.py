"""When a partition's snapshot is taken, written, committed, and what it allows to delete (design section 4, rule 3)."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias
from uuid import UUID, uuid4

import structlog

from hookline.clock import Clock
from hookline.errors import LogUnavailable, RecordRefused
from hookline.log.cluster import Commit, Offsets
from hookline.log.records import Place, Topic
from hookline.log.snapshots import Checkpoint, Snapshot, write_snapshot
from hookline.log.writer import Writer
from services.dispatcher import metrics
from services.dispatcher.worker import Worker

__all__ = ["MIN_EVENTS", "Checkpoints", "CommitRequest"]

log = structlog.get_logger()

CommitRequest: TypeAlias = Callable[[Mapping[Place, Commit]], Awaitable[None]]

MIN_EVENTS = 10_000
MAX_AGE_S = 3_600.0


class Checkpoints:
    """Takes a snapshot when more events were read since the last than it had entries: writing at most doubles.

    `previous`: where the snapshot begins that the last commit named; what lies below it is deleted after the next commit
    (one more than needed), nothing else.
    """

    def __init__(
        self,
        partition: int,
        writer: Writer,
        offsets: Offsets,
        commit: CommitRequest,
        log_id: UUID,
        worker: Worker,
        clock: Clock,
        fail: Callable[[Exception], None],
        *,
        previous: int | None,
        min_events: int = MIN_EVENTS,
    ) -> None:
        self._partition = partition
        self._writer = writer
        self._offsets = offsets
        self._commit = commit
        self._log_id = log_id
        self._worker = worker
        self._clock = clock
        self._fail = fail
        self._previous = previous
        self._min_events = min_events
        self._events = 0
        """Events read when the last snapshot was taken."""
        self._entries = 0
        self._taken_at = clock.monotonic()
        self._task: asyncio.Task[None] | None = None
        self._committing = False

    @property
    def _unsaved(self) -> int:
        return self._worker.events_read - self._events

    def tick(self) -> None:
        """Begin a checkpoint when one is due; only while RUNNING."""
        if self._task is None and self._due():
            self._task = asyncio.create_task(self._take())
            self._task.add_done_callback(self._done)

    async def written(self) -> None:
        """Wait for the one that is under way, if any."""
        if self._task is not None:
            await asyncio.wait({self._task})

    async def finish(self) -> None:
        """Take a last one, if anything was read since. Failing is no harm: the next owner reads more."""
        await self.written()
        if self._unsaved:
            await self._take()

    async def close(self) -> BaseException | None:
        """Give up what is being written. A commit that was sent is waited for: what went wrong with it, if anything did.

        Otherwise it might land behind a commit of the next incarnation, which has deleted what it names.
        """
        task = self._task
        if task is None:
            return None
        if not self._committing:
            task.cancel()
        await asyncio.wait({task})
        return None if task.cancelled() else task.exception()

    def _due(self) -> bool:
        if self._unsaved > max(self._min_events, self._entries):
            return True
        return self._unsaved > 0 and self._clock.monotonic() - self._taken_at > MAX_AGE_S

    async def _take(self) -> None:
        fold, reader = self._worker.fold, self._worker.reader
        # One instant: nothing is awaited between these lines.
        snapshot = Snapshot(dict(fold.chains), dict(fold.repeats.until), fold.repeats.clock)
        positions, fence = reader.positions, reader.fence
        self._events, self._taken_at = self._worker.events_read, self._clock.monotonic()
        self._entries = len(snapshot.chains) + len(snapshot.windows)
        assert fence is not None, "a worker has read its own Fence"

        try:
            first = await write_snapshot(self._writer, self._partition, uuid4(), snapshot)
        except RecordRefused as refused:
            # A restore would change nothing, and repeat POSTs. Chains go on; only a restart reads more until it is mended.
            log.error("no checkpoint: Kafka refuses the snapshot", partition=self._partition, reason=str(refused))
            return
        self._committing = True
        try:
            await self._commit(Checkpoint(positions, fence, first, self._log_id).commits(self._partition))
        finally:
            self._committing = False
        metrics.CHECKPOINTS.inc()
        metrics.CHECKPOINT_TIME.labels(self._partition).set(self._clock.now_ms() / 1000)
        log.info("checkpoint", partition=self._partition, chains=len(snapshot.chains), windows=len(snapshot.windows))
        before, self._previous = self._previous, first
        if before is not None:
            # What is not deleted now goes with the next checkpoint: no reason to drop a worker's memory.
            with contextlib.suppress(LogUnavailable):
                await self._offsets.delete_below(Place(Topic.SNAPSHOTS, self._partition), before)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._task = None
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error if isinstance(error, Exception) else RuntimeError(repr(error)))
