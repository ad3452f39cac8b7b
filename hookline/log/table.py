"""The `pipelines` topic as a table in memory: tailed by ingress and console, waited for by offset (after Karapace's schema reader)."""

import asyncio
import contextlib
import re
from collections.abc import Sequence
from uuid import UUID

from hookline.chain.matching import is_glob, pattern_of
from hookline.chain.pipeline import LOG_ID_KEY, LogId, Pipeline
from hookline.errors import Unavailable
from hookline.log.cluster import Cluster, Consumer
from hookline.log.codec import decode_setting
from hookline.log.ends import SharedEnds
from hookline.log.losses import until_sure
from hookline.log.records import PIPELINES, DamagedBatch, RawRecord

__all__ = ["PipelineTable"]

POLL_S = 1.0


class PipelineTable:
    """All pipelines, as of `position`. `run` reads until it is cancelled; everything else may be called meanwhile.

    ready means offsets reached: not how long it has run, but that it is at the end as it stood when it was asked.
    """

    def __init__(self, cluster: Cluster) -> None:
        self.position = 0
        """Next offset to read."""
        self.log_id: UUID | None = None
        self.pipelines: dict[str, Pipeline] = {}
        self.offsets: dict[str, int] = {}
        """Where each pipeline's latest record lies: of two with one name, the topic's order decides."""
        self._by_repository: dict[str, tuple[Pipeline, ...]] = {}
        self._globs: dict[str, tuple[re.Pattern[str], Pipeline]] = {}
        """Those for a glob of repositories: looked through for each push, so with the glob made ready."""
        self._cluster = cluster
        self._ends: SharedEnds | None = None
        self._consumer: Consumer | None = None
        self._moved = asyncio.Condition()

    async def run(self) -> None:
        """Tail the topic. Raises Undecodable, and LogUnavailable when its consumer gives up: then run it again.

        OffsetOutOfRange: what is in the table came from records that are gone: `forget` it first.
        """
        async with contextlib.AsyncExitStack() as stack:
            offsets = await self._cluster.offsets()
            stack.push_async_callback(offsets.close)
            consumer = await self._cluster.consumer()
            stack.push_async_callback(consumer.close)
            start = (await offsets.starts((PIPELINES,)))[PIPELINES]
            consumer.assign({PIPELINES: max(start, self.position)})
            self._ends, self._consumer = SharedEnds(offsets, (PIPELINES,)), consumer
            stack.callback(self._stopped)
            while True:
                for records in (await consumer.poll(POLL_S)).values():
                    self._apply(records)
                    async with self._moved:
                        self._moved.notify_all()

    @property
    def running(self) -> bool:
        """Is the topic read just now?"""
        return self._ends is not None

    def for_push(self, repository: str) -> tuple[Pipeline, ...]:
        """Those that a push to the repository may be for: registered for it, or for a glob that has it."""
        exact = () if is_glob(repository) else self.of_repository(repository)
        return (*exact, *[pipeline for glob, pipeline in self._globs.values() if glob.match(repository)])

    def of_repository(self, repository: str) -> tuple[Pipeline, ...]:
        """Those registered for that repository, or for that very glob."""
        return self._by_repository.get(repository, ())

    async def caught_up(self, timeout_s: float) -> int:
        """Wait until the table has reached the topic's end as it stood after this call began; the position it then has.

        Raises Unavailable after `timeout_s`, or while the table is not running; LogUnavailable when Kafka does not answer.
        """
        try:
            async with asyncio.timeout(timeout_s):
                return await self.at_the_end()
        except TimeoutError:
            raise Unavailable(f"the pipelines were not read to their end within {timeout_s:g} s") from None

    async def at_the_end(self) -> int:
        """As `caught_up`, for a caller that bounds its time itself."""
        if self._ends is None:
            raise Unavailable("the pipelines are not read yet")
        before = self.position
        if (end := (await self._ends.now())[PIPELINES]) < before:
            raise Unavailable("the pipelines topic ends before what was already read")
        return await self.wait_for(end)

    async def wait_for(self, offset: int) -> int:
        """Wait until everything below that offset is read (read your own writes), and is what was read; the position.

        After its broker was away, a position past that offset may be one in a log that is gone.
        """
        await until_sure(lambda: self._consumer is not None and self._consumer.in_doubt(PIPELINES))
        if self.position < offset:
            async with self._moved:
                await self._moved.wait_for(lambda: self.position >= offset)
        return self.position

    def forget(self) -> None:
        """Everything: the topic has lost what was read of it. The next `run` reads it from its beginning."""
        self.position, self.log_id = 0, None
        for known in (self.pipelines, self.offsets, self._by_repository, self._globs):
            known.clear()

    def _stopped(self) -> None:
        self._ends = self._consumer = None

    def _apply(self, records: Sequence[RawRecord]) -> None:
        for raw in records:
            if raw.key == LOG_ID_KEY or isinstance(raw, DamagedBatch):
                self.log_id = decode_setting(raw, LogId).log_id
            elif raw.key is not None:
                self._put(
                    raw.key.decode(), decode_setting(raw, Pipeline) if raw.value is not None else None, raw.offset
                )
            self.position = raw.next_offset

    def _put(self, pipeline_id: str, pipeline: Pipeline | None, offset: int) -> None:
        old = self.pipelines.pop(pipeline_id, None)
        self.offsets.pop(pipeline_id, None)
        self._globs.pop(pipeline_id, None)
        if pipeline is not None:
            if is_glob(pipeline.repository):
                self._globs[pipeline_id] = pattern_of(pipeline.repository), pipeline
            self.pipelines[pipeline_id] = pipeline
            self.offsets[pipeline_id] = offset
        for repository in {p.repository for p in (old, pipeline) if p is not None}:
            others = (p for p in self._by_repository.get(repository, ()) if p.pipeline_id != pipeline_id)
            mine = (pipeline,) if pipeline is not None and pipeline.repository == repository else ()
            self._by_repository[repository] = (*others, *mine)
