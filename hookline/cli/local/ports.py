"""Which ports a system on this machine listens on, by setting, and whether they are free."""

import errno
import socket
from collections.abc import Container, Iterator
from typing import NamedTuple

from hookline.errors import ConfigError
from hookline.settings import ADMIN_OFFSET, Settings

__all__ = ["SERVICES", "Listener", "check_ports", "free_base_port", "is_free", "listeners", "service_port"]

SERVICES = ("ingress", "dispatcher", "callbacks", "console")
"""In the order in which they are shown; each has a setting `<NAME>_PORT` and an admin port ADMIN_OFFSET above it."""

LOOPBACK = "127.0.0.1"
FIRST_TRIED = 18080


class Listener(NamedTuple):
    """One port that somebody will listen on."""

    setting: str
    what: str
    host: str
    port: int


def service_port(settings: Settings, service: str) -> int:
    """A service's own port; its admin port is that plus ADMIN_OFFSET."""
    port = getattr(settings, f"{service}_port")
    assert isinstance(port, int)
    return port


def listeners(settings: Settings, *, own_broker: bool) -> Iterator[Listener]:
    """Every port that `hookline up` will take."""
    if own_broker:
        yield Listener("HOOKLINE_KAFKA_PORT", "Kafka", LOOPBACK, settings.kafka_port)
        yield Listener("HOOKLINE_KAFKA_PORT", "Kafka's controller", LOOPBACK, settings.kafka_port + 1000)
    for name in SERVICES:
        setting, port = f"HOOKLINE_{name.upper()}_PORT", service_port(settings, name)
        if name != "dispatcher":  # it has no public HTTP
            yield Listener(setting, name, settings.host, port)
        yield Listener(setting, f"{name}'s admin port", settings.host, port + ADMIN_OFFSET)


def check_ports(settings: Settings, *, own_broker: bool) -> None:
    """Raises ConfigError that says which setting to change when a port is taken, claimed twice or out of range."""
    claimed: dict[int, Listener] = {}
    for listener in listeners(settings, own_broker=own_broker):
        setting, what, host, port = listener
        if port > 65535:
            raise ConfigError(f"{setting} is too high: {what} needs port {port}, and ports end at 65535")
        if port in claimed:
            other = claimed[port]
            raise ConfigError(
                f"port {port} is claimed twice: for {other.what} ({other.setting}) and for {what} ({setting}); "
                f"every service also takes its port + {ADMIN_OFFSET}"
            )
        claimed[port] = listener
        if not is_free(host, port):
            raise ConfigError(
                f"port {port} for {what} is taken by another program: "
                f"set {setting} to another, for example {setting}={free_base_port()}"
            )


def is_free(host: str, port: int) -> bool:
    """May one listen there? Raises ConfigError for a host that is not an address of this machine."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)  # with SO_REUSEADDR some systems let a bind pass beside a listener
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES, errno.EPERM):
                return False
            raise ConfigError(f"HOOKLINE_HOST: cannot listen on {host}: {error.strerror or error}") from None
    return True


def free_base_port(taken: Container[int] = (), host: str = LOOPBACK) -> int:
    """A port that is free together with the one ADMIN_OFFSET above it, none of them in `taken`."""
    for port in range(FIRST_TRIED, 60_000):
        pair = (port, port + ADMIN_OFFSET)
        if not any(one in taken for one in pair) and all(is_free(host, one) for one in pair):
            return port
    raise ConfigError("no free ports on this machine")
