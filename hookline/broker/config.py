"""What a broker of ours is told: its server.properties and its JVM flags, tuned for a laptop (design section 6, "The broker")."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hookline.broker_login import MECHANISM, PROTOCOL, BrokerLogin
from hookline.errors import BrokerError

__all__ = [
    "CONTROLLER_OFFSET",
    "HEAP_FLAGS",
    "JVM_FLAGS",
    "LOOPBACK",
    "Membership",
    "Node",
    "render",
    "server_properties",
]

LOOPBACK = "127.0.0.1"
CONTROLLER_OFFSET = 1000
"""The controller listens on the broker's port plus this."""

HEAP_FLAGS = ("-Xms160m", "-Xmn80m", "-Xmx384m")
"""Half of what it starts with is for young objects, and there is room for old ones: with less the collector stopped everything
for 10 to 20 ms three times a second at 200 pushes a second, and for 60 ms now and then."""

JVM_FLAGS = (
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:+ExitOnOutOfMemoryError",
    "-Djava.awt.headless=true",
)
"""Up in 2 s with 220 MB; a broker out of memory dies, so that whoever runs it starts it again."""


@dataclass(frozen=True)
class Node:
    """One broker, which is its own controller too. Raises BrokerError when the port leaves no room for the controller's."""

    port: int
    id: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.port <= 65535 - CONTROLLER_OFFSET:
            raise BrokerError(
                f"the broker cannot listen on port {self.port}: its controller takes the port + {CONTROLLER_OFFSET}, "
                f"so set HOOKLINE_KAFKA_PORT to 1 to {65535 - CONTROLLER_OFFSET}."
            )

    @property
    def controller_port(self) -> int:
        return self.port + CONTROLLER_OFFSET

    @property
    def address(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    @property
    def controller_address(self) -> str:
        return f"{LOOPBACK}:{self.controller_port}"


@dataclass(frozen=True)
class Membership:
    """The cluster that a broker belongs to: by itself, or one of several."""

    nodes: Sequence[Node]
    cluster_id: str | None = None
    """None: the broker's data folder makes one."""
    initial_controllers: str = ""
    """`ID@HOST:PORT:DIRECTORY_ID,...` for StorageTool; empty for a broker by itself."""

    @property
    def format_arguments(self) -> tuple[str, ...]:
        """How StorageTool is told who the first controllers are."""
        return ("--initial-controllers", self.initial_controllers) if self.initial_controllers else ("--standalone",)


def server_properties(
    node: Node,
    nodes: Sequence[Node],
    extra: Mapping[str, str] | None = None,
    *,
    login: BrokerLogin | None = None,
    data: str = "data",
    listen: str = LOOPBACK,
) -> dict[str, str]:
    """The properties of one of `nodes`; `extra` wins over ours. `login`: who is let in; None: everybody on this machine.

    `data` is relative to the broker's working folder. Clients are always told the loopback address; `listen`, where their listener
    binds, is another one only inside a container, whose port is published on the host's loopback.
    """
    several = len(nodes) > 1
    return {
        "process.roles": "broker,controller",
        "node.id": str(node.id),
        "log.dirs": data,
        **_listeners(node, nodes, listen),
        **_replicas(min(3, len(nodes)), in_sync=2 if several else 1),
        **_SMALL,
        **_QUICK,
        **(_QUICK_QUORUM if several else {}),
        **(_only(login) if login is not None else {}),
        **(extra or {}),
    }


def render(properties: Mapping[str, str]) -> str:
    r"""The text of a Java properties file: backslashes, line ends and what is not ASCII escaped (`\n`, `\u00fc`)."""
    return "".join(f"{key}={json.dumps(value)[1:-1]}\n" for key, value in properties.items())


def _listeners(node: Node, nodes: Sequence[Node], listen: str) -> dict[str, str]:
    return {
        "listeners": f"CLIENTS://{listen}:{node.port},CONTROLLER://{node.controller_address}",
        "advertised.listeners": f"CLIENTS://{node.address},CONTROLLER://{node.controller_address}",
        "listener.security.protocol.map": "CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "CLIENTS",
        "controller.listener.names": "CONTROLLER",
        "controller.quorum.bootstrap.servers": ",".join(each.controller_address for each in nodes),
    }


def _only(login: BrokerLogin) -> dict[str, str]:
    """Both listeners ask for the login: whoever may write to the controller's could change everything as well.

    Kafka reads the JAAS line with escapes of its own, under those of a properties file.
    """
    password = login.password.replace("\\", "\\\\").replace('"', '\\"')
    jaas = (
        "org.apache.kafka.common.security.plain.PlainLoginModule required"
        f' username="{login.username}" password="{password}" user_{login.username}="{password}";'
    )
    return {
        "listener.security.protocol.map": f"CLIENTS:{PROTOCOL},CONTROLLER:{PROTOCOL}",
        "sasl.enabled.mechanisms": MECHANISM,
        "sasl.mechanism.inter.broker.protocol": MECHANISM,
        "sasl.mechanism.controller.protocol": MECHANISM,
        **{f"listener.name.{name}.{MECHANISM.lower()}.sasl.jaas.config": jaas for name in ("clients", "controller")},
    }


def _replicas(count: int, in_sync: int) -> dict[str, str]:
    return {
        "default.replication.factor": str(count),
        "min.insync.replicas": str(in_sync),
        "offsets.topic.replication.factor": str(count),
        "transaction.state.log.replication.factor": str(count),
        "transaction.state.log.min.isr": str(in_sync),
        "share.coordinator.state.topic.replication.factor": str(count),
        "share.coordinator.state.topic.min.isr": str(in_sync),
    }


_SMALL = {
    "num.network.threads": "2",
    "num.io.threads": "4",
    "log.cleaner.dedupe.buffer.size": "4194304",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.num.partitions": "4",
}

_QUICK = {
    # `hookline topics create` makes the topics; a misspelt one must not come into being by itself.
    "auto.create.topics.enable": "false",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    # Else a killed broker that is started again first waits for the end of its own old session, 9 s.
    "broker.session.timeout.ms": "1500",
    "broker.heartbeat.interval.ms": "300",
    # Ten years, in minutes: a laptop may be off for weeks, and without its commits a dispatcher folds everything from the beginning.
    "offsets.retention.minutes": "5256000",
}

_QUICK_QUORUM = {
    "controller.quorum.election.timeout.ms": "500",
    "controller.quorum.fetch.timeout.ms": "1000",
    # All stop at once: the last ones would wait for a controller that has gone.
    "controlled.shutdown.enable": "false",
}
