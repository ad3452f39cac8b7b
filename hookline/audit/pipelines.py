"""The `pipelines` topic as it stood at any of its offsets: which log_id was in force, and which plans a push got (I13).

It is compacted, so an older version of a pipeline, or all of one that was deleted, may be gone. What is not known is not
judged; what is there was in force from its own offset up to the next one of its key.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from uuid import UUID

from hookline.audit.findings import BACK_MS, Finding, Invariant, Wrong
from hookline.chain.events import PushReceived
from hookline.chain.matching import is_glob, matches_repository
from hookline.chain.pipeline import LOG_ID_KEY, Dedupe, LogId, Pipeline
from hookline.errors import Undecodable
from hookline.log.codec import decode_setting
from hookline.log.records import DamagedBatch, RawRecord, Topic

__all__ = ["PipelineHistory"]

LATE_MS = 600_000
"""How much older than a push settings may be that it does not know: a request takes seconds, a stopped leader some more."""


class _Version(NamedTuple):
    """From `offset` on. `pipeline` null: deleted."""

    offset: int
    pipeline: Pipeline | None


class PipelineHistory:
    """Made of all records of the topic. `faults`: those that nobody can read, or that lie under another key than their own."""

    def __init__(self, records: Sequence[RawRecord]) -> None:
        self.faults: list[Finding] = []
        self.end = records[-1].next_offset if records else 0
        self._stamps = [(raw.offset, raw.timestamp) for raw in records if not isinstance(raw, DamagedBatch)]
        self._whole_to = next(
            (at for at, raw in enumerate(records) if raw.offset != at or isinstance(raw, DamagedBatch)), self.end
        )
        """Below it nothing was compacted away."""
        self._damaged = [raw.offset for raw in records if isinstance(raw, DamagedBatch)]
        self._log_ids: list[tuple[int, UUID]] = []
        self._versions: dict[str, list[_Version]] = {}
        self._by_repository: defaultdict[str, list[str]] = defaultdict(list)
        self._globs: dict[str, list[str]] = defaultdict(list)
        latest = 0
        for raw in records:
            if isinstance(raw, DamagedBatch):  # of no time, and of no key
                self._fault(raw, f"it cannot be read: {raw.said}")
                continue
            self._add(raw)
            if raw.timestamp < latest - BACK_MS:
                self._fault(raw, "Kafka's time of it is before that of a record below it", Invariant.I14)
            latest = raw.timestamp

    def log_ids(self, offset: int) -> Sequence[UUID]:
        """The one in force for who had read to that offset; where that is gone, or nobody had read any, all that may have been."""
        known = [log_id for at, log_id in self._log_ids if at < offset]
        return known[-1:] or [log_id for _, log_id in self._log_ids]

    def has_log_id(self, offset: int) -> bool:
        """Is it known which one was in force there?"""
        latest = max((at for at, _ in self._log_ids if at < offset), default=None)
        return self._is_latest(latest, offset)

    def judge(self, event: PushReceived, stamp: int) -> Iterator[Wrong]:
        """Are its plans those that its `settings_offset` gives? stamp: Kafka's time of the push."""
        offset = event.settings_offset
        if offset > self.end:
            yield Wrong(Invariant.I13, f"it was planned with pipelines to {offset}, which end at {self.end}")
            return
        if (newer := self._older_than(offset, stamp - LATE_MS)) is not None:
            yield Wrong(
                Invariant.I13, f"it was planned with pipelines to {offset}, and @{newer} was there long before it"
            )
        yield from self._judge_plans(event)
        yield from self._judge_same_digest(event)

    def _judge_plans(self, event: PushReceived) -> Iterator[Wrong]:
        known = {plan.pipeline_id: self._at(plan.pipeline_id, event.settings_offset) for plan in event.plans}
        order = []
        for n, plan in enumerate(event.plans):
            if plan.n != n:
                yield Wrong(Invariant.I13, f"its plan {n} is numbered {plan.n}")
            is_known, pipeline = known[plan.pipeline_id]
            if not is_known:
                continue
            if pipeline is None or not _is_for(pipeline, event):
                yield Wrong(Invariant.I13, f"it has a plan of pipeline {plan.pipeline_id}, which is not for it")
                continue
            order.append((pipeline.created_at, pipeline.pipeline_id))
            if (right := pipeline.plan(plan.n)) != plan:
                fields = ", ".join(name for name, value in right if getattr(plan, name) != value)
                yield Wrong(Invariant.I13, f"its plan {n} is not what pipeline {plan.pipeline_id} was: {fields}")
        if order != sorted(order) or len(known) < len(event.plans):
            yield Wrong(Invariant.I13, "its plans are not in the order of their pipelines")
        for pipeline in self._for(event):
            if pipeline.pipeline_id not in known and not _is_same_digest(pipeline, event):
                yield Wrong(Invariant.I13, f"pipeline {pipeline.pipeline_id} is for it, and it has no plan of it")

    def _judge_same_digest(self, event: PushReceived) -> Iterator[Wrong]:
        for pipeline_id in event.same_digest:
            is_known, pipeline = self._at(pipeline_id, event.settings_offset)
            if not is_known:
                continue
            if pipeline is None or not _is_for(pipeline, event) or not _is_same_digest(pipeline, event):
                said = f"it says that pipeline {pipeline_id} had its digest, which is not for it, or does not go by digests"
                yield Wrong(Invariant.I13, said)
            elif any(plan.pipeline_id == pipeline_id for plan in event.plans):
                yield Wrong(Invariant.I13, f"it says that pipeline {pipeline_id} had its digest, and has a plan of it")

    def _for(self, event: PushReceived) -> Iterator[Pipeline]:
        """Those that were for it, as far as they are known."""
        globs = (ids for glob, ids in self._globs.items() if matches_repository(glob, event.repository))
        for pipeline_id in dict.fromkeys(
            [*self._by_repository.get(event.repository, ()), *(i for ids in globs for i in ids)]
        ):
            is_known, pipeline = self._at(pipeline_id, event.settings_offset)
            if is_known and pipeline is not None and _is_for(pipeline, event):
                yield pipeline

    def _at(self, pipeline_id: str, offset: int) -> tuple[bool, Pipeline | None]:
        """Is it known what stood there, and what did, as far as is known? Null: nothing, or it was deleted."""
        versions = self._versions.get(pipeline_id, ())
        at = bisect_left(versions, offset, key=lambda version: version.offset)
        if not at:
            return self._is_latest(None, offset), None
        return self._is_latest(versions[at - 1].offset, offset), versions[at - 1].pipeline

    def _is_latest(self, latest: int | None, offset: int) -> bool:
        """Is what is known of a key up to `offset` all there was? Not where a batch that cannot be read may hold a later one."""
        if offset <= self._whole_to:
            return True
        return latest is not None and not any(latest < at < offset for at in self._damaged)

    def _older_than(self, offset: int, stamp: int) -> int | None:
        """A record at or above `offset` that was there at that time."""
        at = bisect_left(self._stamps, (offset, -1))
        return self._stamps[at][0] if at < len(self._stamps) and self._stamps[at][1] < stamp else None

    def _add(self, raw: RawRecord) -> None:
        try:
            if raw.key == LOG_ID_KEY:
                self._log_ids.append((raw.offset, decode_setting(raw, LogId).log_id))
            elif raw.key is not None:
                pipeline = decode_setting(raw, Pipeline) if raw.value is not None else None
                self._put(raw.key.decode(), raw.offset, pipeline)
                if pipeline is not None and raw.key != pipeline.pipeline_id.encode():
                    self._fault(raw, f"it lies under the key of another pipeline than its own, {pipeline.pipeline_id}")
        except (Undecodable, ValueError) as error:
            self._fault(raw, f"it cannot be read: {error}")

    def _put(self, pipeline_id: str, offset: int, pipeline: Pipeline | None) -> None:
        self._versions.setdefault(pipeline_id, []).append(_Version(offset, pipeline))
        if pipeline is not None:
            ids = (self._globs if is_glob(pipeline.repository) else self._by_repository)[pipeline.repository]
            if pipeline_id not in ids:
                ids.append(pipeline_id)

    def _fault(self, raw: RawRecord, said: str, invariant: Invariant = Invariant.I13) -> None:
        self.faults.append(Finding(invariant, Topic.PIPELINES, raw.place.partition, raw.offset, "", "", said))


def _is_for(pipeline: Pipeline, event: PushReceived) -> bool:
    return pipeline.matches(event.repository, event.registry, event.tag, event.told_registry, event.artifact_type)


def _is_same_digest(pipeline: Pipeline, event: PushReceived) -> bool:
    """Was it left out because the tag had that digest already? Whether it had lies in other partitions."""
    return (
        pipeline.pipeline_id in event.same_digest
        and pipeline.dedupe is Dedupe.DIGEST
        and event.tag is not None
        and event.digest is not None
    )
