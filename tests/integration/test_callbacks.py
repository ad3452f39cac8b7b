"""callbacks over real Kafka: its answers, its restart from the dispatcher's commit, the broker's death, its own.

The logs are written in memory first (`World`), then copied record by record: into fresh topics, so to the same offsets.
"""

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from aiohttp import ClientError, ClientSession, ClientTimeout

from hookline.broker import EmbeddedBroker
from hookline.chain.events import CallbackReceived, HaltReason
from hookline.chain.ids import ChainId, partition_of
from hookline.chain.pipeline import LogId
from hookline.clock import SystemClock
from hookline.kafka.check import LogCheck
from hookline.kafka.kafka_cluster import KafkaCluster
from hookline.kafka.topics import create_topics
from hookline.log.codec import decode, encode_setting
from hookline.log.records import LOGS, Draft, Place, Topic
from hookline.log.snapshots import DISPATCHER_GROUP, Checkpoint
from services.callbacks.limit import PER_S
from services.callbacks.service import CallbacksService
from tests.integration.running import clean_environment
from tests.kafka import free_broker_port
from tests.kit.waiting import until
from tests.unit.callbacks.checkpoints import beside, snapshot
from tests.unit.callbacks.world import KEYS, LOG_ID, MASTER_KEY, World, serving

PARTITIONS = 3
DEADLINE_S = 60.0
WITHIN_5_S = ClientTimeout(total=5)


class KafkaWorld(World):
    """A World whose logs are copied to Kafka by `publish`."""

    def __init__(self, cluster: KafkaCluster) -> None:
        super().__init__(partitions=PARTITIONS)
        self.now = SystemClock().now_ms()
        self.kafka = cluster
        self._copied: dict[Place, int] = {}

    async def publish(self) -> None:
        """Append what is not there yet."""
        producer = await self.kafka.producer()
        try:
            for place in (Place(topic, p) for topic in (*LOGS, Topic.SNAPSHOTS) for p in range(PARTITIONS)):
                for raw in self.cluster.log(place)[self._copied.get(place, 0) :]:
                    offset = await producer.append(Draft(place, raw.key, raw.value, raw.headers))
                    assert offset == raw.offset, "someone else writes into these topics"
                    self._copied[place] = offset + 1
        finally:
            await producer.close()

    async def written(self) -> dict[ChainId, list[CallbackReceived]]:
        """The verdicts that lie in Kafka's `callbacks`, by chain."""
        places = [Place(Topic.CALLBACKS, partition) for partition in range(PARTITIONS)]
        unread = {place: end for place in places if (end := await self.end(place))}
        found: dict[ChainId, list[CallbackReceived]] = {}
        consumer = await self.kafka.consumer()
        try:
            consumer.assign(dict.fromkeys(places, 0))
            while unread:
                for place, raws in (await consumer.poll(1.0)).items():
                    for event in (decode(raw).event for raw in raws):
                        if isinstance(event, CallbackReceived):
                            found.setdefault(ChainId.parse(event.chain_id), []).append(event)
                    if raws[-1].offset + 1 >= unread[place]:
                        del unread[place]
        finally:
            await consumer.close()
        return found

    async def end(self, place: Place) -> int:
        offsets = await self.kafka.offsets()
        try:
            return (await offsets.ends([place]))[place]
        finally:
            await offsets.close()


async def made(bootstrap_servers: str, topic_prefix: str) -> KafkaWorld:
    """Fresh topics of LOG_ID."""
    cluster = KafkaCluster(bootstrap_servers, topic_prefix, client_id="test")
    await create_topics(cluster, partitions=PARTITIONS)
    producer = await cluster.producer()
    await producer.append(encode_setting(LogId(log_id=LOG_ID), now_ms=SystemClock().now_ms()))
    await producer.close()
    return KafkaWorld(cluster)


class Client:
    """Calls back as receivers do."""

    def __init__(self, world: World, session: ClientSession) -> None:
        self._world = world
        self._session = session

    async def post(self, chain_id: ChainId, step: int, state: str) -> int:
        """The status; the answer must come within 5 s."""
        path = self._world.path(chain_id, step)
        async with self._session.post(path, data=f'{{"state": "{state}"}}', timeout=WITHIN_5_S) as answer:
            assert answer.status != 503 or answer.headers["Retry-After"] == "1"
            return answer.status


@asynccontextmanager
async def running(world: KafkaWorld) -> AsyncIterator[Client]:
    """The service in this process, ready."""
    service = CallbacksService(KEYS, SystemClock(), world.kafka, LogCheck(world.kafka))
    await service.start()
    try:
        async with serving(service.app) as session:

            async def is_ready() -> bool:
                return service.ready().ok

            await until(is_ready, DEADLINE_S)
            yield Client(world, session)
    finally:
        await service.stop()


