"""The brokers and the services of a soak as processes: started, killed, stopped, woken, and started again when they die."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path

import aiohttp

from hookline.broker import EmbeddedBroker, EmbeddedCluster
from hookline.log.kafka import KafkaCluster
from hookline.log.topics import create_topics
from tests.integration.kafka_proxy import Api, KafkaProxy
from tests.integration.system import MASTER_KEY, PASSWORD, TOKEN, Stand
from tests.kafka import free_broker_port
from tests.soak.disk import SmallDisk
from tests.soak.plan import SERVICES

__all__ = ["PARTITIONS", "PREFIX", "Stage"]

PARTITIONS = 4
PREFIX = "soak."
READY_S = 60.0
POLL_S = 0.05
ADMIN_OFFSET = 1000
ROOT = Path(__file__).parents[2]
MODULES = {"dispatcher": "tests.soak.dispatcher"}
"""Services that are not run as they come."""


class Stage:
    """`folder` gets the brokers' data, the console's database, and one log file a service."""

    def __init__(
        self,
        folder: Path,
        brokers: int,
        skews_ms: Mapping[str, int],
        say: Callable[[str], None],
        *,
        may_mount: bool = False,
    ) -> None:
        self.folder = folder.absolute()
        self.disk = SmallDisk(folder / "kafka") if may_mount and brokers == 1 else None
        """None: the broker has the disk that there is."""
        self.died: list[str] = []
        """Services that ended with nobody having killed them."""
        self._say = say
        self._skews_ms = dict(skews_ms)
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._watches: set[asyncio.Task[None]] = set()
        self._proxies: dict[str, KafkaProxy] = {}
        if brokers == 1:
            stand = Stand(folder / "kafka")
            self.brokers: tuple[EmbeddedBroker, ...] = (stand.broker,)
            names = ("ingress", "callbacks", "dispatcher")
            self._proxies = {name: KafkaProxy(*stand.proxy_ports[name]) for name in names}
        else:
            self.brokers = EmbeddedCluster(folder / "kafka", [_port() for _ in range(brokers)]).brokers
        self._ports = {name: _port() for name in SERVICES}

    @property
    def servers(self) -> str:
        return ",".join(broker.bootstrap_servers for broker in self.brokers)

    @property
    def database(self) -> Path:
        return self.folder / "console.sqlite3"

    def cluster(self) -> KafkaCluster:
        """Past every proxy."""
        return KafkaCluster(self.servers, PREFIX, client_id="soak")

    def url(self, service: str) -> str:
        return f"http://127.0.0.1:{self._ports[service]}"

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Stage"]:
        with self.disk.mounted() if self.disk else nullcontext():
            async with self._started():
                yield self

    @asynccontextmanager
    async def _started(self) -> AsyncIterator[None]:
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2))
        try:
            await asyncio.gather(*(asyncio.to_thread(broker.start) for broker in self.brokers))
            for proxy in self._proxies.values():
                await proxy.start()
            await create_topics(self.cluster(), partitions=PARTITIONS)
            await asyncio.gather(*map(self.start, SERVICES))
            await self.all_ready()
            yield
        finally:
            for watch in self._watches:
                watch.cancel()
            for process in self._processes.values():
                if process.returncode is None:
                    process.kill()
                await process.wait()
            for proxy in self._proxies.values():
                await proxy.stop()
            await asyncio.gather(*(asyncio.to_thread(broker.stop) for broker in self.brokers))
            await self._http.close()

    # ---- services

    async def start(self, service: str, skew_ms: int | None = None) -> None:
        """`skew_ms`: how much its clock is off from now on."""
        if skew_ms is not None:
            self._skews_ms[service] = skew_ms
        with (self.folder / f"{service}.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", MODULES.get(_kind(service), f"services.{service}")),
                env=self._environment(service),
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )
        self._processes[service] = process
        watch = asyncio.create_task(self._watch(service, process))
        self._watches.add(watch)
        watch.add_done_callback(self._watches.discard)

    async def end(self, service: str, how: signal.Signals = signal.SIGKILL) -> None:
        """By that signal; return when it is gone. Nobody starts it again until `start`."""
        process = self._processes.pop(service)
        if process.returncode is None:
            process.send_signal(how)
        try:
            await asyncio.wait_for(process.wait(), 20)
        except TimeoutError:
            self.died.append(f"{service} did not stop within 20 s")
            if _kind(service) == "dispatcher":
                process.send_signal(signal.SIGUSR1)  # its log says what it waits for
                await asyncio.sleep(1)
            process.kill()
            await process.wait()

    def signal(self, service: str, what: signal.Signals) -> None:
        process = self._processes[service]
        if process.returncode is None:
            process.send_signal(what)

    async def all_ready(self) -> None:
        """Raises TimeoutError where one does not get ready."""
        async with asyncio.timeout(READY_S):
            while True:
                if all(await asyncio.gather(*map(self._is_ready, SERVICES))):
                    return
                await asyncio.sleep(POLL_S)

    async def _is_ready(self, service: str) -> bool:
        try:
            async with self._http.get(f"http://127.0.0.1:{self._ports[service] + ADMIN_OFFSET}/readyz") as answer:
                return answer.status == 200
        except (aiohttp.ClientError, OSError, TimeoutError):
            return False

    async def _watch(self, service: str, process: asyncio.subprocess.Process) -> None:
        """As a supervisor would: whoever dies by itself is started again, and it is written down."""
        code = await process.wait()
        if self._processes.get(service) is process:
            self.died.append(f"{service} ended by itself with {code}")
            self._say(self.died[-1])
            await asyncio.sleep(0.5)
            if self._processes.get(service) is process:
                await self.start(service)

    def _environment(self, service: str) -> dict[str, str]:
        proxy = self._proxies.get(_kind(service))
        servers = f"127.0.0.1:{proxy.port}" if proxy else self.servers
        return {
            **{key: value for key, value in os.environ.items() if not key.startswith("HOOKLINE_")},
            "HOOKLINE_INGRESS_PORT": str(self._ports["ingress"]),
            "HOOKLINE_CALLBACKS_PORT": str(self._ports["callbacks"]),
            "HOOKLINE_CONSOLE_PORT": str(self._ports["console"]),
            "HOOKLINE_DISPATCHER_PORT": str(self._ports.get(service, 1)),
            "HOOKLINE_KAFKA_BOOTSTRAP_SERVERS": servers,
            "HOOKLINE_TOPIC_PREFIX": PREFIX,
            "HOOKLINE_PARTITIONS": str(PARTITIONS),
            "HOOKLINE_MASTER_KEYS": MASTER_KEY,
            "HOOKLINE_ADMIN_PASSWORD": PASSWORD,
            "HOOKLINE_INGRESS_TOKENS": TOKEN,
            "HOOKLINE_ALLOW_PRIVATE_ADDRESSES": "127.0.0.0/8",
            "HOOKLINE_DATA_DIR": str(self.folder),
            "HOOKLINE_SESSION_TIMEOUT_MS": "3000",
            "HOOKLINE_GROUP_INSTANCE_ID": service,
            "HOOKLINE_CLOCK_SKEW_MS": str(self._skews_ms.get(service, 0)),
        }

    # ---- brokers

    def controller(self) -> EmbeddedBroker:
        """The active one, as the first broker that is alive has it on its disk."""
        for number, broker in enumerate(self.brokers, 1):
            file = self.folder / "kafka" / str(number) / "data" / "__cluster_metadata-0" / "quorum-state"
            if broker.is_alive() and file.exists():
                leader = int(json.loads(file.read_text())["leaderId"])
                return self.brokers[leader - 1] if leader > 0 else broker
        return self.brokers[0]

    @asynccontextmanager
    async def late_answers(self, service: str, api: str) -> AsyncIterator[None]:
        """Within it the broker's answers of that kind do not reach the service; then they all do."""
        hold = self._proxies[service].hold(Api[api])
        try:
            yield
        finally:
            hold.release()


def _kind(service: str) -> str:
    return service.partition("-")[0]


def _port() -> int:
    return free_broker_port(24000, 25000)
