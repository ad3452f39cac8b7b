"""The chart's ACLs and its ways to Kafka, proven on a real broker: each service does its work as a user of its own, and cannot do another's."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient

from hookline.chain.events import ChainCompleted
from hookline.log.records import Place, Topic
from tests.deploy.authority import Authority
from tests.deploy.conftest import Rendered, rendered
from tests.deploy.secured import USERS, Pods, SecuredBroker, password
from tests.deploy.test_kafka import WRITERS
from tests.deploy.test_monitoring import expressions, metric_of
from tests.integration.system import SERVICES, TOKEN
from tests.kit.waiting import until

METRIC = re.compile(r"hookline_\w+")

WAYS = {
    "scram-sha-512": (),
    "tls": ("kafka.securityProtocol=SSL", "kafka.clientCertificates=true"),
}
"""Those of Strimzi's users: SCRAM over TLS, and certificates of clients."""


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredBroker]:
    with SecuredBroker(tmp_path_factory.mktemp("secured")).running() as made:
        yield made


def chart(way: str, prefix: str) -> Rendered:
    """The full value set, but for what is not Kafka's and is not here."""
    here = (
        f"topics.prefix={prefix}.",
        "topics.partitions=2",
        "dispatcher.keda.maxReplicas=2",
        "ingress.secretsFile.secretName=",
        "console.replicas=1",
        "console.database.postgres=false",
    )
    return rendered("full", *WAYS[way], *here)


@pytest.mark.parametrize("way", WAYS)
async def test_each_service_does_its_own_work_and_no_others(broker: SecuredBroker, way: str, tmp_path: Path) -> None:
    pods = Pods(broker, chart(way, f"work-{way}"), tmp_path)
    async with pods.running():
        await pods.make_pipeline("one", "two")
        assert await pods.push() == 202
        await run_to_its_end(pods, 1)
        (row,) = await until(lambda: pods_history(pods, 1))
        status, _ = await pods.console("POST", f"/api/chains/{row['uuid']}/run", {"from_step": 1})
        assert status == 202
        await run_to_its_end(pods, 2)
        await until(lambda: pods_history(pods, 2))
        assert await broken_body(pods) == 202
        assert [len(await pods.raw(topic)) for topic in (Topic.COMMANDS, Topic.QUARANTINE)] == [1, 1]
        exported = await metrics(pods)
        assert {metric_of(name) for text in expressions() for name in METRIC.findall(text)} <= exported

        for user in USERS:
            others = [topic for topic in Topic if user not in WRITERS[topic]]
            refused = await asyncio.to_thread(forge, pods, user, others)
            assert refused == dict.fromkeys(others, "TOPIC_AUTHORIZATION_FAILED"), f"as {user}"
            for topic in Topic:
                if (user, topic) != ("dispatcher", Topic.SNAPSHOTS):  # Kafka has no right to delete records alone
                    assert await asyncio.to_thread(delete, pods, user, topic) == "TOPIC_AUTHORIZATION_FAILED"
    assert await asyncio.to_thread(complaints, tmp_path) == []


async def test_the_dispatcher_deletes_what_a_newer_snapshot_replaced(broker: SecuredBroker, tmp_path: Path) -> None:
    pods = Pods(broker, chart("scram-sha-512", "snapshots"), tmp_path)
    async with pods.running("dispatcher"):
        for _ in range(3):  # each end takes a snapshot, and deletes what lies below the one before
            await pods.stop("dispatcher")
            await pods.start("dispatcher")
        offsets = await pods.cluster().offsets()
        starts = await offsets.starts([Place(Topic.SNAPSHOTS, partition) for partition in range(2)])
        await offsets.close()
    assert all(start > 0 for start in starts.values()), starts


