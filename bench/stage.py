"""What a measurement stands on: a broker of its own, topics, and service processes; all ended by it."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import psutil

from hookline.broker import EmbeddedBroker
from hookline.log.kafka import KafkaCluster
from hookline.log.topics import create_topics

__all__ = ["MASTER_KEY", "Stage", "stage"]

MASTER_KEY = "k1:" + "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="
SERVICES = ("ingress", "callbacks", "console", "dispatcher")
READY_S = 300.0


class Stage:
    """A running broker with topics. `folder` goes away with it."""

    def __init__(self, folder: Path, broker: EmbeddedBroker, partitions: int) -> None:
        self.folder = folder
        self.broker = broker
        self.partitions = partitions
        self.ports = dict(zip(SERVICES, _free_ports(len(SERVICES)), strict=True))
        self.processes: dict[str, asyncio.subprocess.Process] = {}

    def cluster(self) -> KafkaCluster:
        return KafkaCluster(self.broker.bootstrap_servers, "hookline.", client_id="bench")

    async def start(self, name: str) -> float:
        """Start a service; seconds until it was ready."""
        began = time.perf_counter()
        log = (self.folder / f"{name}.log").open("ab")
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", f"services.{name}", env=self._environment(name), stdout=log, stderr=log
        )
        log.close()
        self.processes[name] = process
        url = f"http://127.0.0.1:{self.ports[name] + 1000}/readyz"
        async with aiohttp.ClientSession() as http:
            while time.perf_counter() - began < READY_S:
                if process.returncode is not None:
                    raise SystemExit(f"{name} ended: {(self.folder / f'{name}.log').read_text()[-2000:]}")
                with contextlib.suppress(aiohttp.ClientError):
                    async with http.get(url) as answer:
                        if answer.status == 200:
                            return time.perf_counter() - began
                await asyncio.sleep(0.02)
        raise SystemExit(f"{name} was not ready within {READY_S:g} s")

    async def stop(self, name: str, number: int = signal.SIGTERM) -> None:
        process = self.processes.pop(name)
        if process.returncode is None:
            process.send_signal(number)
        await process.wait()

    def memory(self, name: str) -> int:
        """PSS in bytes."""
        return int(psutil.Process(self.processes[name].pid).memory_full_info().pss)

    def _environment(self, name: str) -> dict[str, str]:
        ports = {f"HOOKLINE_{service.upper()}_PORT": str(port) for service, port in self.ports.items()}
        return {
            **{key: value for key, value in os.environ.items() if not key.startswith("HOOKLINE_")},
            **ports,
            "HOOKLINE_KAFKA_BOOTSTRAP_SERVERS": self.broker.bootstrap_servers,
            "HOOKLINE_PARTITIONS": str(self.partitions),
            "HOOKLINE_MASTER_KEYS": MASTER_KEY,
            "HOOKLINE_ADMIN_PASSWORD": "bench",
            "HOOKLINE_INGRESS_TOKENS": "bench",
            "HOOKLINE_ALLOW_PRIVATE_ADDRESSES": "127.0.0.0/8",
            "HOOKLINE_SESSION_TIMEOUT_MS": "3000",
            "HOOKLINE_GROUP_INSTANCE_ID": name,
            "HOOKLINE_DATA_DIR": str(self.folder),
            "HOOKLINE_LOG_LEVEL": "info",
        }


@contextlib.asynccontextmanager
async def stage(partitions: int = 12) -> AsyncIterator[Stage]:
    """A broker in a folder of its own, with topics."""
    with tempfile.TemporaryDirectory(prefix="hookline-bench-") as name:
        (port,) = _free_ports(1)
        broker = EmbeddedBroker(Path(name) / "kafka", port, say=lambda _: None)
        await asyncio.to_thread(broker.start)
        made = Stage(Path(name), broker, partitions)
        try:
            await create_topics(made.cluster(), partitions=partitions)
            yield made
        finally:
            for service in list(made.processes):
                await made.stop(service, signal.SIGKILL)
            await asyncio.to_thread(broker.stop)


def _free_ports(count: int) -> list[int]:
    """Ports that are free together with the one 1000 above each (a service's admin port, a broker's controller)."""
    found: list[int] = []
    for port in range(28_000 + os.getpid() % 500, 31_000):
        if len(found) < count and _free(port) and _free(port + 1000):
            found.append(port)
    return found


def _free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
