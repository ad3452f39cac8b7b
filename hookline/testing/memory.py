"""A cluster wholly in memory, for tests: the twin of `hookline.kafka.kafka_cluster`, held to the same contract tests.

`MemoryCluster(faults=Faults(seed))`: appends, reads and commits are held back, refused or land late by a seeded plan.
"""

from hookline.clock import Clock
from hookline.log.cluster import Consumer, Group, GroupListener, Offsets, Producer
from hookline.log.records import Topic
from hookline.testing.faults import Faults
from hookline.testing.memory_broker import MemoryBroker
from hookline.testing.memory_clients import MemoryConsumer, MemoryOffsets, MemoryProducer
from hookline.testing.memory_group import MemoryGroup

__all__ = ["MemoryCluster"]


class MemoryCluster(MemoryBroker):
    """The broker and its clients.

    For tests: `log`, `append`, `down`, `land_all` of the broker; `members`, and their `expire` and `stall`.
    """

    members: list[MemoryGroup]
    """All that ever joined a group, in order."""

    def __init__(self, partitions: int = 12, *, faults: Faults | None = None, clock: Clock | None = None) -> None:
        super().__init__(partitions, faults=faults, clock=clock)
        self.members = []

    async def producer(self) -> Producer:
        await self.reach()
        return MemoryProducer(self)

    async def consumer(self, gather_ms: int = 0) -> Consumer:
        await self.reach()
        return MemoryConsumer(self)

    async def group(self, group: str, listener: GroupListener) -> Group:
        await self.reach()
        self.members.append(MemoryGroup(self, self.membership(group), listener))
        return self.members[-1]

    async def offsets(self) -> Offsets:
        await self.reach()
        return MemoryOffsets(self)

    async def partitions(self, topic: Topic) -> int:
        await self.reach()
        return self.count(topic)
