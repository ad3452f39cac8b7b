"""The brokers and the services of a soak as processes: started, killed, stopped, woken, and started again when they die."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path

import aiohttp

from hookline.kafka.kafka_cluster import KafkaCluster
from hookline.kafka.topics import create_topics
from tests.integration.system import MASTER_KEY, PASSWORD, TOKEN
from tests.kafka import free_broker_port
from tests.soak.brokers import Brokers
from tests.soak.disk import SmallDisk
from tests.soak.fault_plan import PARTITIONS, SERVICES
from tests.soak.naive import Damage

__all__ = ["PREFIX", "ROOT", "Stage"]

PREFIX = "soak."
READY_S = 90.0
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
        self.damaged: list[Damage] = []
        """Batches that no reader gets any more."""
        self.brokers = Brokers(self.folder / "kafka", brokers, SERVICES)
        self._say = say
        self._skews_ms = dict(skews_ms)
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._watches: set[asyncio.Task[None]] = set()
        self._ports = {name: free_broker_port() for name in SERVICES}

    @property
    def servers(self) -> str:
        return self.brokers.servers

    @property
    def database(self) -> Path:
        return self.folder / "console.sqlite3"

    def cluster(self) -> KafkaCluster:
        """Past every proxy."""
        return KafkaCluster(self.servers, PREFIX, client_id="soak")

    def port(self, service: str) -> int:
        return self._ports[service]

    def admin_port(self, service: str) -> int:
        return self._ports[service] + ADMIN_OFFSET

    def url(self, service: str) -> str:
        return f"http://127.0.0.1:{self._ports[service]}"

    def log_file(self, service: str) -> Path:
        return self.folder / f"{service}.log"

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Stage"]:
        with self.disk.mounted() if self.disk else nullcontext():
            async with self._started():
                yield self

    @asynccontextmanager
    async def _started(self) -> AsyncIterator[None]:
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2))
        try:
            async with self.brokers.running():
                try:
                    await create_topics(self.cluster(), partitions=PARTITIONS)
                    await asyncio.gather(*map(self.start, SERVICES))
                    await self.all_ready()
                    yield
                finally:
                    await self._end_services()
        finally:
            await self._http.close()

    async def _end_services(self) -> None:
        for watch in self._watches:
            watch.cancel()
        for process in self._processes.values():
            if process.returncode is None:
                process.kill()
            await process.wait()

    # ---- services

    async def start(self, service: str, skew_ms: int | None = None) -> None:
        """`skew_ms`: how much its clock is off from now on."""
        if skew_ms is not None:
            self._skews_ms[service] = skew_ms
        with self.log_file(service).open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", MODULES.get(_kind(service), f"services.{service}")),
                env=self.environment(service),
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )
        self._processes[service] = process
        watch = asyncio.create_task(self._watch(service, process))
        self._watches.add(watch)
        watch.add_done_callback(self._watches.discard)

    async def end(self, service: str, how: signal.Signals = signal.SIGKILL) -> int:
        """By that signal; return its code when it is gone. Nobody starts it again until `start`."""
        process = self._processes.pop(service)
        if process.returncode is None:
            process.send_signal(how)
        try:
            return await asyncio.wait_for(process.wait(), 20)
        except TimeoutError:
            self.died.append(f"{service} did not stop within 20 s")
            if _kind(service) == "dispatcher":
                process.send_signal(signal.SIGUSR1)  # its log says what it waits for
                await asyncio.sleep(1)
            process.kill()
            return await process.wait()

    def pid(self, service: str) -> int:
        return self._processes[service].pid

    def signal(self, service: str, what: signal.Signals) -> None:
        process = self._processes[service]
        if process.returncode is None:
            process.send_signal(what)

    def skew_ms(self, service: str) -> int:
        """How much its clock is off."""
        return self._skews_ms.get(service, 0)

    async def all_ready(self) -> None:
        """Raises TimeoutError, which says why, where one does not get ready."""
        said: dict[str, str] = {}
        try:
            async with asyncio.timeout(READY_S):
                while True:
                    for service in SERVICES:
                        said[service] = await self._why_not_ready(service)
                    if not any(said.values()):
                        return
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            raise TimeoutError(f"not ready within {READY_S:g} s: { {k: v for k, v in said.items() if v} }") from None

    async def metric(self, service: str, name: str) -> float | None:
        """A metric without labels; None where it is not told."""
        said = await self._admin(service, "metrics")
        values = [line.split()[1] for line in said[1].splitlines() if line.startswith(f"{name} ")]
        return float(values[0]) if values else None

    async def _why_not_ready(self, service: str) -> str:
        status, said = await self._admin(service, "readyz")
        return "" if status == 200 else f"{status} {said}"

    async def _admin(self, service: str, page: str) -> tuple[int, str]:
        try:
            async with self._http.get(f"http://127.0.0.1:{self.admin_port(service)}/{page}") as answer:
                return answer.status, await answer.text()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return 0, repr(error)

    async def _watch(self, service: str, process: asyncio.subprocess.Process) -> None:
        """As a supervisor would: whoever dies by itself is started again, and it is written down."""
        code = await process.wait()
        if self._processes.get(service) is process:
            self.died.append(f"{service} ended by itself with {code}")
            self._say(self.died[-1])
            await asyncio.sleep(0.5)
            if self._processes.get(service) is process:
                await self.start(service)

    def environment(self, service: str) -> dict[str, str]:
        return {
            **{key: value for key, value in os.environ.items() if not key.startswith("HOOKLINE_")},
            "HOOKLINE_INGRESS_PORT": str(self._ports["ingress"]),
            "HOOKLINE_CALLBACKS_PORT": str(self._ports["callbacks"]),
            "HOOKLINE_CONSOLE_PORT": str(self._ports["console"]),
            "HOOKLINE_DISPATCHER_PORT": str(self._ports.get(service, 1)),
            "HOOKLINE_KAFKA_BOOTSTRAP_SERVERS": self.brokers.servers_of(service),
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


def _kind(service: str) -> str:
    return service.partition("-")[0]
