"""A dispatcher over the in-memory cluster, receivers that a test scripts, and what a test asks of the logs."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import TypeVar
from uuid import UUID, uuid4

from pydantic import SecretStr
from pydantic_core import from_json

from hookline.chain.events import Event, Plan, PushReceived, Verdict
from hookline.chain.fold import PartitionFold
from hookline.chain.ids import ChainId
from hookline.chain.keys import KeyRing
from hookline.log.cluster import Ack, Producer
from hookline.log.codec import Record, encode
from hookline.log.reader import PartitionReader, Read
from hookline.log.records import LOGS, Draft, Place, Positions, Topic
from hookline.log.watch import CheckLog, LogState
from hookline.settings import Settings
from hookline.testing.manual_clock import ManualClock
from hookline.testing.memory import MemoryCluster
from hookline.testing.memory_group import MemoryGroup
from services.dispatcher.sender import HookPost, Outcome
from services.dispatcher.service import Dispatcher, Pace
from services.dispatcher.surroundings import HookSender
from services.dispatcher.worker import Worker
from tests.kit import events as kit
from tests.kit.events import hook
from tests.kit.waiting import until

LOG_ID = UUID("6f1c9c3e-0000-4000-8000-000000000001")
KEY = "k1:" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY="
REPOSITORY = "ns/app"
DELIVERED = Outcome(took_ms=1, status=200)
T = TypeVar("T")


class Gated(MemoryCluster):
    """`before` is awaited before each append: it may wait, or raise."""

    before: Callable[[Draft], Awaitable[None]] | None = None

    async def producer(self) -> Producer:
        producer = await super().producer()
        send = producer.send

        async def gated(draft: Draft) -> Ack:
            if self.before is not None:
                await self.before(draft)
            return await send(draft)

        producer.send = gated  # type: ignore[method-assign]
        return producer


@dataclass
class Receivers:
    """Every POST that was made, and how each is answered: by `answer`, which may wait, raise, or call back first."""

    answer: Callable[[HookPost], object] = lambda post: DELIVERED
    posts: list[HookPost] = field(default_factory=list)

    async def post(self, post: HookPost) -> Outcome:
        self.posts.append(post)
        got = self.answer(post)
        if asyncio.iscoroutine(got):
            got = await got
        assert isinstance(got, Outcome)
        return got

    def hold(self, held: Callable[[HookPost], bool] = lambda post: True) -> asyncio.Event:
        """From now on answer those that are `held` only once the event that this gives is set, and all others at once."""
        answered = asyncio.Event()

        async def answer(post: HookPost) -> Outcome:
            if held(post):
                await answered.wait()
            return DELIVERED

        self.answer = answer
        return answered

    async def close(self) -> None: ...

    @property
    def ids(self) -> list[str]:
        return [post.webhook_id for post in self.posts]


def plan(hooks: int = 1, *, n: int = 0, final: bool = True, delays: Sequence[int] = (5,), deadline_s: int = 60) -> Plan:
    made = tuple(hook(step, f"http://r{step}.test/") for step in range(1, hooks + 1))
    return kit.plan(n=n, hooks=made, expect_final_callback=final, deadline_s=deadline_s, delays_s=tuple(delays))


def push_received(now_ms: int, *plans: Plan, push_id: str | None = None, window_s: int = 3600) -> PushReceived:
    return kit.push(
        *plans or (plan(),), push_id=push_id or str(uuid4()), received_at=now_ms, window_s=window_s, source="dockerhub",
        repository=REPOSITORY, payload={"push_data": {"tag": "1"}, "repository": {"repo_name": REPOSITORY}},
    )  # fmt: skip


class World:
    """One log, one clock, as many dispatchers as a test starts."""

    def __init__(
        self, cluster: MemoryCluster, clock: ManualClock | None = None, seed: int = 0, checkpoint_events: int = 10_000
    ) -> None:
        self.cluster = cluster
        self.clock = clock or ManualClock()
        cluster.clock = self.clock
        self.receivers = Receivers()
        self.make_sender: Callable[[], HookSender] = lambda: self.receivers
        self.keys = KeyRing.parse([KEY])
        self.seed = seed
        self.pace = Pace(poll_s=0.005, checkpoint_events=checkpoint_events)

    def dispatcher(self, name: str = "a", check: CheckLog | None = None) -> Dispatcher:
        async def fits() -> LogState:
            await self.cluster.reach()
            return LogState(LOG_ID)

        settings = Settings(
            master_keys=(SecretStr(KEY),), public_callback_url="http://callbacks.test", group_instance_id=name
        )
        return Dispatcher(
            settings, self.clock, self.cluster, Random(self.seed), check or fits, lambda: self.make_sender(), self.pace
        )

    @asynccontextmanager
    async def running(self, name: str = "a", check: CheckLog | None = None):
        dispatcher = self.dispatcher(name, check)
        await dispatcher.start()
        try:
            await until(lambda: dispatcher.ready().ok)
            yield dispatcher
        finally:
            await kill(dispatcher)

    # ---- what the other services would append

    def push(self, *plans: Plan, push_id: str | None = None, window_s: int = 3600, partition: int = 0) -> PushReceived:
        event = push_received(self.clock.now_ms(), *plans, push_id=push_id, window_s=window_s)
        self.append(event, partition)
        return event

    def verdict(self, chain_id: str, step: int = 1, state: Verdict = Verdict.SUCCESS, partition: int = 0) -> int:
        return self.append(kit.verdict(chain_id, step, state, at=self.clock.now_ms()), partition)

    def cancel(self, chain_id: str, partition: int = 0) -> int:
        return self.append(kit.cancel(chain_id, at=self.clock.now_ms()), partition)

    def redeliver(self, event: PushReceived, offset: int, from_step: int = 1) -> str:
        """The id of the run of its first chain."""
        chain = ChainId(event.push_id, offset, event.plans[0].n, 0)
        asked = kit.rerun(
            chain, event.plans[0], from_step, at=self.clock.now_ms(), repository=event.repository, payload=event.payload
        )
        return str(chain._replace(run=self.append(asked) + 1))

    def append(self, event: Event, partition: int = 0) -> int:
        return self.cluster.append(encode(event, partition, now_ms=self.clock.now_ms()))

    # ---- what is in the logs

    def reads(self, partition: int = 0) -> list[Read]:
        reader = PartitionReader(partition, Positions())
        for topic in LOGS:
            reader.offer(topic, self.cluster.log(Place(topic, partition)))
        return list(reader.read())

    def decisions(self, kind: type[Event], partition: int = 0) -> list[Record]:
        """Valid ones of that type."""
        return [r.record for r in self.reads(partition) if r.valid and isinstance(r.record.event, kind)]

    def full_fold(self, partition: int = 0) -> PartitionFold:
        """Everything, nothing forgotten: the truth."""
        fold = PartitionFold(keep_ended=True)
        for read in self.reads(partition):
            if read.valid:
                fold.fold(read.record.event, read.record.offset, read.record.timestamp)
        return fold

    def ending(self, chain_id: str) -> object:
        chain = self.full_fold().chains.get(chain_id)
        return chain and chain.ending

    def only_chain(self) -> str:
        (chain_id,) = self.full_fold().chains
        return chain_id


async def kill(dispatcher: Dispatcher) -> None:
    """As kill -9 would: nothing is flushed, nothing is waited for, the group is not left in peace."""
    await dispatcher.abandon()


async def stop_polling(world: World, dispatcher: Dispatcher) -> None:
    """As a process that is stopped; what it has begun goes on."""
    member_of(world, dispatcher).stall()
    await asyncio.sleep(2 * world.pace.poll_s)


def member_of(world: World, dispatcher: Dispatcher) -> MemoryGroup:
    """Its membership in the group, the one it has now."""
    return next(member for member in reversed(world.cluster.members) if member.listener is dispatcher)


def worker_of(dispatcher: Dispatcher, partition: int = 0) -> Worker:
    worker = dispatcher.partitions[partition].worker
    assert worker is not None, "it is restoring"
    return worker


def callback_url(post: HookPost) -> str:
    return str(from_json(post.body)["callback_url"])


def snapshots(world: World) -> int:
    return sum("last" in raw.headers for raw in world.cluster.log(Place(Topic.SNAPSHOTS, 0)))
