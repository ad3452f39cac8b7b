"""Three brokers, and services of which some hear at once of another leader and some only when the old one says that it is none."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Collection
from functools import partial
from itertools import count, islice
from random import Random
from typing import NamedTuple, Protocol

import aiohttp
from aiohttp import web
from confluent_kafka import ElectionType
from confluent_kafka.admin import AdminClient, NewTopic
from pydantic import SecretStr
from pydantic_core import to_json

from hookline.broker import EmbeddedBroker
from hookline.chain.ids import partition_of, push_id
from hookline.chain.pipeline import Hook, Pipeline
from hookline.chain.state import Chain
from hookline.clock import SystemClock
from hookline.kafka.check import LogCheck
from hookline.kafka.client import ClientTimes
from hookline.kafka.fitness import config_of
from hookline.kafka.kafka_cluster import KafkaCluster
from hookline.kafka.topics import create_topics
from hookline.log.codec import encode_setting
from hookline.log.records import Topic
from hookline.settings import Settings
from hookline.testing.embedded_cluster import EmbeddedCluster
from hookline.web.service import Service, app_runner
from services.callbacks.service import CallbacksService
from services.dispatcher.address_guard import AddressGuard
from services.dispatcher.partition import State
from services.dispatcher.sender import Sender
from services.dispatcher.service import Dispatcher
from services.ingress.service import Ingress
from tests.integration.system import MASTER_KEY, TOKEN, Receiver
from tests.kit.waiting import until

__all__ = ["PARTITIONS", "Answered", "Leaders", "Services"]

PARTITIONS = 6
DEADLINE_S = 8
"""A chain's `callback_deadline_s`: time to elect another leader, for callbacks to find it, and to call back."""
SOON = ClientTimes(metadata_max_age_ms=300, request_timeout_ms=1000)
"""callbacks' and ingress's: else no verdict is answered while the old leader sleeps."""
LATE = ClientTimes(metadata_max_age_ms=300_000, request_timeout_ms=20_000)
"""The dispatcher's: five minutes is what Kafka's own clients come with."""
AGAIN_S = 0.2
"""Before a callback that was answered 503 is sent again."""
LONG, BRIEF = "ns/long", "ns/brief"
"""Repositories whose chains have DEADLINE_S, and one second to be called back."""


class Leaders:
    """Which broker leads what. As it is made, no broker leads `callbacks[p]` and `deliveries[p]` of one partition.

    Each look is by a client of its own, which knows of no other broker than the one that is asked.
    """

    def __init__(self, brokers: EmbeddedCluster, prefix: str) -> None:
        self._brokers = brokers.brokers
        self._prefix = prefix

    async def make_topics(self) -> None:
        """Those whose leaders matter; `create_topics` makes the others."""
        copies = len(self._brokers)
        made = [
            NewTopic(
                f"{self._prefix}{topic}",
                PARTITIONS,
                replica_assignment=[[(p + first + n) % copies + 1 for n in range(copies)] for p in range(PARTITIONS)],
                config=config_of(topic, copies),
            )
            for topic, first in ((Topic.CALLBACKS, 0), (Topic.DELIVERIES, 1))
        ]
        client = _client(self._brokers[0])  # kept: what it was asked is dropped with it
        for future in client.create_topics(made).values():
            await asyncio.wrap_future(future)

    async def restore(self) -> None:
        """As they were made, with all copies on all brokers, and every broker knows it."""
        await until(self._whole)
        client = _client(self._brokers[0])
        await asyncio.wrap_future(client.elect_leaders(ElectionType.PREFERRED))
        await until(self._as_made)

    def leader(self, number: int) -> tuple[EmbeddedBroker, frozenset[int]]:
        """That one of the brokers, counted round, and the partitions of which it leads `callbacks`, as it is made."""
        copies = len(self._brokers)
        return self._brokers[number % copies], frozenset(range(number % copies, PARTITIONS, copies))

    async def deposed(self, broker: EmbeddedBroker, partitions: Collection[int]) -> bool:
        """Do others lead those partitions of `callbacks` by now?"""
        topics = await self._topics(next(other for other in self._brokers if other is not broker))
        found = topics[f"{self._prefix}{Topic.CALLBACKS}"]
        return all(found[p].leader > 0 and self._brokers[found[p].leader - 1] is not broker for p in partitions)

    async def _whole(self) -> bool:
        return await self._all(lambda found: len(found.isrs) == len(self._brokers))

    async def _as_made(self) -> bool:
        return await self._all(lambda found: found.leader == found.replicas[0])

    async def _all(self, holds: Callable[["_Partition"], bool]) -> bool:
        """Does every broker say that of every partition?"""
        told = [await self._topics(broker) for broker in self._brokers]
        return all(holds(found) for topics in told for partitions in topics.values() for found in partitions.values())

    async def _topics(self, asked: EmbeddedBroker) -> dict[str, dict[int, "_Partition"]]:
        found = await asyncio.to_thread(partial(_client(asked).list_topics, timeout=20))
        return {name: topic.partitions for name, topic in found.topics.items()}


