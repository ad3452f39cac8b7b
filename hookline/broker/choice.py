"""Which broker to run on this machine: from the jars, or in a container."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, Protocol

from hookline.broker.container import ContainerBroker
from hookline.broker.server import EmbeddedBroker
from hookline.broker_login import BrokerLogin

__all__ = ["Broker", "choose_broker"]


class Broker(Protocol):
    """What whoever runs a broker needs of it; see EmbeddedBroker."""

    @property
    def bootstrap_servers(self) -> str: ...

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def kill(self) -> None: ...

    def is_alive(self) -> bool: ...

    def last_log_lines(self, count: int = 20) -> list[str]: ...


def choose_broker(
    kind: Literal["", "docker"],
    data_dir: Path,
    port: int,
    *,
    login: BrokerLogin | None,
    say: Callable[[str], None] = lambda _: None,
    launcher: Sequence[str] = (),
) -> Broker:
    """A broker that is not started yet; `kind` is the setting HOOKLINE_KAFKA; `login` and `launcher` as for EmbeddedBroker.

    With HOOKLINE_KAFKA_BOOTSTRAP_SERVERS set there is none to run, and this is not to be called.
    """
    if kind == "docker":
        return ContainerBroker(data_dir, port, login=login, say=say)
    return EmbeddedBroker(data_dir, port, login=login, say=say, launcher=launcher)