@pytest.mark.parametrize("wrong", ["authority", "password"])
async def test_why_no_broker_lets_us_in_is_said_in_a_sentence(
    broker: SecuredBroker, wrong: str, tmp_path: Path
) -> None:
    pods = Pods(broker, chart("scram-sha-512", "wrong"), tmp_path)
    more, words = {
        "authority": (
            {"HOOKLINE_KAFKA_CA_FILE": str(Authority(tmp_path / "other", "another").certificate)},
            ("certificate verify failed", "HOOKLINE_KAFKA_CA_FILE"),
        ),
        "password": ({"HOOKLINE_KAFKA_PASSWORD": "not it"}, ("HOOKLINE_KAFKA_USERNAME", "HOOKLINE_KAFKA_PASSWORD")),
    }[wrong]
    code, said = await pods.job(**more)
    assert code == 1
    assert said.startswith("hookline: ")
    assert said.count("\n") == 1, said
    assert all(word in said for word in (*words, broker.servers[pods.way])), said


async def metrics(pods: Pods) -> set[str]:
    """What the four services export, by name."""
    found: set[str] = set()
    for service in SERVICES:
        async with pods.http.get(f"http://127.0.0.1:{pods.ports[service] + 1000}/metrics") as answer:
            found.update(re.findall(r"^# TYPE (\w+) ", await answer.text(), re.M))
    return found


async def run_to_its_end(pods: Pods, runs: int) -> None:
    for name in ("one", "two"):
        await until(lambda name=name: len(pods.receiver.of(name)) == runs)
        await until(lambda name=name: succeed(pods, name))
    await until(lambda: completed(pods, runs))


async def succeed(pods: Pods, name: str) -> bool:
    return await pods.call_back(pods.receiver.of(name)[-1][2]) == (200, '"OK"')


async def completed(pods: Pods, runs: int) -> bool:
    return sum(isinstance(read.record.event, ChainCompleted) for read in await pods.reads()) == runs


async def pods_history(pods: Pods, runs: int) -> list[dict[str, object]]:
    """All rows, once that many have succeeded."""
    rows = await pods.history()
    return rows if [row["status"] for row in rows] == ["success"] * runs else []


async def broken_body(pods: Pods) -> int:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with pods.http.post(pods.url("ingress", "/events/dockerhub"), data=b"{no", headers=headers) as answer:
        return answer.status


def complaints(folder: Path) -> list[str]:
    """What services said of a right that they do not have."""
    return [line for log in folder.glob("*.log") for line in log.read_text().splitlines() if "uthoriz" in line]


def client(pods: Pods, user: str) -> dict[str, str]:
    """Another client's configuration, with that user's credentials."""
    given = pods.environment(user)
    made = {
        "bootstrap.servers": given["HOOKLINE_KAFKA_BOOTSTRAP_SERVERS"],
        "ssl.ca.location": given["HOOKLINE_KAFKA_CA_FILE"],
    }
    if pods.way == "tls":
        certificate, key = pods.certificate(user)
        return made | {
            "security.protocol": "SSL",
            "ssl.certificate.location": str(certificate),
            "ssl.key.location": str(key),
        }
    scram = {"security.protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-512"}
    return made | scram | {"sasl.username": f"hookline-{user}", "sasl.password": password(user)}


def forge(pods: Pods, user: str, topics: list[Topic]) -> dict[Topic, str]:
    """Write into each of them as that user; what Kafka says."""
    said: dict[Topic, str] = {}
    producer = Producer(client(pods, user) | {"message.timeout.ms": "20000"})
    for topic in topics:
        producer.produce(
            f"{pods.prefix}{topic}",
            b"{}",
            partition=0,
            on_delivery=lambda error, _, topic=topic: said.update({topic: error.name() if error else "written"}),
        )
    assert producer.flush(30) == 0
    return said


def delete(pods: Pods, user: str, topic: Topic) -> str:
    """Delete the topic as that user; what Kafka says."""
    admin = AdminClient(client(pods, user))
    (done,) = admin.delete_topics([f"{pods.prefix}{topic}"]).values()
    try:
        done.result()
    except KafkaException as refused:
        return str(refused.args[0].name())
    return "deleted"
