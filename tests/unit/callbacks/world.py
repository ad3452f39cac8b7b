"""A world for tests of callbacks: logs in memory, one hand that writes what ingress, dispatcher and console would, replicas with real HTTP."""

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

from aiohttp import ClientResponse, ClientSession, web

from hookline.chain.events import (
    AttemptError,
    CallbackReceived,
    CancelRequested,
    ChainCompleted,
    ChainHalted,
    Event,
    Fence,
    HaltReason,
    HookAttemptFailed,
    HookDelivered,
    HookPlan,
    Plan,
    PushReceived,
    ReadTo,
    RedeliveryRequested,
    StepClosing,
    StepSealed,
    Verdict,
)
from hookline.chain.ids import ChainId, partition_of
from hookline.chain.keys import KeyRing
from hookline.chain.tokens import CallbackToken, callback_path, sign_token
from hookline.log.codec import decode, encode
from hookline.log.records import LOGS, Draft, Place, Positions, Topic
from hookline.settings import IPNetwork
from hookline.testing.memory import MemoryCluster
from hookline.web.service import app_runner
from services.callbacks.app import make_app
from services.callbacks.gate import Appender, Gate
from services.callbacks.replica import Replica

REPOSITORY = "acme/app"
MASTER_KEY = "k1:" + base64.b64encode(bytes(range(32))).decode()
KEYS = KeyRing.parse([MASTER_KEY])
LOG_ID = UUID("11111111-2222-3333-4444-555555555555")
HOUR_MS = 3_600_000
START_MS = 1_700_000_000_000
NOTHING_READ = ReadTo(pushes=0, callbacks=0, commands=0)


