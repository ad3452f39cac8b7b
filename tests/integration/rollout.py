"""What Kubernetes does with pods, as far as a client and a receiver can tell: one address before those that are ready, rollouts, scaling.

A pod that goes leaves its Service's endpoints first, then gets SIGTERM, and has its grace to end by itself: the chart's
`preStop` sleep is there for exactly that order.
"""

import asyncio
import contextlib
import itertools
import random
import signal
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass

import aiohttp

from tests.integration.system import SERVICES, System
from tests.kafka import free_broker_port
from tests.kit.waiting import until

__all__ = ["Kube", "Pod"]

GRACE_S = {"ingress": 45, "callbacks": 45, "console": 45, "dispatcher": 90}
"""The chart's terminationGracePeriodSeconds."""


@dataclass(frozen=True)
class Pod:
    """A running service. `name`: of a dispatcher, what its StatefulSet calls it for good."""

    name: str
    service: str
    port: int
    process: asyncio.subprocess.Process


class Front:
    """A Service: a connection goes to one of the endpoints, and stays with it while either side keeps it open."""

    def __init__(self, port: int) -> None:
        self.endpoints: list[int] = []
        self._port = port
        self._server: asyncio.Server
        self._open: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self._port, backlog=1024)

    async def stop(self) -> None:
        self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, IndexError):
            back_reader, back_writer = await asyncio.open_connection("127.0.0.1", random.choice(self.endpoints))
            try:
                ways = {
                    asyncio.create_task(_copy(reader, back_writer)),
                    asyncio.create_task(_copy(back_reader, writer)),
                }
                try:
                    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for way in ways:
                        way.cancel()
            finally:
                back_writer.close()
        writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


class Kube:
    """Pods of a system's services; `system.url` leads to their fronts."""

    def __init__(self, system: System, *, named_dispatchers: bool = True) -> None:
        """named_dispatchers: members of the group with a static name each, as the chart has them."""
        self._system = system
        self._named = named_dispatchers
        self._pods: defaultdict[str, list[Pod]] = defaultdict(list)
        self._fronts = {name: Front(system.ports[name]) for name in SERVICES if name != "dispatcher"}
        self._numbers = itertools.count()

    @contextlib.asynccontextmanager
    async def running(self, **replicas: int) -> AsyncIterator["Kube"]:
        async with self._system.prepared():
            try:
                for front in self._fronts.values():
                    await front.start()
                await asyncio.gather(*(self.scale(service, count) for service, count in replicas.items()))
                yield self
            finally:
                for pod in itertools.chain.from_iterable(self._pods.values()):
                    if pod.process.returncode is None:
                        pod.process.kill()
                    await pod.process.wait()
                for front in self._fronts.values():
                    await front.stop()

    async def replace(self, service: str) -> None:
        """A rollout: each pod of a Deployment once a new one is ready, each of the StatefulSet before its own next."""
        for old in reversed(list(self._pods[service])):
            if service == "dispatcher":
                await self._end([old])
                await self._begin(service, old.name)
            else:
                await self._begin(service)
                await self._end([old])

    async def scale(self, service: str, count: int) -> None:
        pods = self._pods[service]
        names = [f"{service}-{n}" if service == "dispatcher" else "" for n in range(len(pods), count)]
        await asyncio.gather(*(self._begin(service, name) for name in names))
        await self._end(pods[count:])

    async def _begin(self, service: str, name: str = "") -> None:
        """A new pod, an endpoint as soon as it is ready."""
        name = name or f"{service}-{next(self._numbers)}"
        port = free_broker_port()
        folder = self._system.folder / f"{name}-{port}"
        folder.mkdir()
        environment = self._system.environment(service) | {
            f"HOOKLINE_{SERVICES[service]}": str(port),
            "HOOKLINE_DATA_DIR": str(folder),
            "HOOKLINE_GROUP_INSTANCE_ID": name if service == "dispatcher" and self._named else "",
        }
        with (folder / "log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", f"services.{service}", env=environment, stdout=log, stderr=log
            )
        pod = Pod(name, service, port, process)
        self._pods[service].append(pod)
        await until(lambda: self._is_ready(pod))
        if service in self._fronts:
            self._fronts[service].endpoints.append(port)

    async def _is_ready(self, pod: Pod) -> bool:
        assert pod.process.returncode is None, f"{pod.name} has ended"
        try:
            async with self._system.http.get(f"http://127.0.0.1:{pod.port + 1000}/readyz") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    async def _end(self, pods: Iterable[Pod]) -> None:
        """All at once; each within its grace."""
        going = list(pods)
        for pod in going:
            self._pods[pod.service].remove(pod)
            if pod.service in self._fronts:
                self._fronts[pod.service].endpoints.remove(pod.port)
            pod.process.send_signal(signal.SIGTERM)
        for pod in going:
            await asyncio.wait_for(pod.process.wait(), GRACE_S[pod.service])
            assert pod.process.returncode == 0, f"{pod.name} ended with {pod.process.returncode}"
