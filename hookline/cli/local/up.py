"""`hookline up`: the whole system on this machine, in one terminal."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import aiohttp
import typer
from rich.console import Console

from hookline.broker import choose_broker
from hookline.broker_login import KAFKA_PASSWORD, BrokerLogin
from hookline.cli.installed import service_command
from hookline.cli.local.data_dir import DataDir
from hookline.cli.local.environment import child_environment
from hookline.cli.local.local_secrets import SecretFile, check_strength
from hookline.cli.local.ports import SERVICES, check_ports, service_port
from hookline.cli.local.process import Child, launcher
from hookline.cli.local.readiness import console_url, ready_url
from hookline.cli.local.system import LocalSystem
from hookline.cli.local.units import BrokerUnit, ServiceUnit
from hookline.cli.operate.topics import make_topics
from hookline.cli.terminal import make_console
from hookline.cli.voice import UpVoice
from hookline.clock import SystemClock
from hookline.errors import ConfigError
from hookline.settings import Settings, load_settings

__all__ = ["up"]

DataOption = Annotated[
    Path,
    typer.Option("--data", help="Folder for Kafka's data, the database, secrets and logs.", envvar="HOOKLINE_DATA_DIR"),
]
KAFKA = "HOOKLINE_KAFKA_"
DEFAULT_DATA = Path("hookline-data")


def up(
    data: DataOption = DEFAULT_DATA,
    insecure_ingress: Annotated[
        bool, typer.Option("--insecure-ingress", help="Open the sources without a credential to anyone.")
    ] = False,
) -> None:
    """The whole system on this machine: a Kafka broker, the topics and the four services, until Ctrl-C.

    A service that dies is started again. One that cannot stay up ends all, but for
    the console: chains run without it. Settings come from the environment
    (HOOKLINE_...); with HOOKLINE_KAFKA_BOOTSTRAP_SERVERS set, that Kafka is used
    and no broker is started.

    Examples:
        hookline up
        hookline up --data /var/lib/hookline
        HOOKLINE_KAFKA_PORT=19092 HOOKLINE_CONSOLE_PORT=18080 hookline up
        HOOKLINE_KAFKA_BOOTSTRAP_SERVERS=kafka:9092 hookline up
    """
    if insecure_ingress:
        os.environ["HOOKLINE_INSECURE_INGRESS"] = "true"
    folder = DataDir(data)
    settings = load_settings(data_dir=folder.path)
    _check_broker_is_meant(os.environ)
    with folder.locked():
        check_ports(settings, own_broker=not settings.kafka_bootstrap_servers)
        busy = asyncio.run(_run(settings, folder, make_console()))
    if busy:  # only a download in a thread of the broker is left: nothing to lose, nothing to wait for
        sys.stdout.flush()
        os._exit(0)


def _check_broker_is_meant(given: Mapping[str, str]) -> None:
    """Raises ConfigError where it is said how a Kafka is reached, and none is named."""
    how = [
        name for name in (f"{KAFKA}SECURITY_PROTOCOL", f"{KAFKA}SASL_MECHANISM", f"{KAFKA}USERNAME") if given.get(name)
    ]
    if how and not given.get(f"{KAFKA}BOOTSTRAP_SERVERS"):
        raise ConfigError(
            f"{', '.join(how)} set, and no Kafka is named: set {KAFKA}BOOTSTRAP_SERVERS to yours, "
            "or unset the other, and `up` starts a broker with a name and a password of its own"
        )


async def _run(settings: Settings, folder: DataDir, console: Console) -> bool:
    """True when a thread of the broker is still busy at the end."""
    own_broker = not settings.kafka_bootstrap_servers
    secrets, made = SecretFile(folder.path).complete(os.environ, own_broker=own_broker)
    check_strength(secrets)
    login = None
    if own_broker:
        login = BrokerLogin(secrets[KAFKA_PASSWORD])
        settings = load_settings(data_dir=folder.path)  # again: the password was made just now
        settings = settings.model_copy(update={"kafka_bootstrap_servers": (f"127.0.0.1:{settings.kafka_port}",)})
    clock = SystemClock()
    voice = UpVoice(console, clock, settings, folder.path, secrets, made, own_broker=own_broker)
    loop = asyncio.get_running_loop()

    def say(text: str) -> None:
        loop.call_soon_threadsafe(voice.says, "kafka", text)

    broker = choose_broker(settings.kafka, folder.kafka, settings.kafka_port, login=login, say=say, launcher=launcher())
    async with aiohttp.ClientSession() as session:
        system = LocalSystem(
            BrokerUnit(broker) if own_broker else None,
            lambda: make_topics(settings),
            [_service(name, settings, folder, secrets, session, voice, own_broker=own_broker) for name in SERVICES],
            clock,
            voice,
            dispensable=("console",),  # chains need no console
        )
        voice.begin()
        await system.run(_stop_signal(system.hurry))
        return system.broker_is_busy


def _service(
    name: str,
    settings: Settings,
    folder: DataDir,
    secrets: dict[str, str],
    session: aiohttp.ClientSession,
    voice: UpVoice,
    *,
    own_broker: bool,
) -> ServiceUnit:
    environment = child_environment(
        name,
        os.environ,
        secrets,
        folder.path,
        settings.kafka_bootstrap_servers,
        own_broker=own_broker,
        console_url=console_url(settings),
    )
    child = Child(
        name,
        service_command(name),
        environment,
        folder.log_of(name),
        on_error_line=lambda line: voice.error_line(name, line),
    )
    return ServiceUnit(child, session, ready_url(settings, service_port(settings, name)))


def _stop_signal(hurry: Callable[[], None]) -> asyncio.Event:
    """Set by Ctrl-C, SIGTERM or a closed terminal; a second one calls `hurry`."""
    stopping = asyncio.Event()

    def signalled() -> None:
        if stopping.is_set():
            hurry()
        stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, signalled)
    return stopping
