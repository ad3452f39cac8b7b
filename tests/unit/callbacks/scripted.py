"""An in-memory cluster that a test steers: it holds back what a replica reads, and acts between two end offsets of one answer."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from hookline.errors import LogUnavailable
from hookline.log.cluster import Consumer, Offsets
from hookline.log.records import Place, RawRecord, Topic
from hookline.testing.memory import MemoryCluster
from hookline.testing.memory_clients import MemoryConsumer, MemoryOffsets

__all__ = ["ScriptedCluster"]


class ScriptedCluster(MemoryCluster):
    """`hold` and `release` work on the consumers there are; `between_ends` is called once, between the ends of two topics."""

    def __init__(self, partitions: int = 3) -> None:
        super().__init__(partitions)
        self.between_ends: Callable[[], object] | None = None
        self.ends_asked = 0
        self.consumers: list[_ScriptedConsumer] = []

    def hold(self, *topics: Topic) -> None:
        """No more records of these topics for anyone."""
        for place in self._places(topics):
            for consumer in self.consumers:
                consumer.pause(place)

    def release(self, *topics: Topic) -> None:
        for place in self._places(topics):
            for consumer in self.consumers:
                consumer.resume(place)

    async def consumer(self, gather_ms: int = 0) -> Consumer:
        await self.reach()
        consumer = _ScriptedConsumer(self)
        self.consumers.append(consumer)
        return consumer

    async def offsets(self) -> Offsets:
        await self.reach()
        return _ScriptedOffsets(self)

    def _places(self, topics: Iterable[Topic]) -> list[Place]:
        return [Place(topic, partition) for topic in topics for partition in range(self.count(topic))]


class _ScriptedConsumer(MemoryConsumer):
    gives_up = False
    """As aiokafka may: every poll raises."""

    async def poll(self, timeout_s: float) -> Mapping[Place, Sequence[RawRecord]]:
        if self.gives_up:
            raise LogUnavailable("gave up")
        return await super().poll(0.05)


class _ScriptedOffsets(MemoryOffsets):
    """Takes the ends of `deliveries` first: as two brokers may answer one ListOffsets."""

    def __init__(self, cluster: ScriptedCluster) -> None:
        super().__init__(cluster)
        self._cluster = cluster

    async def ends(self, places: Iterable[Place]) -> dict[Place, int]:
        self._cluster.ends_asked += 1
        places = list(places)
        first = await super().ends([place for place in places if place.topic is Topic.DELIVERIES])
        between, self._cluster.between_ends = self._cluster.between_ends, None
        if between is not None:
            between()
        return first | await super().ends([place for place in places if place.topic is not Topic.DELIVERIES])
