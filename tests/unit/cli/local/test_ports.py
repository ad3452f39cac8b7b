"""Ports: which are taken, and the words that say which setting to change."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from hookline.cli.local.ports import check_ports, free_base_port, is_free, listeners
from hookline.errors import ConfigError
from hookline.settings import Settings


@contextmanager
def listening(port: int) -> Iterator[None]:
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", port))
        server.listen()
        yield


def settings_on_free_ports() -> Settings:
    taken: dict[int, str] = {}
    ports = {}
    for name in ("kafka", "ingress", "callbacks", "console", "dispatcher"):
        port = free_base_port(taken)
        taken |= {port: name, port + 1000: name}
        ports[f"{name}_port"] = port
    return Settings(**ports)  # type: ignore[arg-type]


def test_free_ports_pass() -> None:
    check_ports(settings_on_free_ports(), own_broker=True)


@pytest.mark.parametrize(
    ("name", "offset", "setting"),
    [
        ("kafka", 0, "HOOKLINE_KAFKA_PORT"),
        ("kafka", 1000, "HOOKLINE_KAFKA_PORT"),
        ("ingress", 0, "HOOKLINE_INGRESS_PORT"),
        ("console", 1000, "HOOKLINE_CONSOLE_PORT"),
        ("dispatcher", 1000, "HOOKLINE_DISPATCHER_PORT"),
    ],
)
def test_a_taken_port_names_its_setting(name: str, offset: int, setting: str) -> None:
    settings = settings_on_free_ports()
    port = getattr(settings, f"{name}_port") + offset
    with listening(port), pytest.raises(ConfigError, match=rf"port {port} .*taken.*set {setting} "):
        check_ports(settings, own_broker=True)


def test_kafkas_port_does_not_matter_when_kafka_is_elsewhere() -> None:
    settings = settings_on_free_ports()
    with listening(settings.kafka_port):
        check_ports(settings, own_broker=False)


def test_the_dispatcher_has_no_public_port() -> None:
    settings = settings_on_free_ports()
    with listening(settings.dispatcher_port):
        check_ports(settings, own_broker=True)


def test_a_port_claimed_twice() -> None:
    settings = settings_on_free_ports()
    twice = settings.model_copy(update={"callbacks_port": settings.ingress_port + 1000})
    with pytest.raises(ConfigError, match=r"claimed twice.*HOOKLINE_INGRESS_PORT.*HOOKLINE_CALLBACKS_PORT"):
        check_ports(twice, own_broker=True)


def test_an_admin_port_beyond_the_last() -> None:
    settings = settings_on_free_ports().model_copy(update={"ingress_port": 65000})
    with pytest.raises(ConfigError, match="HOOKLINE_INGRESS_PORT is too high"):
        check_ports(settings, own_broker=True)


def test_a_host_that_is_not_ours() -> None:
    with pytest.raises(ConfigError, match="HOOKLINE_HOST: cannot listen on"):
        is_free("192.0.2.1", 18080)


def test_the_defaults_do_not_collide() -> None:
    ports = [listener.port for listener in listeners(Settings(), own_broker=True)]
    assert len(ports) == len(set(ports))
