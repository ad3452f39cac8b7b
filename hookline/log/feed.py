"""Feeds partition readers from one reader of places, and keeps a log that waits for causes from filling memory."""

from collections.abc import Iterable

from hookline.log.cluster import Consumer, PlaceReader
from hookline.log.reader import HELD_LIMIT, PartitionReader
from hookline.log.records import LOGS, Place, Topic, logs_of

__all__ = ["Feed", "PlaceFeed"]


class PlaceFeed:
    """Partition readers by partition, and what reads the places below them: a group's member, which has its places from the group."""

    def __init__(self, places: PlaceReader) -> None:
        self.readers: dict[int, PartitionReader] = {}
        self._places = places
        self._paused: set[Place] = set()

    def start(self, reader: PartitionReader) -> None:
        """Begin with a partition that is ours, from the reader's positions."""
        self.readers[reader.partition] = reader
        for topic in LOGS:
            place = Place(topic, reader.partition)
            self._places.seek(place, reader.next_fetch(topic))
            self._places.resume(place)
            self._paused.discard(place)

    def stop(self, reader: PartitionReader) -> None:
        """Forget a reader: it was revoked, or its worker is over. Its places are paused until one is started again."""
        if self.readers.get(reader.partition) is not reader:
            return
        del self.readers[reader.partition]
        for topic in LOGS:
            self._places.pause(Place(topic, reader.partition))
        self._paused = {place for place in self._paused if place.partition != reader.partition}

    async def poll(self, timeout_s: float) -> set[int]:
        """Fetch once; the partitions that have something new to read.

        Raises LogUnavailable; OffsetOutOfRange, which is one partition's: its reader is of no use any more, all others read on.
        """
        fetched = await self._places.poll(timeout_s)
        for place, records in fetched.items():
            if (reader := self.readers.get(place.partition)) is not None:
                reader.offer(place.topic, records)
        return {place.partition for place in fetched if place.partition in self.readers}

    def adjust(self, partition: int) -> None:
        """After a partition was read: pause a log that holds too much, resume one that has drained, go back if asked."""
        if (reader := self.readers.get(partition)) is None:
            return
        if reader.rewind is not None:
            self._places.seek(Place(Topic.DELIVERIES, partition), reader.rewind)
            reader.rewound()
        for topic in LOGS:
            place, held = Place(topic, partition), reader.held(topic)
            if held > HELD_LIMIT and place not in self._paused:
                self._places.pause(place)
                self._paused.add(place)
            elif held == 0 and place in self._paused:
                self._places.resume(place)
                self._paused.discard(place)


class Feed(PlaceFeed):
    """Partition readers, and the consumer below them, which reads the places of exactly these."""

    def __init__(self, consumer: Consumer) -> None:
        super().__init__(consumer)
        self._consumer = consumer

    def assign(self, readers: Iterable[PartitionReader]) -> None:
        """Read exactly these, each from its positions."""
        self.readers = {reader.partition: reader for reader in readers}
        self._paused.clear()
        self._consumer.assign({Place(t, r.partition): r.next_fetch(t) for r in self.readers.values() for t in LOGS})

    def in_doubt(self, partition: int) -> bool:
        """May one of its logs have lost what was read of it?"""
        return any(self._consumer.in_doubt(place) for place in logs_of(partition))