class HandClock:
    """Wall time moved by hand; sleeps are real, so that retries go on by themselves."""

    def __init__(self) -> None:
        self.ms = START_MS

    def now_ms(self) -> int:
        return self.ms

    def monotonic(self) -> float:
        return self.ms / 1000

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class World:
    """The logs, and what others write into them. Every chain is of a push to REPOSITORY unless said otherwise."""

    def __init__(
        self, cluster: MemoryCluster | None = None, partitions: int = 3, trusted_proxies: tuple[IPNetwork, ...] = ()
    ) -> None:
        self.partitions = partitions
        self._trusted_proxies = trusted_proxies
        self.clock = HandClock()
        self.cluster = cluster or MemoryCluster(partitions)
        self.cluster.clock = self.clock
        self._fences: dict[int, int] = {}

    # What the log holds

    def append(self, event: Event, push_id: str, fence: int | None = None) -> int:
        """Past all faults; the offset."""
        partition = partition_of(push_id, self.partitions)
        return self.cluster.append(encode(event, partition, now_ms=self.clock.now_ms(), fence=fence))

    def callbacks(self, chain_id: ChainId) -> list[tuple[int, CallbackReceived]]:
        """The verdicts that lie in `callbacks` about that chain, with offsets."""
        raws = self.cluster.log(Place(Topic.CALLBACKS, partition_of(chain_id.push_id, self.partitions)))
        found = []
        for record in map(decode, raws):
            assert isinstance(record.event, CallbackReceived | StepSealed)
            if isinstance(record.event, CallbackReceived) and record.event.chain_id == str(chain_id):
                found.append((record.offset, record.event))
        return found

    def positions(self, partition: int) -> Positions:
        """The ends of the four logs, where nothing was deleted."""
        return Positions(*(len(self.cluster.log(Place(topic, partition))) for topic in LOGS))

    def hold_up_callbacks(self, chain_id: ChainId) -> int:
        """A callback whose cause is not in the log yet: it holds up `callbacks[p]` for every reader."""
        return self.heard(chain_id._replace(offset=chain_id.offset + 1000), 1, "success")

    # What ingress writes

    def push(self, hooks: int = 2, *, push_id: str | None = None, expect_final_callback: bool = True) -> ChainId:
        """A push with one plan; the chain that it starts."""
        push_id = push_id or str(uuid4())
        offset = self.append(push_event(push_id, hooks, expect_final_callback=expect_final_callback), push_id)
        return ChainId(push_id, offset, 0, 0)

    # What console writes

    def cancel(self, chain_id: ChainId) -> None:
        at = self.clock.now_ms()
        event = CancelRequested(cause=chain_id.cause, chain_id=str(chain_id), by="admin", requested_at=at)
        self.append(event, chain_id.push_id)

    def run_again(self, chain_id: ChainId, from_step: int = 1, hooks: int = 2) -> ChainId:
        event = RedeliveryRequested(
            cause=chain_id.offset,
            push_id=chain_id.push_id,
            repository=REPOSITORY,
            by="admin",
            requested_at=self.clock.now_ms(),
            from_step=from_step,
            plan=plan(hooks),
            payload={},
        )
        return chain_id._replace(run=self.append(event, chain_id.push_id) + 1)

    # What dispatcher writes

    def fence(self, chain_id: ChainId) -> int:
        """A new Fence of that chain's partition: decisions written from now on carry its token."""
        event = Fence(owner="test", fenced_at=self.clock.now_ms())
        token = self._fences[partition_of(chain_id.push_id, self.partitions)] = self.append(event, chain_id.push_id)
        return token

    def decide(self, event: Event, chain_id: ChainId, fence: int | None = None) -> int:
        """Under the partition's last Fence, or that one."""
        if fence is None:
            fence = self._fences.get(partition_of(chain_id.push_id, self.partitions))
        return self.append(event, chain_id.push_id, self.fence(chain_id) if fence is None else fence)

    def delivered(self, chain_id: ChainId, step: int, attempt: int = 1) -> int:
        now = self.clock.now_ms()
        return self.decide(
            HookDelivered(
                cause=chain_id.cause,
                chain_id=str(chain_id),
                step=step,
                attempt=attempt,
                started_at=now,
                took_ms=5,
                status=200,
                expires_at=now + HOUR_MS,
                read_to=NOTHING_READ,
                decided_at=now,
            ),
            chain_id,
        )

    def failed(
        self,
        chain_id: ChainId,
        step: int,
        *,
        last: bool = True,
        status: int = 500,
        error: AttemptError = AttemptError.STATUS,
    ) -> int:
        """last: no more attempts, so it is an intent to halt."""
        now = self.clock.now_ms()
        return self.decide(
            HookAttemptFailed(
                cause=chain_id.cause,
                chain_id=str(chain_id),
                step=step,
                attempt=1,
                started_at=now,
                took_ms=5,
                error=error,
                status=status,
                next_attempt_at=None if last else now + 5000,
                read_to=NOTHING_READ,
                decided_at=now,
            ),
            chain_id,
        )

    def closing(self, chain_id: ChainId, step: int, *, fence: int | None = None) -> int:
        return self.decide(
            StepClosing(
                cause=chain_id.cause,
                chain_id=str(chain_id),
                step=step,
                read_to=NOTHING_READ,
                decided_at=self.clock.now_ms(),
            ),
            chain_id,
            fence,
        )

    def sealed(self, chain_id: ChainId, step: int, intent: int) -> int:
        """`intent`: the offset that it names, whatever lies there."""
        at = self.clock.now_ms()
        event = StepSealed(cause=chain_id.cause, chain_id=str(chain_id), step=step, intent=intent, sealed_at=at)
        return self.append(event, chain_id.push_id)

    def halted(self, chain_id: ChainId, step: int, reason: HaltReason, *, fence: int | None = None) -> int:
        return self.decide(
            ChainHalted(
                cause=chain_id.cause,
                chain_id=str(chain_id),
                step=step,
                reason=reason,
                read_to=NOTHING_READ,
                decided_at=self.clock.now_ms(),
            ),
            chain_id,
            fence,
        )

    def completed(self, chain_id: ChainId, step: int = 2) -> int:
        return self.decide(
            ChainCompleted(
                cause=chain_id.cause,
                chain_id=str(chain_id),
                step=step,
                read_to=NOTHING_READ,
                decided_at=self.clock.now_ms(),
            ),
            chain_id,
        )

    # What another replica of callbacks writes

    def heard(self, chain_id: ChainId, step: int, state: str) -> int:
        event = CallbackReceived(
            cause=chain_id.cause,
            chain_id=str(chain_id),
            step=step,
            state=Verdict(state),
            received_at=self.clock.now_ms(),
            remote_ip="192.0.2.1",
        )
        return self.append(event, chain_id.push_id)

    # The service

    def path(self, chain_id: ChainId, step: int, *, expires_in_ms: int = HOUR_MS, repository: str = REPOSITORY) -> str:
        """Path of the callback URL."""
        token = CallbackToken(chain_id, step, self.clock.now_ms() + expires_in_ms)
        return callback_path(repository, sign_token(KEYS, token, repository))

    @asynccontextmanager
    async def replica(self, writer: Appender | None = None, *, wait: bool = True) -> AsyncIterator["RunningReplica"]:
        """One replica of callbacks; `wait`: until it is current."""
        replica = Replica(self.cluster, self.partitions, LOG_ID, self.clock)
        task = asyncio.create_task(replica.run())
        gate = Gate(replica, writer or DirectWriter(self.cluster))
        try:
            async with serving(make_app(KEYS, lambda: gate, self.clock, self._trusted_proxies)) as client:
                running = RunningReplica(self, replica, client)
                if wait:
                    await until(lambda: replica.current or task.done())
                yield running
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def serving(app: web.Application) -> AsyncIterator[ClientSession]:
    """The app on a free port, as `hookline.web.service` serves it, and a client for it."""
    runner = app_runner(app, drain_s=0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        async with ClientSession(f"http://{host}:{port}") as client:
            yield client
    finally:
        await runner.cleanup()


class RunningReplica:
    """A replica and a client of its HTTP."""

    def __init__(self, world: World, replica: Replica, client: ClientSession) -> None:
        self.replica = replica
        self.client = client
        self._world = world

    async def post(self, chain_id: ChainId, step: int, state: str, *, expires_in_ms: int = HOUR_MS) -> int:
        """Call back as a receiver does; the status."""
        path = self._world.path(chain_id, step, expires_in_ms=expires_in_ms)
        async with self.client.post(path, json={"state": state}) as answer:
            await check_shape(answer)
            return answer.status

    async def caught_up(self) -> None:
        """Wait until everything in the logs is read."""

        def is_caught_up() -> bool:
            return all(
                tail.positions.of(topic) >= len(self._world.cluster.log(Place(topic, tail.partition)))
                for tail in self.replica.tails
                for topic in (Topic.PUSHES, Topic.CALLBACKS, Topic.COMMANDS, Topic.DELIVERIES)
            )

        await until(is_caught_up)


class DirectWriter:
    """Appends past all faults."""

    def __init__(self, cluster: MemoryCluster) -> None:
        self._cluster = cluster

    async def append(self, draft: Draft) -> int:
        await asyncio.sleep(0)
        return self._cluster.append(draft)


async def check_shape(answer: ClientResponse) -> None:
    """Every answer is as the table says, whatever it answers."""
    body = await answer.json()
    match answer.status:
        case 200:
            assert await answer.read() == b'"OK"'
        case 400:
            assert body == "Update not allowed" or all(isinstance(said, list) for said in body.values())
        case 503:
            assert int(answer.headers["Retry-After"]) >= 1
            assert isinstance(body["detail"], str)


async def until(condition: Callable[[], bool], deadline_s: float = 10.0) -> None:
    """Wait for a condition; fail loudly when it does not come."""
    async with asyncio.timeout(deadline_s):
        while not condition():  # noqa: ASYNC110 (whatever the condition, none need know that it is waited for)
            await asyncio.sleep(0.001)


async def until_async(condition: Callable[[], Awaitable[bool]], deadline_s: float = 10.0) -> None:
    """The same for a condition that must be asked for."""
    async with asyncio.timeout(deadline_s):
        while not await condition():  # noqa: ASYNC110 (as above)
            await asyncio.sleep(0.01)


def plan(hooks: int, *, expect_final_callback: bool = True) -> Plan:
    return Plan(
        n=0,
        pipeline_id="p",
        name="ci",
        slug="ci",
        expect_final_callback=expect_final_callback,
        callback_deadline_s=3600,
        timeout_s=15,
        retry_delays_s=(5,),
        hooks=tuple(
            HookPlan(id=f"h{n}", version=1, key="k1", name=f"{n}", url="http://receiver.test/") for n in range(hooks)
        ),
    )


def push_event(push_id: str, hooks: int, *, expect_final_callback: bool = True) -> PushReceived:
    return PushReceived(
        push_id=push_id,
        source="dockerhub",
        received_at=START_MS,
        dedupe_window_s=3600,
        pushed_at=START_MS,
        repository=REPOSITORY,
        payload={},
        raw="{}",
        settings_offset=1,
        plans=(plan(hooks, expect_final_callback=expect_final_callback),),
    )
