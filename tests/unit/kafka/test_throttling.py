"""A broker that asks to be left alone (KIP-219), over a client that answers in place of brokers."""

from collections import Counter
from types import SimpleNamespace

from aiokafka import TopicPartition
from aiokafka.protocol.fetch import FetchResponse_v11

from hookline.kafka.client import Connection
from hookline.kafka.consumer import KafkaConsumer
from hookline.log.records import Place, Topic

AN_HOUR_MS = 3_600_000
THROTTLES, GIVES = 1, 2
"""Two brokers: which of them asks to be left alone."""
LEADERS = {"x.pushes": THROTTLES, "x.callbacks": THROTTLES, "x.commands": GIVES}


class Brokers:
    """Answers every fetch at once, with nothing."""

    def __init__(self) -> None:
        self.asked = Counter[int]()
        self.cluster = SimpleNamespace(leader_for_partition=self._leader, unauthorized_topics=set())

    def _leader(self, tp: TopicPartition) -> int:
        return LEADERS[tp.topic]

    def set_topics(self, topics: set[str]) -> None: ...

    async def send(self, node: int, request: object, group: object = None) -> FetchResponse_v11:
        self.asked[node] += 1
        return FetchResponse_v11(AN_HOUR_MS if node == THROTTLES else 0, 0, 0, [])


async def test_a_broker_that_throttles_is_left_alone_for_so_long_at_every_pace_and_others_are_asked_on() -> None:
    brokers = Brokers()
    consumer = KafkaConsumer(
        Connection(("127.0.0.1:1",), "x.", "t"), at_once=[Topic.PUSHES], make_client=lambda **_: brokers
    )
    consumer.assign({Place(topic, 0): 0 for topic in (Topic.PUSHES, Topic.CALLBACKS, Topic.COMMANDS)})

    while brokers.asked[GIVES] < 10:
        consumer.hurry()
        assert await consumer.poll(0.01) == {}

    assert brokers.asked[THROTTLES] == 2, "once at each pace, before it had answered"
