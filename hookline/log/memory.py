"""A cluster wholly in memory, for tests: the twin of `hookline.log.kafka`, held to the same contract tests.

`MemoryCluster(faults=Faults(seed))`: appends, reads and commits are held back, refused or land late by a seeded plan.
"""

from hookline.log.cluster import Consumer, Group, GroupListener, Offsets, Producer
from hookline.log.memory_broker import MemoryBroker
from hookline.log.memory_clients import MemoryConsumer, MemoryOffsets, MemoryProducer
from hookline.log.memory_group import MemoryGroup
from hookline.log.records import Topic

__all__ = ["MemoryCluster"]


class MemoryCluster(MemoryBroker):
    """The broker and its clients. For tests: `log`, `append`, `down`, `settle` of the broker, `expire` of a group's member."""

    async def producer(self) -> Producer:
        await self.reach()
        return MemoryProducer(self)

    async def consumer(self, gather_ms: int = 0) -> Consumer:
        await self.reach()
        return MemoryConsumer(self)

    async def group(self, group: str, listener: GroupListener) -> Group:
        await self.reach()
        return MemoryGroup(self, self.membership(group), listener)

    async def offsets(self) -> Offsets:
        await self.reach()
        return MemoryOffsets(self)

    async def partitions(self, topic: Topic) -> int:
        await self.reach()
        return self.count(topic)