async def test_answers_over_kafka(kafka: str, topic_prefix: str) -> None:
    world = await made(kafka, topic_prefix)
    chain, closing, sealed, cancelled = (world.push() for _ in range(4))
    world.failed(closing, 1)
    world.sealed(sealed, 1, world.failed(sealed, 1))
    world.cancel(cancelled)
    world.halted(cancelled, 1, HaltReason.CANCELLED)
    await world.publish()
    async with running(world) as client:
        assert await client.post(chain, 1, "success") == 200
        assert await client.post(chain, 1, "success") == 200
        assert await client.post(chain, 1, "failure") == 400
        assert await client.post(closing, 1, "success") == 200  # an intent that is not sealed decides nothing
        assert await client.post(sealed, 1, "success") == 400
        assert await client.post(cancelled, 1, "success") == 400
        late = world.push()
        await world.publish()
        assert await client.post(late, 2, "error") == 200
    written = await world.written()
    assert [event.state for event in written[chain]] == ["success"]
    assert written.keys() == {chain, closing, late}


async def test_many_contradicting_callbacks_at_two_replicas(kafka: str, topic_prefix: str) -> None:
    """I4: whatever was answered 200 is the first verdict of its step."""
    world = await made(kafka, topic_prefix)
    chains = [world.push() for _ in range(30)]
    await world.publish()
    states = ("success", "failure", "error")
    async with running(world) as one, running(world) as other:
        posts = [(chain, state, client) for chain in chains for state in states for client in (one, other)]
        answers = await asyncio.gather(*(client.post(chain, 1, state) for chain, state, client in posts))
        accepted = [(chain, state) for (chain, state, _), status in zip(posts, answers, strict=True) if status == 200]
        written = await world.written()
        for chain, state in accepted:
            assert written[chain][0].state == state
            assert [await client.post(chain, 1, state) for client in (one, other)] == [200, 200]
    assert {chain for chain, _ in accepted} == set(chains)


async def commit(world: KafkaWorld, checkpoint: Checkpoint, partition: int) -> None:
    """As a member of the dispatcher's group."""

    class Listener:
        mine: frozenset[int] = frozenset()

        def revoked(self) -> None:
            self.mine = frozenset()

        async def quiesced(self) -> None: ...

        def assigned(self, partitions: frozenset[int]) -> None:
            self.mine = partitions

    listener = Listener()
    group = await world.kafka.group(DISPATCHER_GROUP, listener)
    try:

        async def is_ours() -> bool:
            await group.poll(0.05)
            return partition in listener.mine

        await until(is_ours, DEADLINE_S)
        await group.commit(checkpoint.commits(partition))
    finally:
        await group.close()


async def test_restart_from_the_dispatchers_commit_and_snapshot(kafka: str, topic_prefix: str) -> None:
    world = await made(kafka, topic_prefix)
    chain = world.push()
    partition = partition_of(chain.push_id, PARTITIONS)
    ended, closing, sealed = (world.push(push_id=beside(chain, world)) for _ in range(3))
    world.verdict(chain, 1, "success")
    world.verdict(ended, 1, "failure")
    world.halted(ended, 1, HaltReason.CALLBACK_FAILURE)
    intent = world.closing(closing, 1)
    world.sealed(sealed, 1, world.closing(sealed, 1))
    checkpoint = await snapshot(world, chain)
    new = world.push(push_id=beside(chain, world))
    world.sealed(closing, 1, intent)
    world.verdict(chain, 2, "error")
    await world.publish()
    await commit(world, checkpoint, partition)
    # What the snapshot stands for is not read again: it is not even there any more.
    offsets = await world.kafka.offsets()
    for topic in LOGS:
        await offsets.delete_below(Place(topic, partition), checkpoint.positions.of(topic))
    await offsets.close()
    async with running(world) as client:
        assert await client.post(chain, 1, "success") == 200
        assert await client.post(chain, 1, "failure") == 400
        assert await client.post(chain, 2, "error") == 200
        assert await client.post(closing, 1, "success") == 400  # sealed behind the snapshot
        assert await client.post(sealed, 1, "success") == 400  # and in it
        assert await client.post(ended, 1, "failure") == 400  # ended and forgotten
        assert await client.post(new, 1, "success") == 200


async def test_a_receiver_in_a_loop_is_held_up_and_nobody_else(kafka: str, topic_prefix: str) -> None:
    world = await made(kafka, topic_prefix)
    chain, other = world.push(), world.push()
    await world.publish()
    async with running(world) as client:
        answers = await asyncio.gather(*(client.post(chain, 1, "success") for _ in range(50)))
        assert await client.post(other, 1, "success") == 200
    # Some more than PER_S where the 50 take a while: the bucket fills up meanwhile.
    assert set(answers) == {200, 429}
    assert answers.count(200) >= PER_S
    assert {len(events) for events in (await world.written()).values()} <= set(range(1, answers.count(200) + 1))


