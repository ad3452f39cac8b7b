"""Helpers of tests that run a broker: a port that is free now, a broker to start, waiting for a condition."""

import os
import random
import signal
import socket
from pathlib import Path

import psutil

from hookline.broker import EmbeddedBroker
from hookline.broker.config import CONTROLLER_OFFSET
from tests.kit.waiting import wait_until

__all__ = ["docker_answers", "free_broker_port", "freeze", "make_broker", "thaw", "wait_until"]


_given: set[int] = set()
"""Ports that this process gave out: whoever got one may not listen yet when the next one asks."""
WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
"""Of the workers that run a part's tests side by side, each gives out every n-th port."""


def free_broker_port(low: int = 20000, high: int = 29000) -> int:
    """A port that is free on loopback, as is the controller's (or a service's admin port): both are given out once.

    Below the range that the system hands out by itself.
    """
    candidates = [port for port in range(low, high) if port % WORKERS == WORKER]
    random.SystemRandom().shuffle(candidates)
    for port in candidates:
        both = {port, port + CONTROLLER_OFFSET}
        if _given.isdisjoint(both) and all(map(_free, both)):
            _given.update(both)
            return port
    raise OSError(f"no port is free from {low} to {high}")


def make_broker(data_dir: Path, port: int | None = None) -> EmbeddedBroker:
    """A broker that is not started yet."""
    return EmbeddedBroker(data_dir, port or free_broker_port(), say=print)


def freeze(broker: EmbeddedBroker) -> None:
    """As a network that swallows everything: connections stay, nothing answers. It is stopped when this returns."""
    assert broker.process is not None
    os.kill(broker.process.pid, signal.SIGSTOP)
    process = psutil.Process(broker.process.pid)
    wait_until(lambda: process.status() == psutil.STATUS_STOPPED)


def thaw(broker: EmbeddedBroker) -> None:
    """Wake it, if it lives."""
    if broker.is_alive():
        assert broker.process is not None
        os.kill(broker.process.pid, signal.SIGCONT)


def docker_answers() -> bool:
    """Whether a Docker engine answers here."""
    import docker  # type: ignore[import-untyped]

    try:
        docker.from_env(timeout=5).close()
    except docker.errors.DockerException:
        return False
    return True


def _free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
