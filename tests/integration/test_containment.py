"""One chain's fault stays that chain's on a real Kafka and over real sockets, too (cases K1, F1, F2)."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from random import Random

import pytest
from pydantic import SecretStr

from hookline.chain.events import Event
from hookline.clock import SystemClock
from hookline.kafka.check import LogCheck
from hookline.kafka.kafka_cluster import KafkaCluster
from hookline.kafka.topics import create_topics
from hookline.log.codec import encode
from hookline.log.records import Place, RawRecord, Topic
from hookline.log.writer import Writer
from hookline.settings import Settings
from hookline.web.hook_url import parse_hook_url
from services.dispatcher.address_guard import AddressGuard
from services.dispatcher.sender import Sender
from services.dispatcher.service import Dispatcher, Pace
from tests.kit.waiting import until
from tests.unit.dispatcher.harness import KEY
from tests.unit.dispatcher.injection import VICTIM
from tests.unit.dispatcher.raw_receiver import OK, Line, raw_receiver
from tests.unit.dispatcher.two_chains import ANSWERS, TwoChains

WITHIN_S = 60.0
DELIVERIES = Place(Topic.DELIVERIES, 0)


class KafkaLogs:
    """Follows the log of deliveries while it is open."""

    def __init__(self, cluster: KafkaCluster, clock: SystemClock) -> None:
        self._cluster = cluster
        self._clock = clock
        self._writer = Writer(cluster, clock)
        self._read: list[RawRecord] = []

    @contextlib.asynccontextmanager
    async def following(self) -> AsyncIterator["KafkaLogs"]:
        self._writer.start()
        task = asyncio.create_task(self._follow())
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.wait({task})
            await self._writer.close()

    async def _follow(self) -> None:
        consumer = await self._cluster.consumer()
        try:
            consumer.assign({DELIVERIES: 0})
            while True:
                self._read += (await consumer.poll(0.5)).get(DELIVERIES, ())
        finally:
            await consumer.close()

    def deliveries(self) -> Sequence[RawRecord]:
        return self._read

    async def append(self, event: Event) -> None:
        await self._writer.append(encode(event, 0, now_ms=self._clock.now_ms()))


@pytest.fixture
async def chains(kafka: str, topic_prefix: str) -> AsyncIterator[TwoChains]:
    clock = SystemClock()
    cluster = KafkaCluster(kafka, topic_prefix, client_id="containment")
    await create_topics(cluster, partitions=1)
    chains: TwoChains

    async def receive(line: Line) -> None:
        request = await line.request()
        host = next(part for part in request.decode().split("\r\n") if part.startswith("Host: ")).removeprefix("Host: ")
        pieces = chains.answer(parse_hook_url(f"http://{host}/")) if host.startswith(VICTIM) else [OK]
        for piece in pieces:
            await line.say(piece)

    settings = Settings(
        master_keys=(SecretStr(KEY),), public_callback_url="http://callbacks.test", allow_private_addresses=("127.0.0.0/8",)  # type: ignore[arg-type]
    )  # fmt: skip
    guard = AddressGuard(settings.allow_private_addresses)

    def sender() -> Sender:
        return Sender(settings.key_ring(), clock, guard, get_addresses=lambda host: ["127.0.0.1"])

    dispatcher = Dispatcher(settings, clock, cluster, Random(0), LogCheck(cluster), sender, Pace(poll_s=0.05))
    async with raw_receiver(receive) as receiver, KafkaLogs(cluster, clock).following() as logs:
        await dispatcher.start()
        try:
            await until(lambda: dispatcher.ready().ok, WITHIN_S)
            chains = TwoChains(logs, dispatcher, clock.now_ms, receiver.port)
            yield chains
        finally:
            await dispatcher.stop()


@pytest.mark.parametrize("name", ["delivered", "503 with a date"])
async def test_whatever_raises_for_one_chain_stays_that_chains(chains: TwoChains, name: str) -> None:
    await chains.survive(ANSWERS[name], at_least=80)