async def test_kafka_dies_and_comes_back(own_broker: EmbeddedBroker, topic_prefix: str) -> None:
    world = await made(own_broker.bootstrap_servers, topic_prefix)
    chain = world.push()
    await world.publish()
    async with running(world) as client:
        assert await client.post(chain, 1, "success") == 200
        await asyncio.to_thread(own_broker.kill)
        for _ in range(2):
            assert await client.post(chain, 2, "failure") == 503  # to be appended
            assert await client.post(chain, 1, "success") == 200  # what was read first stays first
        assert await asyncio.gather(*(client.post(chain, 2, "failure") for _ in range(8))) == [503] * 8
        await asyncio.to_thread(own_broker.start)

        async def answers() -> bool:
            return await client.post(chain, 2, "failure") == 200

        await until(answers, DEADLINE_S)
        assert await client.post(chain, 1, "success") == 200
        assert await client.post(chain, 1, "failure") == 400
    assert [(event.step, event.state) for event in (await world.written())[chain]][:2] == [
        (1, "success"),
        (2, "failure"),
    ]


class Process:
    """The service as a process of its own."""

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self.port = free_broker_port()
        settings = clean_environment(**environment, HOOKLINE_CALLBACKS_PORT=str(self.port))
        with log.open("ab") as lines:
            command = [sys.executable, "-m", "services.callbacks"]
            self.process = subprocess.Popen(command, env=settings, stdout=lines, stderr=lines)

    async def ready(self) -> bool:
        try:
            async with ClientSession() as session, session.get(f"http://127.0.0.1:{self.port + 1000}/readyz") as answer:
                return answer.status == 200
        except ClientError:
            assert self.process.poll() is None, "it died"
            return False

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)


@pytest.fixture
def environment(kafka: str, topic_prefix: str) -> dict[str, str]:
    return {
        "HOOKLINE_KAFKA_BOOTSTRAP_SERVERS": kafka,
        "HOOKLINE_TOPIC_PREFIX": topic_prefix,
        "HOOKLINE_MASTER_KEYS": MASTER_KEY,
    }


async def test_kill_9_between_append_and_answer(
    kafka: str, topic_prefix: str, environment: dict[str, str], tmp_path: Path
) -> None:
    """The record is in the log: the repeat is answered 200 by the next process, and nothing is appended again."""
    world = await made(kafka, topic_prefix)
    chain = world.push()
    await world.publish()
    place = Place(Topic.CALLBACKS, partition_of(chain.push_id, PARTITIONS))
    first = Process(environment, tmp_path / "log")
    second: Process | None = None
    try:
        await until(first.ready, DEADLINE_S)
        # A callback whose push is not there yet holds up what comes after it: appended, and not answered.
        push_id = beside(chain, world)
        world.verdict(ChainId(push_id, 1, 0, 0), 1, "success")
        await world.publish()
        async with ClientSession(f"http://127.0.0.1:{first.port}") as session:
            posting = asyncio.create_task(Client(world, session).post(chain, 1, "success"))

            async def is_appended() -> bool:
                return await world.end(place) == 2

            await until(is_appended, DEADLINE_S)
            assert not posting.done()
            first.end(signal.SIGKILL)
            with pytest.raises(ClientError):
                await posting
        assert world.push(push_id=push_id).offset == 1
        await world.publish()
        second = Process(environment, tmp_path / "log")
        await until(second.ready, DEADLINE_S)
        async with ClientSession(f"http://127.0.0.1:{second.port}") as session:
            assert await Client(world, session).post(chain, 1, "success") == 200
            assert await Client(world, session).post(chain, 1, "failure") == 400
        assert len((await world.written())[chain]) == 1
        assert second.end(signal.SIGTERM) == 0
    finally:
        for process in filter(None, (first, second)):
            process.process.kill()
    assert "Traceback" not in (tmp_path / "log").read_text()


async def test_topics_that_are_missing_end_it_in_words(environment: dict[str, str], tmp_path: Path) -> None:
    process = Process(environment, tmp_path / "log")
    assert await asyncio.to_thread(process.process.wait, 60) == 1
    said = (tmp_path / "log").read_text()
    assert "hookline topics create" in said
    assert "Traceback" not in said


async def test_a_foreign_commit_ends_it_in_words(
    kafka: str, topic_prefix: str, environment: dict[str, str], tmp_path: Path
) -> None:
    world = await made(kafka, topic_prefix)
    chain = world.push()
    await world.publish()
    partition = partition_of(chain.push_id, PARTITIONS)
    await commit(world, Checkpoint(world.positions(partition), -1, 0, uuid4()), partition)
    process = Process(environment, tmp_path / "log")
    assert await asyncio.to_thread(process.process.wait, 60) == 1
    said = (tmp_path / "log").read_text()
    assert "ForeignLog" in said
    assert "Traceback" not in said
