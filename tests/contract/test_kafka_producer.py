"""What only a producer over a real broker and a network can show: an append that landed, of which nobody heard."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from hookline.broker import EmbeddedBroker
from hookline.errors import AppendFailed, RecordRefused
from hookline.kafka.kafka_cluster import KafkaCluster
from hookline.log.records import Draft
from tests.contract.helpers import HERE, answered, kafka_with_topics, read_log, values
from tests.contract.operators import set_limit
from tests.contract.test_refusals import LIMIT, TOO_LARGE, begun, noise
from tests.integration.kafka_proxy import Api, KafkaProxy, Moment
from tests.kafka import free_broker_port

PATIENT_S = 60.0


class Proxied:
    """A broker with a second listener, which says that it is where the proxy listens."""

    def __init__(self, broker: EmbeddedBroker, proxy: tuple[int, int]) -> None:
        self.broker = broker
        self.proxy = proxy


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    port, shown, real = (free_broker_port() for _ in range(3))
    own = f"PLAINTEXT://127.0.0.1:{port}"
    properties = {
        "listeners": f"{own},CONTROLLER://127.0.0.1:{port + 1000},PROXIED://127.0.0.1:{real}",
        "advertised.listeners": f"{own},PROXIED://127.0.0.1:{shown}",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT",
        "inter.broker.listener.name": "PLAINTEXT",
    }
    folder = tmp_path_factory.mktemp("proxied") / "kafka"
    with EmbeddedBroker(folder, port, say=print, properties=properties) as broker:
        yield Proxied(broker, (shown, real))


@pytest.fixture
async def proxy(proxied: Proxied) -> AsyncIterator[KafkaProxy]:
    proxy = KafkaProxy(*proxied.proxy)
    await proxy.start()
    yield proxy
    await proxy.stop()


async def test_a_refusal_of_what_was_sent_before_says_nothing(
    proxied: Proxied, proxy: KafkaProxy, topic_prefix: str
) -> None:
    """It landed the first time, and nobody heard of it; the second time the topic takes less."""
    straight = await answered(lambda: kafka_with_topics(proxied.broker.bootstrap_servers, topic_prefix))
    through = KafkaCluster(f"127.0.0.1:{proxy.port}", topic_prefix, client_id="proxied", append_timeout_s=PATIENT_S)
    producer = await begun(through, HERE)
    hold, cut = proxy.hold(Api.PRODUCE), proxy.cut(Api.PRODUCE, Moment.BEFORE_ANSWER)
    large = Draft(HERE, b"k", noise(1, TOO_LARGE))
    sending = asyncio.create_task(producer.append(large))
    await asyncio.wait_for(hold.held.wait(), PATIENT_S)
    await set_limit(straight, HERE.topic, LIMIT)
    hold.release()
    await asyncio.wait_for(cut.done.wait(), PATIENT_S)
    with pytest.raises(AppendFailed) as failed:
        await sending
    assert not isinstance(failed.value, RecordRefused)
    assert producer.broken, "nobody knows which number is next"
    await producer.close()
    assert values(await read_log(straight, HERE)) == [b"first", large.value]


async def test_an_answer_that_was_lost_is_asked_for_again_and_the_record_lies_there_once(
    proxied: Proxied, proxy: KafkaProxy, topic_prefix: str
) -> None:
    straight = await answered(lambda: kafka_with_topics(proxied.broker.bootstrap_servers, topic_prefix))
    through = KafkaCluster(f"127.0.0.1:{proxy.port}", topic_prefix, client_id="proxied")
    producer = await begun(through, HERE)
    for moment in Moment:
        cut = proxy.cut(Api.PRODUCE, moment)
        offsets = await asyncio.gather(*(producer.append(Draft(HERE, b"k", b"%d" % n)) for n in range(10)))
        assert cut.done.is_set()
        assert offsets == sorted(set(offsets))
    await producer.close()
    assert values(await read_log(straight, HERE)) == [b"first", *[b"%d" % n for n in range(10)] * 2]
