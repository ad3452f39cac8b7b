"""The demo's `up`: on ports that are free, and missed when it ends by itself."""

import io
import os
import socket
from pathlib import Path

import pytest
from rich.console import Console

from hookline.cli.demo.demo_system import DemoSystem, UpEnded, ports_to_use
from hookline.cli.local.ports import free_base_port, is_free
from hookline.settings import Settings


def free_settings() -> Settings:
    ports: dict[str, int] = {}
    taken: dict[int, str] = {}
    for name in ("kafka", "ingress", "dispatcher", "callbacks", "console"):
        ports[f"{name}_port"] = port = free_base_port(taken)
        taken |= {port: name, port + 1000: name}
    return Settings(**ports)  # type: ignore[arg-type]


def test_free_defaults_stay() -> None:
    assert ports_to_use(free_settings(), {}) == {}


@pytest.mark.parametrize("offset", [0, 1000])
def test_another_port_where_the_default_or_its_admin_port_is_taken(offset: int) -> None:
    settings = free_settings()
    with socket.socket() as other:
        other.bind(("127.0.0.1", settings.ingress_port + offset))
        other.listen()
        chosen = ports_to_use(settings, {})
        assert ports_to_use(settings, {"HOOKLINE_INGRESS_PORT": str(settings.ingress_port)}) == {}  # the user's word
    assert set(chosen) == {"HOOKLINE_INGRESS_PORT"}
    port = int(chosen["HOOKLINE_INGRESS_PORT"])
    assert is_free("127.0.0.1", port)
    others = {settings.kafka_port, settings.callbacks_port, settings.console_port, settings.dispatcher_port}
    assert port not in others


async def test_an_up_that_cannot_start_is_missed(tmp_path: Path) -> None:
    environment = {**os.environ, "HOOKLINE_KAFKA_PORT": "many"}
    with pytest.raises(UpEnded, match="before it was ready"):
        async with DemoSystem(tmp_path, environment, Console(file=io.StringIO())):
            pass
