"""The embedded broker for real: its data lasts, it keeps to loopback, and it says in words why it does not start."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.protocol.admin import CreateTopicsRequest_v3

from hookline.broker import EmbeddedBroker
from hookline.broker.broker_answers import answers
from hookline.broker.config import CONTROLLER_OFFSET
from hookline.broker.jars import Jars
from hookline.broker_login import BrokerLogin
from hookline.errors import BrokerError
from hookline.testing.embedded_cluster import EmbeddedCluster
from tests.kafka import free_broker_port, make_broker
from tests.kit.waiting import wait_until

TOPIC = "lasting"
ODD_NAME = "data, of ü"
RUN_AND_HANG = """
import sys
from pathlib import Path
from hookline.broker import EmbeddedBroker
broker = EmbeddedBroker(Path(sys.argv[1]), int(sys.argv[2]))
broker.start()
print(broker.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def broker_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a name that not every program gets right."""
    return tmp_path_factory.mktemp("broker") / ODD_NAME


@pytest.fixture(scope="module")
def broker(broker_folder: Path) -> Iterator[EmbeddedBroker]:
    """One broker for the tests that leave it running."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOOKLINE_MASTER_KEYS", "k1:not-for-the-broker")
        with make_broker(broker_folder) as running:
            yield running


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data of a broker that was stopped; each test here leaves it so."""
    folder = tmp_path_factory.mktemp("stopped") / "kafka"
    with make_broker(folder):
        pass
    return folder


@pytest.fixture
def stopped(folder: Path) -> EmbeddedBroker:
    """A broker with these data that is not running."""
    return make_broker(folder)


async def create_topic(servers: str, replicas: int = 1) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(TOPIC, 1, replicas)])
    finally:
        await admin.close()


async def append(servers: str, value: bytes) -> int:
    producer = AIOKafkaProducer(bootstrap_servers=servers, acks="all", enable_idempotence=True)
    await producer.start()
    try:
        return int((await producer.send_and_wait(TOPIC, value, partition=0)).offset)
    finally:
        await producer.stop()


async def read_all(servers: str) -> list[bytes | None]:
    place = TopicPartition(TOPIC, 0)
    consumer = AIOKafkaConsumer(bootstrap_servers=servers, enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([place])
        await consumer.seek_to_beginning(place)
        end = (await consumer.end_offsets([place]))[place]
        return [(await consumer.getone(place)).value for _ in range(end)]
    finally:
        await consumer.stop()


async def test_what_was_acked_survives_stop_kill_and_a_start_on_another_port(tmp_path: Path) -> None:
    with make_broker(tmp_path / ODD_NAME) as first:
        await create_topic(first.bootstrap_servers)
        await append(first.bootstrap_servers, b"before the stop")
        stopped = first.pid
        first.stop()
        assert not first.is_alive()
        first.start()
        assert first.pid != stopped
        await append(first.bootstrap_servers, b"before the kill")
        first.kill()
        assert not first.is_alive()
    with make_broker(tmp_path / ODD_NAME) as second:
        assert await read_all(second.bootstrap_servers) == [b"before the stop", b"before the kill"]
        assert await append(second.bootstrap_servers, b"after both") == 2


def test_it_listens_on_loopback_alone(broker: EmbeddedBroker) -> None:
    port = int(broker.bootstrap_servers.rpartition(":")[2])
    sockets = [one for one in psutil.Process(broker.pid).net_connections() if one.status == psutil.CONN_LISTEN]
    heard_on = {(one.laddr.ip.removeprefix("::ffff:"), one.laddr.port) for one in sockets}
    assert heard_on == {("127.0.0.1", port), ("127.0.0.1", port + 1000)}


def test_it_has_none_of_our_settings_and_its_own_session(broker: EmbeddedBroker) -> None:
    assert broker.pid is not None
    assert not [name for name in psutil.Process(broker.pid).environ() if name.startswith("HOOKLINE_")]
    assert os.getsid(broker.pid) != os.getsid(0), "Ctrl-C in a terminal would stop it before the services"


def test_its_log_is_in_its_folder(broker: EmbeddedBroker) -> None:
    assert any("Kafka Server started" in line for line in broker.last_log_lines(1000))


def test_its_port_is_refused_to_a_second_broker_in_words(broker: EmbeddedBroker, tmp_path: Path) -> None:
    port = int(broker.bootstrap_servers.rpartition(":")[2])
    with pytest.raises(
        BrokerError, match=rf"cannot listen on port {port}: another program has it\. Set HOOKLINE_KAFKA_PORT"
    ):
        make_broker(tmp_path / "second", port).start()
    with pytest.raises(BrokerError, match=rf"cannot listen on port {port}, its controller's"):
        make_broker(tmp_path / "second", port - 1000).start()


def test_its_folder_is_refused_to_a_second_broker_in_words(broker_folder: Path, broker: EmbeddedBroker) -> None:
    with pytest.raises(BrokerError, match=r"is in use by another running broker \(process \d+\)\. Stop that one first"):
        make_broker(broker_folder).start()
    assert broker.is_alive()


def test_a_second_start_downloads_nothing(
    stopped: EmbeddedBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as nothing:
        nothing.bind(("127.0.0.1", 0))
        for proxy in ("HTTPS_PROXY", "HTTP_PROXY"):
            monkeypatch.setenv(proxy, f"http://127.0.0.1:{nothing.getsockname()[1]}")
            monkeypatch.setenv(proxy.lower(), f"http://127.0.0.1:{nothing.getsockname()[1]}")
        stopped.start()
        assert stopped.is_alive()
        stopped.stop()
        with pytest.raises(BrokerError, match=r"cannot download .*Is this machine online"):
            EmbeddedBroker(tmp_path / "kafka", free_broker_port(), jars=Jars(tmp_path / "empty cache")).start()


def test_data_of_another_cluster_is_refused_and_kept(stopped: EmbeddedBroker, folder: Path) -> None:
    file = folder / "cluster-id"
    ours = file.read_text()
    file.write_text("another\n")
    with pytest.raises(BrokerError, match=rf"belongs to Kafka cluster {ours.strip()}, but .* says another"):
        stopped.start()
    file.write_text(ours)
    with stopped:
        assert stopped.is_alive()


def test_what_a_killed_run_left_running_is_stopped_by_the_next(stopped: EmbeddedBroker, folder: Path) -> None:
    port = stopped.bootstrap_servers.rpartition(":")[2]
    arguments = [sys.executable, "-c", RUN_AND_HANG, str(folder), port]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        left = psutil.Process(int(run.stdout.readline()))
        run.kill()
    assert left.is_running()
    with stopped:
        assert stopped.is_alive()
        wait_until(lambda: not left.is_running() or left.status() == psutil.STATUS_ZOMBIE)


def test_one_that_hangs_is_killed_when_it_is_to_stop(folder: Path) -> None:
    said = list[str]()
    hung = EmbeddedBroker(folder, free_broker_port(), say=said.append, stop_timeout_s=0.5)
    hung.start()
    assert hung.pid is not None
    os.kill(hung.pid, signal.SIGSTOP)
    hung.stop()
    assert not hung.is_alive()
    assert said[-1] == "the broker did not stop within 0.5 s: killed"


async def test_three_brokers_lose_nothing_with_one_of_them(tmp_path: Path) -> None:
    ports = [free_broker_port(low, low + 900) for low in (20000, 22000, 24000)]
    with EmbeddedCluster(tmp_path, ports, say=print) as cluster:
        await create_topic(cluster.bootstrap_servers, replicas=3)
        await append(cluster.bootstrap_servers, b"with three")
        cluster.brokers[0].kill()
        await append(cluster.bootstrap_servers, b"with two")
        cluster.brokers[0].start()
        assert await read_all(cluster.bootstrap_servers) == [b"with three", b"with two"]
    with pytest.raises(BrokerError, match="holds a cluster with other ports"):
        EmbeddedCluster(tmp_path, [port + 1 for port in ports])


@pytest.mark.docker
async def test_in_a_container_it_is_a_broker_too(kafka_in_docker: str) -> None:
    await create_topic(kafka_in_docker)
    assert await append(kafka_in_docker, b"in a container") == 0
    assert await read_all(kafka_in_docker) == [b"in a container"]


def bytes_answered(port: int) -> int:
    """How much a stranger is told who asks for a topic to be made."""
    request = CreateTopicsRequest_v3([("stranger", 1, 1, [], [])], 1000, True)
    body = request.build_request_header(correlation_id=1, client_id="stranger").encode() + request.encode()
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(len(body).to_bytes(4, "big") + body)
        try:
            return len(connection.recv(1000))
        except ConnectionError:
            return 0


async def test_who_has_no_login_is_let_in_nowhere(broker: EmbeddedBroker, tmp_path: Path) -> None:
    """Neither to the broker nor to its controller; an open broker answers on both."""
    open_port, port = int(broker.bootstrap_servers.partition(":")[2]), free_broker_port()
    assert all(bytes_answered(one) for one in (open_port, open_port + CONTROLLER_OFFSET))
    login = BrokerLogin("odd \"\\' ;$=#{} \\n")
    with EmbeddedBroker(tmp_path / "kafka", port, login=login, say=print) as guarded:
        assert [bytes_answered(one) for one in (port, port + CONTROLLER_OFFSET)] == [0, 0]
        assert answers(port, login)
        assert not answers(port)
        assert not answers(port, BrokerLogin("wrong"))
        as_us = {
            "bootstrap_servers": guarded.bootstrap_servers,
            "security_protocol": "SASL_PLAINTEXT",
            "sasl_mechanism": "PLAIN",
            "sasl_plain_username": login.username,
            "sasl_plain_password": login.password,
        }
        admin = AIOKafkaAdminClient(**as_us)
        await admin.start()
        try:
            await admin.create_topics([NewTopic("ours", 1, 1)])
            assert "ours" in await admin.list_topics()
        finally:
            await admin.close()
        assert (tmp_path / "kafka" / "server.properties").stat().st_mode & 0o777 == 0o600
        assert guarded.process is not None
        assert login.password not in " ".join(psutil.Process(guarded.process.pid).cmdline())
