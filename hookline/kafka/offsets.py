"""First offsets, end offsets, commits and deletions, on connections of their own: a broker answers the requests of one
connection in order, so a ListOffsets behind a long Fetch would wait."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TypeVar

from aiokafka.client import AIOKafkaClient, ConnectionGroup, CoordinationType
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    KafkaError,
    LeaderNotAvailableError,
    TopicAuthorizationFailedError,
    for_code,
)
from aiokafka.protocol.admin import DeleteRecordsRequest
from aiokafka.protocol.commit import OffsetFetchRequest
from aiokafka.protocol.offset import OffsetRequest

from hookline.errors import LogUnavailable, Refused
from hookline.kafka.client import Connection, abandon_client
from hookline.kafka.rights import Right, missing_right
from hookline.kafka.start import started
from hookline.log.cluster import Commit
from hookline.log.records import Place, Topic

__all__ = ["KafkaOffsets"]

Answer = TypeVar("Answer")

EARLIEST, LATEST = -2, -1
"""What ListOffsets takes for a timestamp."""
READ_UNCOMMITTED = 0
NO_OFFSET = -1
REQUEST_MS = 2000
"""A request without an answer by then costs its connection, so that the next one does not wait behind a dead broker."""
ANSWER_S = 5.0
"""Seconds until LogUnavailable; within them it is asked again."""
PAUSE_S = 0.1


class KafkaOffsets:
    """`hookline.log.cluster.Offsets`.

    Over aiokafka's client and protocol, not its admin client: that one takes a group's coordinator that is still loading
    for a group without commits, and a restore would begin from nothing.
    """

    def __init__(self, connection: Connection, make_client: Callable[..., AIOKafkaClient] = AIOKafkaClient) -> None:
        """make_client: for tests, of what answers in place of brokers."""
        self._connection = connection
        self._client = make_client(**connection.options(REQUEST_MS))

    async def start(self) -> None:
        """Raises LogUnavailable."""
        await started(self._connection, self._client, self._client.bootstrap, self.close, "offsets")
        self._client.set_topics([self._connection.name(topic) for topic in Topic])

    async def starts(self, places: Iterable[Place]) -> dict[Place, int]:
        """Raises LogUnavailable."""
        return await self._list(tuple(places), EARLIEST)

    async def ends(self, places: Iterable[Place]) -> dict[Place, int]:
        """Raises LogUnavailable."""
        return await self._list(tuple(places), LATEST)

    async def committed(self, group: str, places: Iterable[Place]) -> dict[Place, Commit]:
        """Raises LogUnavailable."""
        wanted, name = tuple(places), f"{self._connection.topic_prefix}{group}"
        request = OffsetFetchRequest(name, [(t, ps) for t, ps in self._by_topic(wanted).items()])

        async def ask() -> dict[Place, Commit]:
            try:
                node = await self._client.coordinator_lookup(CoordinationType.GROUP, name)
            except GroupAuthorizationFailedError:
                raise Refused(missing_right(name, "Describe", "group")) from None
            answer = await self._client.send(node, request, group=ConnectionGroup.COORDINATION)
            _check(answer.error_code, name)
            found = {}
            for topic, partitions in answer.topics:
                for partition, offset, metadata, error in partitions:
                    _check(error, topic)
                    if offset != NO_OFFSET:
                        found[topic, partition] = Commit(offset, metadata)
            return {place: found[key] for place in wanted if (key := self._key(place)) in found}

        return await self._answered("commits", ask)

    async def delete_below(self, place: Place, offset: int) -> None:
        """Raises LogUnavailable."""
        name, partition = self._key(place)

        async def ask() -> None:
            request = DeleteRecordsRequest([(name, [(partition, offset)])], REQUEST_MS)
            # On the other connection: it waits for replicas, and end offsets would wait behind it.
            answer = await self._client.send(self._leader(place), request, group=ConnectionGroup.COORDINATION)
            for _, partitions, *_ in answer.topics:
                for _, _, error, *_ in partitions:
                    _check(error, name, "Delete")

        await self._answered(f"deletion in {name}[{partition}]", ask)

    async def partitions(self, topic: Topic) -> int | None:
        """None where there is no such topic. Raises LogUnavailable."""

        async def ask() -> int | None:
            # All topics: a broker that makes topics by itself would make one that is asked for by name.
            known = (await self._client.fetch_all_metadata()).partitions_for_topic(self._connection.name(topic))
            return None if known is None else len(known)

        return await self._answered(f"partitions of {topic}", ask)

    async def close(self) -> None:
        await abandon_client(self._client)

    async def _list(self, places: tuple[Place, ...], timestamp: int) -> dict[Place, int]:
        async def ask() -> dict[Place, int]:
            by_leader: defaultdict[int, list[Place]] = defaultdict(list)
            for place in places:
                by_leader[self._leader(place)].append(place)
            answers = await asyncio.gather(*(self._list_from(node, ps, timestamp) for node, ps in by_leader.items()))
            found = {key: offset for answer in answers for key, offset in answer.items()}
            return {place: found[self._key(place)] for place in places}

        return await self._answered("offsets", ask)

    async def _list_from(self, node: int, places: Iterable[Place], timestamp: int) -> dict[tuple[str, int], int]:
        topics = [(t, [(p, timestamp) for p in ps]) for t, ps in self._by_topic(places).items()]
        answer = await self._client.send(node, OffsetRequest(-1, READ_UNCOMMITTED, topics))
        found = {}
        for topic, partitions in answer.topics:
            for partition, error, _, offset in partitions:
                _check(error, topic)
                found[topic, partition] = offset
        return found

    async def _answered(self, what: str, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        """Ask until there is an answer. Raises LogUnavailable after ANSWER_S, or for an error that time does not mend."""
        last: KafkaError | None = None
        try:
            async with asyncio.timeout(ANSWER_S):
                while True:
                    try:
                        return await ask()
                    except KafkaError as error:
                        if not error.retriable:
                            raise LogUnavailable(f"{what}: {error!r}") from error
                        last = error
                    await self._client.force_metadata_update()
                    await asyncio.sleep(PAUSE_S)
        except TimeoutError:
            raise LogUnavailable(f"{what}: no answer within {ANSWER_S:g} s ({last!r})") from last

    def _leader(self, place: Place) -> int:
        if (name := self._connection.name(place.topic)) in self._client.cluster.unauthorized_topics:
            raise Refused(missing_right(name, "Describe"))
        node = self._client.cluster.leader_for_partition(self._connection.of(place))
        if node is None or node == -1:
            raise LeaderNotAvailableError(f"{place.topic}[{place.partition}]")
        return int(node)

    def _key(self, place: Place) -> tuple[str, int]:
        return self._connection.name(place.topic), place.partition

    def _by_topic(self, places: Iterable[Place]) -> Mapping[str, list[int]]:
        topics: defaultdict[str, list[int]] = defaultdict(list)
        for place in places:
            topics[self._connection.name(place.topic)].append(place.partition)
        return topics


def _check(code: int, name: str, right: Right = "Describe") -> None:
    """Raises the KafkaError of an error code; Refused for one that says that a right is missing. name: of the topic or group."""
    if code == TopicAuthorizationFailedError.errno:
        raise Refused(missing_right(name, right))
    if code == GroupAuthorizationFailedError.errno:
        raise Refused(missing_right(name, right, "group"))
    if code:
        raise for_code(code)()
