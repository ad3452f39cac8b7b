"""What a measurement stands on: a broker of its own, topics, and processes; all ended by it."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Collection, Mapping
from pathlib import Path

import aiohttp
import psutil

from bench.failure import BenchFailed
from bench.pushes import TOKEN
from hookline.broker import EmbeddedBroker
from hookline.cli.local import tether
from hookline.errors import HooklineError
from hookline.kafka.kafka_cluster import KafkaCluster
from hookline.kafka.topics import create_topics

__all__ = ["KAFKA", "MASTER_KEY", "PASSWORD", "SERVICES", "SNAPSHOTS", "Stage", "stage"]

PASSWORD = "bench password"
MASTER_KEY = "k1:" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY="
SERVICES = ("ingress", "callbacks", "console", "dispatcher")
KAFKA = "kafka"
"""The broker's name beside the processes'."""
PREFIX = "hookline."
SNAPSHOTS = "snapshots"
"""The topic that `Stage.kept_bytes` leaves out."""
READY_S = 900.0
LAST_WORDS = 2_000
"""Characters."""
APPEND_TIMEOUT_S = 60.0
STOP_S = 300.0
"""A dispatcher writes a last snapshot of all that is open."""


class Stage:
    """A running broker with topics, and processes by name. `folder` goes away with it."""

    def __init__(self, folder: Path, broker: EmbeddedBroker, partitions: int, prefix: str) -> None:
        self.folder = folder
        self.broker = broker
        self.partitions = partitions
        self.prefix = prefix
        self.ports: dict[str, int] = dict(zip(SERVICES, _free_ports(len(SERVICES)), strict=True))
        self.processes: dict[str, asyncio.subprocess.Process] = {}

    def cluster(self) -> KafkaCluster:
        return KafkaCluster(
            self.broker.bootstrap_servers, self.prefix, client_id="bench", append_timeout_s=APPEND_TIMEOUT_S
        )

    async def start(
        self, name: str, service: str = "", settings: Mapping[str, str] | None = None, module: str | None = None
    ) -> float:
        """Start a service, under a name of its own where there are two of it; seconds until it was ready.

        `settings`: beyond those of every stage, by the names of their variables; `module`: what stands in for it.
        """
        service = service or name
        self.port(name)
        environment = self._environment(name, service) | dict(settings or {})
        return await self.run(name, module or f"services.{service}", env=environment)

    def port(self, name: str) -> int:
        """The port of that process; of one that is none of the services, a free one from the first time on."""
        if name not in self.ports:
            (self.ports[name],) = _free_ports(1, taken=self.ports.values())
        return self.ports[name]

    async def run(self, name: str, module: str, *arguments: str, env: Mapping[str, str] | None = None) -> float:
        """Start `python -m module` and wait until it is ready (`/readyz` on its port + 1000); seconds until it was.

        It dies with us. Raises BenchFailed with its last words.
        """
        began = time.perf_counter()
        with (self.folder / f"{name}.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, tether.__file__, str(os.getpid()), sys.executable, "-m", module, *arguments,
                env=env, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self.processes[name] = process
        url = f"http://127.0.0.1:{self.ports[name] + 1000}/readyz"
        async with aiohttp.ClientSession() as http:
            while time.perf_counter() - began < READY_S:
                if process.returncode is not None:
                    raise BenchFailed(self._last_words(name))
                with contextlib.suppress(aiohttp.ClientError):
                    async with http.get(url) as answer:
                        if answer.status == 200:
                            return time.perf_counter() - began
                await asyncio.sleep(0.02)
        raise BenchFailed(f"{name} was not ready within {READY_S:g} s")

    async def stop(self, name: str, number: int = signal.SIGTERM) -> None:
        process = self.processes.pop(name)
        if process.returncode is None:
            process.send_signal(number)
        try:
            await asyncio.wait_for(process.wait(), STOP_S)
        except TimeoutError:
            process.kill()
            await process.wait()

    def memory(self, name: str) -> int:
        """PSS in bytes."""
        return int(psutil.Process(self._pid(name)).memory_full_info().pss)

    def peak_memory(self, name: str) -> int:
        """The most RSS it ever had, in bytes (Linux's VmHWM; elsewhere what it has now)."""
        status = Path(f"/proc/{self._pid(name)}/status")
        if status.exists():
            (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
            return int(line.split()[1]) * 1024
        return int(psutil.Process(self._pid(name)).memory_info().rss)

    def cpu_seconds(self) -> dict[str, float]:
        """User and system time of every process so far, and of the broker."""
        return {name: sum(psutil.Process(self._pid(name)).cpu_times()[:2]) for name in (*self.processes, KAFKA)}

    def log_bytes(self) -> dict[str, int]:
        """What lies on the disk of each topic, without indexes (Kafka preallocates those)."""
        found: dict[str, int] = {}
        for file in (self.folder / KAFKA).glob(f"**/{self.prefix}*/*.log"):
            topic = file.parent.name.removeprefix(self.prefix).rpartition("-")[0]
            found[topic] = found.get(topic, 0) + file.stat().st_size
        return found

    def kept_bytes(self) -> int:
        """What the logs hold. Snapshots are trimmed by their writer, a segment of 64 MB at a time: counted by themselves."""
        return sum(size for topic, size in self.log_bytes().items() if topic != SNAPSHOTS)

    def ended(self) -> list[str]:
        """What should run and does not, with its last words."""
        said = [self._last_words(name) for name, each in self.processes.items() if each.returncode is not None]
        return said if self.broker.is_alive() else ["the broker ended", *said]

    def _last_words(self, name: str) -> str:
        return f"{name} ended: {(self.folder / f'{name}.log').read_text()[-LAST_WORDS:]}"

    def _pid(self, name: str) -> int:
        return (self.broker.pid or 0) if name == KAFKA else self.processes[name].pid

    def _environment(self, name: str, service: str) -> dict[str, str]:
        ports = {f"HOOKLINE_{each.upper()}_PORT": str(self.ports[each]) for each in SERVICES}
        return {
            **{key: value for key, value in os.environ.items() if not key.startswith("HOOKLINE_")},
            **ports,
            f"HOOKLINE_{service.upper()}_PORT": str(self.ports[name]),
            "HOOKLINE_KAFKA_BOOTSTRAP_SERVERS": self.broker.bootstrap_servers,
            "HOOKLINE_TOPIC_PREFIX": self.prefix,
            "HOOKLINE_PARTITIONS": str(self.partitions),
            "HOOKLINE_MASTER_KEYS": MASTER_KEY,
            "HOOKLINE_ADMIN_PASSWORD": PASSWORD,
            "HOOKLINE_INGRESS_TOKENS": TOKEN,
            "HOOKLINE_INGRESS_RATE": "1000000",  # one registry is all of them here
            "HOOKLINE_INGRESS_BYTE_RATE": "1000000000",
            "HOOKLINE_ALLOW_PRIVATE_ADDRESSES": "127.0.0.0/8",
            "HOOKLINE_SESSION_TIMEOUT_MS": "3000",
            "HOOKLINE_GROUP_INSTANCE_ID": name,
            "HOOKLINE_DATA_DIR": str(self.folder),
            "HOOKLINE_LOG_LEVEL": "info",
        }


@contextlib.asynccontextmanager
async def stage(partitions: int = 12, prefix: str = PREFIX) -> AsyncIterator[Stage]:
    """A broker in a folder of its own, with topics. Raises BenchFailed in words when something of it ended by itself."""
    with tempfile.TemporaryDirectory(prefix="hookline-bench-") as name:
        (port,) = _free_ports(1)
        tied = (sys.executable, tether.__file__, str(os.getpid()))
        broker = EmbeddedBroker(Path(name) / KAFKA, port, launcher=tied)
        starting = asyncio.create_task(asyncio.to_thread(broker.start))
        try:
            await asyncio.shield(starting)
            made = Stage(Path(name), broker, partitions, prefix)
            try:
                await create_topics(made.cluster(), partitions=partitions)
                yield made
            except (BenchFailed, OSError, TimeoutError, HooklineError) as error:
                if ended := made.ended():
                    raise BenchFailed("; ".join(ended)) from error
                raise
            finally:
                for process in list(made.processes):
                    await made.stop(process, signal.SIGKILL)
        finally:
            await asyncio.to_thread(broker.stop)
            # Its thread may still be writing to the folder. What it raised was raised above, or does not matter any more.
            await asyncio.gather(starting, return_exceptions=True)


def _free_ports(count: int, taken: Collection[int] = ()) -> list[int]:
    """Ports that are free together with the one 1000 above each (a service's admin port, a broker's controller)."""
    found: list[int] = []
    for port in range(28_000 + os.getpid() % 500, 31_000):
        if len(found) < count and port not in taken and _free(port) and _free(port + 1000):
            found.append(port)
    return found


def _free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