def _client(asked: EmbeddedBroker) -> AdminClient:
    return AdminClient({"bootstrap.servers": asked.bootstrap_servers})


class _Partition(Protocol):
    """As a broker tells of it."""

    leader: int
    replicas: list[int]
    isrs: list[int]


class Answered(NamedTuple):
    """A verdict that was answered with something else than 503, and when (Unix ms)."""

    chain_id: str
    state: str
    status: int
    at: int


class Services:
    """ingress, callbacks and a dispatcher in this process, over real HTTP, and a receiver of the only hook.

    ingress and callbacks hear of another leader soon, the dispatcher late.
    """

    def __init__(self, servers: str, prefix: str) -> None:
        self.soon = KafkaCluster(servers, prefix, client_id="soon", append_timeout_s=1.5, times=SOON)
        self.late = KafkaCluster(servers, prefix, client_id="late", times=LATE)
        self._clock = SystemClock()
        self._receiver = Receiver()
        self._pushed = count()
        self._http: aiohttp.ClientSession
        self._dispatcher: Dispatcher

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Services"]:
        async with contextlib.AsyncExitStack() as stack:
            self._http = await stack.enter_async_context(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)))
            await self._receiver.start()
            stack.push_async_callback(self._receiver.stop)
            await create_topics(self.soon, partitions=PARTITIONS)
            self._log_id = (await LogCheck(self.soon)()).log_id
            await self._make_pipelines()
            await self._start(stack)
            yield self

    async def _make_pipelines(self) -> None:
        now, url = self._clock.now_ms(), self._receiver.url("hook")
        hook = Hook(id="h1", key="k1", name="hook", url=url, created_at=now, updated_at=now)
        producer = await self.soon.producer()
        try:
            for repository, deadline_s in ((LONG, DEADLINE_S), (BRIEF, 1)):
                pipeline = Pipeline(
                    pipeline_id=repository, repository=repository, name="ci", slug="ci", callback_deadline_s=deadline_s,
                    hooks=(hook,), created_at=now, updated_at=now,
                )  # fmt: skip
                await producer.append(encode_setting(pipeline, now_ms=now))
        finally:
            await producer.close()

    async def _start(self, stack: contextlib.AsyncExitStack) -> None:
        settings = Settings(master_keys=(SecretStr(MASTER_KEY),), ingress_tokens=(SecretStr(TOKEN),))
        callbacks = CallbacksService(settings.key_ring(), self._clock, self.soon, LogCheck(self.soon))
        ingress = Ingress(settings, self._clock, self.soon, LogCheck(self.soon))
        self._ingress_url = await _serving(stack, ingress.app)
        settings = Settings(
            master_keys=settings.master_keys, public_callback_url=await _serving(stack, callbacks.app),
            allow_private_addresses=("127.0.0.0/8",),  # type: ignore[arg-type]
        )  # fmt: skip
        guard = AddressGuard(settings.allow_private_addresses)
        self._dispatcher = Dispatcher(
            settings, self._clock, self.late, Random(0), LogCheck(self.soon),
            lambda: Sender(settings.key_ring(), self._clock, guard),
        )  # fmt: skip
        for service in (ingress, callbacks, self._dispatcher):
            await service.start()
            stack.push_async_callback(service.stop)
            await until(partial(_is_ready, service))

    # ---- chains

    async def seal(self, partitions: Collection[int]) -> None:
        """A step in each, so that the dispatcher knows who leads: who is to write there first asks, and is told the truth."""
        chains = set[str]().union(*[await self._push_all(1, {partition}, BRIEF) for partition in partitions])
        await until(lambda: self.all_over(chains))

    async def begin(self, chains: int, partitions: Collection[int]) -> dict[str, int]:
        """So many chains, all in those partitions; their deadlines (Unix ms), once all were delivered."""
        begun = await self._push_all(chains, partitions, LONG)
        return await until(lambda: self._deadlines(begun))

    async def _push_all(self, chains: int, partitions: Collection[int], repository: str) -> set[str]:
        """Their ids, once all were POSTed."""
        before = len(self._receiver.posts)
        bodies = (_body(number, repository) for number in self._pushed)
        for body in islice((body for body in bodies if self._partition(body) in partitions), chains):
            await until(partial(self._push, body))
        await until(lambda: len(self._receiver.posts) == before + chains)
        begun = {webhook_id.rpartition("-")[0] for _, webhook_id, _ in self._receiver.posts[before:]}
        assert len(begun) == chains, "one POST for each"
        return begun

    def _partition(self, body: bytes) -> int:
        return partition_of(push_id(self._log_id, "dockerhub", None, body), PARTITIONS)

    async def _push(self, body: bytes) -> bool:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with self._http.post(f"{self._ingress_url}/events/dockerhub", data=body, headers=headers) as answer:
            return answer.status == 202

    def _deadlines(self, chains: Collection[str]) -> dict[str, int] | None:
        """None until the dispatcher has read that all were delivered."""
        found = {}
        for chain_id in chains:
            chain = self._open.get(chain_id)
            if chain is None or (expires_at := chain.step(1).expires_at) is None:
                return None
            found[chain_id] = expires_at
        return found

    def all_over(self, chains: Collection[str]) -> bool:
        """Has the dispatcher read the end of each, in all partitions?"""
        if not all(partition.state is State.RUNNING for partition in self._dispatcher.partitions.values()):
            return False
        return self._open.keys().isdisjoint(chains)

    @property
    def _open(self) -> dict[str, Chain]:
        """As the dispatcher knows them."""
        workers = [partition.worker for partition in self._dispatcher.partitions.values()]
        return {id: chain for worker in workers if worker is not None for id, chain in worker.fold.chains.items()}

    async def call_back(self, chain_id: str, state: str, at: int, until_at: int) -> Answered | None:
        """A receiver that answers at that time, and again after each 503. None where no other answer came in time."""
        url = next(str(body["callback_url"]) for _, id, body in self._receiver.posts if id.startswith(chain_id))
        await asyncio.sleep(max(0, at - self._clock.now_ms()) / 1000)
        while self._clock.now_ms() < until_at:
            async with self._http.post(url, json={"state": state}) as answer:
                if answer.status != 503:
                    return Answered(chain_id, state, answer.status, self._clock.now_ms())
            await asyncio.sleep(AGAIN_S)
        return None


def _is_ready(service: Service) -> bool:
    return service.ready().ok


async def _serving(stack: contextlib.AsyncExitStack, app: web.Application) -> str:
    """Its URL, on a free port."""
    runner = app_runner(app, drain_s=1)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return f"http://127.0.0.1:{runner.addresses[0][1]}"


def _body(number: int, repository: str) -> bytes:
    """Of a push of its own."""
    namespace, _, name = repository.partition("/")
    push = {"pushed_at": 1417566161, "pusher": "me", "tag": f"v{number}"}
    pushed = {"repo_name": repository, "namespace": namespace, "name": name, "status": "Active"}
    return to_json({"push_data": push, "repository": pushed})
