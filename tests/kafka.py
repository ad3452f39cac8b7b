"""A real broker for tests: ports that are free now, and how a broker of a test is made."""

import random
import socket
from pathlib import Path

from hookline.broker import EmbeddedBroker
from hookline.broker.config import CONTROLLER_OFFSET

__all__ = ["free_broker_port", "make_broker"]


def free_broker_port(low: int = 20000, high: int = 29000) -> int:
    """A port that is free on loopback, as is the controller's; below the range that the system hands out by itself."""
    candidates = list(range(low, high))
    random.SystemRandom().shuffle(candidates)
    return next(port for port in candidates if _free(port) and _free(port + CONTROLLER_OFFSET))


def make_broker(data_dir: Path, port: int | None = None) -> EmbeddedBroker:
    """A broker that is not started yet."""
    return EmbeddedBroker(data_dir, port or free_broker_port(), say=print)


def _free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
