"""A world for tests of callbacks: logs in memory, one hand that writes what ingress, dispatcher and console would, replicas with real HTTP."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

from aiohttp import ClientResponse, ClientSession, web

from hookline.chain.callback_tokens import CallbackToken, callback_path, sign_token
from hookline.chain.events import CallbackReceived, Event, PushReceived, ReadTo, StepSealed
from hookline.chain.ids import ChainId, partition_of
from hookline.chain.keys import KeyRing
from hookline.log.codec import decode, encode
from hookline.log.records import LOGS, Draft, Place, Positions, Topic
from hookline.settings import IPNetwork
from hookline.testing.memory import MemoryCluster
from hookline.web.service import app_runner
from services.callbacks.app import make_app
from services.callbacks.gate import Appender, Gate
from services.callbacks.replica import Replica
from tests.kit.clocks import HandClock
from tests.kit.events import NOTHING_READ, plan, push
from tests.kit.log_writer import LogWriter
from tests.kit.waiting import until

REPOSITORY = "acme/app"
MASTER_KEY = "k1:" + base64.b64encode(bytes(range(32))).decode()
KEYS = KeyRing.parse([MASTER_KEY])
LOG_ID = UUID("11111111-2222-3333-4444-555555555555")
HOUR_MS = 3_600_000


class World(LogWriter):
    """The logs, and what others write into them. Every chain is of a push to REPOSITORY unless said otherwise."""

    def __init__(
        self, cluster: MemoryCluster | None = None, partitions: int = 3, trusted_proxies: tuple[IPNetwork, ...] = ()
    ) -> None:
        super().__init__(partitions, HandClock())
        self._trusted_proxies = trusted_proxies
        self.cluster = cluster or MemoryCluster(partitions)
        self.cluster.clock = self.clock

    def write(self, event: Event, partition: int, *, fence: int | None = None, event_id: str | None = None) -> int:
        return self.cluster.append(encode(event, partition, now_ms=self.now, fence=fence, event_id=event_id))

    def end_of(self, place: Place) -> int:
        return self.cluster.end(place)

    def read_to_of(self, partition: int) -> ReadTo:
        """Nothing: so no decision waits for a log that is held up."""
        return NOTHING_READ

    def append(self, event: Event, push_id: str) -> int:
        """Past all faults; the offset."""
        return self.write(event, self.partition_of(push_id))

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
        return self.verdict(chain_id._replace(offset=chain_id.offset + 1000))

    def push(self, hooks: int = 2, *, push_id: str | None = None, expect_final_callback: bool = True) -> ChainId:
        """A push with one plan; the chain that it starts."""
        event = push_event(push_id or str(uuid4()), hooks, expect_final_callback=expect_final_callback)
        (chain,) = self.start(event)
        return chain

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


def push_event(push_id: str, hooks: int, *, expect_final_callback: bool = True) -> PushReceived:
    made = plan(hooks, expect_final_callback=expect_final_callback, deadline_s=3600, delays_s=())
    return push(made, push_id=push_id, repository=REPOSITORY, window_s=3600)
