"""What a broker of ours is told: its server.properties and its JVM flags, tuned for a laptop (design section 6, "The broker")."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hookline.errors import BrokerError

__all__ = ["CONTROLLER_OFFSET", "JVM_FLAGS", "LOOPBACK", "Node", "render", "server_properties"]

LOOPBACK = "127.0.0.1"
CONTROLLER_OFFSET = 1000
"""The controller listens on the broker's port plus this."""

JVM_FLAGS = (
    "-Xms64m",
    "-Xmx384m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:+ExitOnOutOfMemoryError",
    "-Djava.awt.headless=true",
)
"""Up in 2 s with 170 MB; a broker out of memory dies, and is seen to."""


@dataclass(frozen=True)
class Node:
    """One broker, which is its own controller too; a single broker is node 1."""

    port: int
    id: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.port <= 65535 - CONTROLLER_OFFSET:
            raise BrokerError(
                f"port {self.port} cannot be the broker's: its controller listens on the port + {CONTROLLER_OFFSET}, "
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


def server_properties(
    node: Node, nodes: Sequence[Node], log_dir: str, extra: Mapping[str, str] | None = None, *, listen: str = LOOPBACK
) -> dict[str, str]:
    """The properties of one of `nodes`, whose data lies in `log_dir`; `extra` wins over ours.

    Clients are always told the loopback address. `listen` is where the client listener binds: another address than loopback only inside a
    container, whose port is published on the host's loopback.
    """
    several = len(nodes) > 1
    return {
        "process.roles": "broker,controller",
        "node.id": str(node.id),
        "log.dirs": log_dir,
        **_listeners(node, nodes, listen),
        **_internal_topics(replicas=min(3, len(nodes)), in_sync=2 if several else 1),
        **_SMALL,
        **_QUICK,
        **(_QUICK_QUORUM if several else {}),
        "min.insync.replicas": "2" if several else "1",
        **(extra or {}),
    }


def render(properties: Mapping[str, str]) -> str:
    """As the text of a Java properties file (ours has no character that needs more than the backslash escaped)."""
    return "".join(f"{key}={value}\n".replace("\\", "\\\\") for key, value in properties.items())


def _listeners(node: Node, nodes: Sequence[Node], listen: str) -> dict[str, str]:
    return {
        "listeners": f"CLIENTS://{listen}:{node.port},CONTROLLER://{node.controller_address}",
        "advertised.listeners": f"CLIENTS://{node.address},CONTROLLER://{node.controller_address}",
        "listener.security.protocol.map": "CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "CLIENTS",
        "controller.listener.names": "CONTROLLER",
        "controller.quorum.bootstrap.servers": ",".join(each.controller_address for each in nodes),
    }


def _internal_topics(replicas: int, in_sync: int) -> dict[str, str]:
    return {
        "offsets.topic.num.partitions": "4",
        "offsets.topic.replication.factor": str(replicas),
        "transaction.state.log.num.partitions": "4",
        "transaction.state.log.replication.factor": str(replicas),
        "transaction.state.log.min.isr": str(in_sync),
        "share.coordinator.state.topic.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": str(replicas),
        "share.coordinator.state.topic.min.isr": str(in_sync),
        "default.replication.factor": str(replicas),
    }


_SMALL = {
    "num.network.threads": "2",
    "num.io.threads": "4",
    "log.cleaner.dedupe.buffer.size": "4194304",
}

_QUICK = {
    # `hookline topics create` makes the topics; a misspelt one must not come into being by itself.
    "auto.create.topics.enable": "false",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    # Else a killed broker waits 9 s for its own old session to end.
    "broker.session.timeout.ms": "1500",
    "broker.heartbeat.interval.ms": "300",
    # A laptop may be off for weeks; without its commits a dispatcher folds everything from the beginning (ten years, in minutes).
    "offsets.retention.minutes": "5256000",
}

_QUICK_QUORUM = {
    "controller.quorum.election.timeout.ms": "500",
    "controller.quorum.fetch.timeout.ms": "1000",
}
