"""The four logs of a partition in step: each chunk of `deliveries` comes after what its last decision had read.

So a reader holds what the dispatcher held at that moment, the open chains, however long the log is; and a bundle that is
written in this order is read in it.
"""

from collections.abc import AsyncIterator, Sequence

from pydantic import BaseModel, ValidationError

from hookline.audit.source import PartitionSource
from hookline.chain.events import ReadTo
from hookline.log.records import RawRecord, Topic

__all__ = ["CAUSES_FIRST", "in_step"]

CAUSES_FIRST = (Topic.PUSHES, Topic.COMMANDS, Topic.CALLBACKS)


class _HasRead(BaseModel):
    """Of a decision, only that."""

    read_to: ReadTo


class _Log:
    """One log of the partition, up to the first record stamped later than `until` (Unix ms)."""

    def __init__(self, source: PartitionSource, topic: Topic, until: int | None) -> None:
        self.position = source.extent.span(topic).start
        self._source, self._topic, self._until = source, topic, until
        self._over = False

    async def more(self) -> Sequence[RawRecord]:
        records = () if self._over else await self._source.more(self._topic)
        if self._until is not None:
            records = self._cut(records, self._until)
        if records:
            self.position = records[-1].next_offset
        return records

    def _cut(self, records: Sequence[RawRecord], until: int) -> Sequence[RawRecord]:
        for at, record in enumerate(records):
            if record.timestamp > until:
                self._over = True
                return records[:at]
        return records


async def in_step(
    source: PartitionSource, until: int | None = None
) -> AsyncIterator[tuple[Topic, Sequence[RawRecord]]]:
    """Chunks of the four logs; at the end of `deliveries` an empty one of it, then the rest of the others.

    until: each log is cut before its first record stamped later (Unix ms).

    Raises LogUnavailable, BundleBroken.
    """
    logs = {topic: _Log(source, topic, until) for topic in (*CAUSES_FIRST, Topic.DELIVERIES)}
    while decisions := await logs[Topic.DELIVERIES].more():
        if (read_to := _last_read_to(decisions)) is not None:
            targets = {
                Topic.PUSHES: read_to.pushes,
                Topic.COMMANDS: read_to.commands,
                Topic.CALLBACKS: read_to.callbacks,
            }
            for topic, target in targets.items():
                while logs[topic].position < target and (records := await logs[topic].more()):
                    yield topic, records
        yield Topic.DELIVERIES, decisions
    yield Topic.DELIVERIES, ()
    left = True
    while left:
        left = False
        for topic in CAUSES_FIRST:
            if records := await logs[topic].more():
                left = True
                yield topic, records


def _last_read_to(decisions: Sequence[RawRecord]) -> ReadTo | None:
    for record in reversed(decisions):
        try:
            return _HasRead.model_validate_json(record.value or b"").read_to
        except ValidationError:
            continue  # a Fence; or something that the reader will have words for
    return None
