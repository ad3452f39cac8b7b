"""The brokers of a soak, with a proxy of its own before each of them for each service."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource

from hookline.broker import EmbeddedBroker
from hookline.broker.config import Membership, Node
from hookline.broker.folder import new_cluster_id
from tests.integration.kafka_proxy import Api, Hold, KafkaProxy, Trouble
from tests.kafka import free_broker_port

__all__ = ["Brokers", "Quorum"]

ASK_S = 5.0


@dataclass(frozen=True)
class Quorum:
    """Who leads the controllers, and in which epoch, as one broker has it on its disk."""

    leader: int
    epoch: int


class Brokers:
    """Brokers 1, 2, ... in `folder`/1, /2, ...; `clients`: each has a listener of its own, behind a proxy, at every broker."""

    def __init__(self, folder: Path, count: int, clients: Sequence[str]) -> None:
        self.folder = folder
        nodes = tuple(Node(free_broker_port(), number) for number in range(1, count + 1))
        self.links = {
            name: tuple(KafkaProxy(free_broker_port(), free_broker_port()) for _ in nodes) for name in clients
        }
        """Client to its proxies, one for each broker."""
        membership = _membership(nodes)
        self.all = tuple(
            EmbeddedBroker(
                folder / str(node.id),
                node.port,
                properties=self._listeners(node),
                node_id=node.id,
                membership=membership,
            )
            for node in nodes
        )

    @property
    def servers(self) -> str:
        """Past every proxy."""
        return ",".join(broker.bootstrap_servers for broker in self.all)

    def servers_of(self, client: str) -> str:
        return ",".join(f"127.0.0.1:{proxy.port}" for proxy in self.links[client])

    def data(self, number: int) -> Path:
        """Of that broker: a folder for each partition."""
        return self.folder / str(number) / "data"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        try:
            await self.start()
            for proxy in self._proxies():
                await proxy.start()
            yield
        finally:
            for proxy in self._proxies():
                await proxy.stop()
            await asyncio.gather(*(asyncio.to_thread(broker.stop) for broker in self.all))

    async def start(self) -> None:
        """Those that are down: all at once, since none answers before a majority is there."""
        await asyncio.gather(*(asyncio.to_thread(broker.start) for broker in self.all))

    async def kill(self) -> None:
        """All of them."""
        await asyncio.gather(*(asyncio.to_thread(broker.kill) for broker in self.all))

    def quorum(self) -> Quorum:
        """As the first broker that is alive has it; nobody leads where none says so."""
        known = [Quorum(0, 0)]
        for number, broker in enumerate(self.all, 1):
            file = self.data(number) / "__cluster_metadata-0" / "quorum-state"
            if broker.is_alive() and file.exists():
                said = json.loads(file.read_text())
                known.append(Quorum(int(said["leaderId"]), int(said["leaderEpoch"])))
        return max(known, key=lambda quorum: (quorum.epoch, quorum.leader))

    async def leaders(self, topic: str, *, but: int = 0) -> Mapping[int, int]:
        """Partition to the number of the broker that leads it (-1: none), as any broker but that one says."""
        servers = ",".join(broker.bootstrap_servers for number, broker in enumerate(self.all, 1) if number != but)
        return await asyncio.to_thread(_leaders, servers, topic)

    async def set_of(self, topic: str, name: str, value: str | None) -> None:
        """A setting of that topic; None: as the broker has it."""
        await asyncio.to_thread(_set, self.servers, topic, name, value)

    def trouble(self, client: str, trouble: Trouble) -> None:
        """From now on on every link of that client, until it is lifted."""
        for proxy in self.links[client]:
            proxy.disturb(trouble)

    def hold(self, client: str, api: Api) -> Sequence[Hold]:
        """From now on what any broker answers that client to such requests is held back."""
        return [proxy.hold(api) for proxy in self.links[client]]

    def _proxies(self) -> Sequence[KafkaProxy]:
        return [proxy for proxies in self.links.values() for proxy in proxies]

    def _listeners(self, node: Node) -> Mapping[str, str]:
        """Of that broker, in addition to what every one of ours has."""
        own, controller = f"PLAINTEXT://{node.address}", f"CONTROLLER://{node.controller_address}"
        links = {_listener(name): proxies[node.id - 1] for name, proxies in self.links.items()}
        real = [f"{name}://127.0.0.1:{proxy.target}" for name, proxy in links.items()]
        shown = [f"{name}://127.0.0.1:{proxy.port}" for name, proxy in links.items()]
        protocols = [f"{name}:PLAINTEXT" for name in ("CONTROLLER", "PLAINTEXT", *links)]
        return {
            "listeners": ",".join([own, controller, *real]),
            "advertised.listeners": ",".join([own, controller, *shown]),
            "listener.security.protocol.map": ",".join(protocols),
            "inter.broker.listener.name": "PLAINTEXT",
        }


def _listener(client: str) -> str:
    return client.replace("-", "").upper()


def _membership(nodes: tuple[Node, ...]) -> Membership:
    if len(nodes) == 1:
        return Membership(nodes)
    controllers = ",".join(f"{node.id}@{node.controller_address}:{new_cluster_id()}" for node in nodes)
    return Membership(nodes, new_cluster_id(), controllers)


def _leaders(servers: str, topic: str) -> Mapping[int, int]:
    told = AdminClient({"bootstrap.servers": servers}).list_topics(topic, timeout=ASK_S).topics[topic].partitions
    return {number: partition.leader for number, partition in told.items()}


def _set(servers: str, topic: str, name: str, value: str | None) -> None:
    what = AlterConfigOpType.DELETE if value is None else AlterConfigOpType.SET
    change = ConfigEntry(name, value, incremental_operation=what)
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[change])
    client = AdminClient({"bootstrap.servers": servers})  # its answers go with it
    for done in client.incremental_alter_configs([resource]).values():
        done.result(ASK_S)
