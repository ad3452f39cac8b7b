"""`hookline demo`: what Hookline does, on this machine, in half a minute. Nothing here but public HTTP."""

import asyncio
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

import aiohttp
import typer
from rich.console import Console

from hookline.cli.demo.demo_client import DemoClient
from hookline.cli.demo.demo_story import PIPELINE, REPOSITORY, Story
from hookline.cli.demo.demo_system import DemoSystem, color_environment, ports_to_use
from hookline.cli.local.local_secrets import ADMIN_PASSWORD, INGRESS_TOKENS, SecretFile
from hookline.cli.local.readiness import local_host
from hookline.cli.terminal import make_console, plain, print_rule, shown_path
from hookline.clock import SystemClock
from hookline.settings import load_settings

__all__ = ["demo"]

SECRETS = (ADMIN_PASSWORD, INGRESS_TOKENS)
EXIT_FAILED = 1
EXIT_BROKEN_OFF = 130
REMOVE_TRIES = 20
HISTORY_PAGE = f"/repositories/{REPOSITORY}/{PIPELINE}"


def demo(
    leave: Annotated[
        bool, typer.Option("--exit", help="Exit at the end: with 0 only if both chains ended as they should.")
    ] = False,
    data: Annotated[
        Path | None, typer.Option("--data", help="Data folder to use and keep; without it a temporary one.")
    ] = None,
) -> None:
    """What Hookline does, on this machine: three receivers, a chain that completes and one that halts.

    Starts the whole system (as `hookline up`), on other ports where the usual
    ones are taken, and calls nothing but its public HTTP. Stays until Ctrl-C,
    so that you can look around.

    Examples:
        hookline demo
        hookline demo --exit                 # for scripts: 0 if all went well
        hookline demo --data hookline-data   # keep what it did
    """
    console = make_console()
    with _folder(data) as folder:
        raise typer.Exit(asyncio.run(_until_stopped(console, folder, leave=leave, kept=data is not None)))


@contextmanager
def _folder(data: Path | None) -> Iterator[Path]:
    """The given folder, or one that is gone afterwards."""
    if data is not None:
        yield data.absolute()
        return
    path = Path(tempfile.mkdtemp(prefix="hookline-demo-"))
    try:
        yield path
    finally:
        _remove(path)


def _remove(path: Path) -> None:
    """Also while a process that was just killed in it still has a file to close."""
    for _ in range(REMOVE_TRIES):
        shutil.rmtree(path, ignore_errors=True)
        if not path.exists():
            return
        time.sleep(0.1)


async def _until_stopped(console: Console, folder: Path, *, leave: bool, kept: bool) -> int:
    """The exit code."""
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    demo = Demo(console, folder, kept=kept)
    show = asyncio.create_task(demo.run(leave=leave))
    halt = asyncio.create_task(stopping.wait())
    await asyncio.wait({show, halt}, return_when=asyncio.FIRST_COMPLETED)
    if stopping.is_set():
        console.print("[quiet]stopping[/]")
        show.cancel()
    halt.cancel()
    with suppress(asyncio.CancelledError):
        await show
    return demo.exit_code


class Demo:
    """One run of it. `exit_code`: 0 once both chains ended as they should."""

    def __init__(self, console: Console, folder: Path, *, kept: bool) -> None:
        self.exit_code = EXIT_BROKEN_OFF
        self._console = console
        self._folder = folder
        self._kept = kept
        self._secrets = SecretFile(folder)
        self._made_now = not self._secrets.path.exists()
        ports = ports_to_use(load_settings(), os.environ)
        self._environment = {**os.environ, **ports, **color_environment(console)}
        self._settings = load_settings(**{name.removeprefix("HOOKLINE_").lower(): port for name, port in ports.items()})

    async def run(self, *, leave: bool) -> None:
        """Start the system, tell the story, and stay unless told to leave. Raises HooklineError."""
        async with (
            DemoSystem(self._folder, self._environment, self._console) as system,
            aiohttp.ClientSession() as session,
        ):
            self._console.print()
            print_rule(self._console, "the demo")
            secrets = {**self._secrets.read(), **{name: os.environ[name] for name in SECRETS if os.environ.get(name)}}
            token = secrets[INGRESS_TOKENS].split(",")[0].strip()
            client = DemoClient(session, self._console, self._console_url, self._ingress_url)
            story = Story(client, self._console, SystemClock())
            told = await story.tell(self._settings.admin_username, secrets[ADMIN_PASSWORD], token)
            self.exit_code = 0 if told else EXIT_FAILED
            self._say_what_next(secrets[ADMIN_PASSWORD], leave=leave)
            if not leave:
                await system.ended()

    @property
    def _console_url(self) -> str:
        return f"http://{local_host(self._settings)}:{self._settings.console_port}"

    @property
    def _ingress_url(self) -> str:
        return f"http://{local_host(self._settings)}:{self._settings.ingress_port}"

    def _say_what_next(self, password: str, *, leave: bool) -> None:
        show = self._console.print
        show()
        print_rule(self._console, "what next")
        show(f"  History      [url]{plain(self._console_url + HISTORY_PAGE)}[/]")
        show(f"               log in as [bold]{plain(self._settings.admin_username)}[/], {self._password(password)}")
        gone = "" if self._kept else " [quiet](removed at the end; `--data DIR` keeps it)[/]"
        show(f"  Data         {shown_path(self._folder)}{gone}: Kafka, secrets.env, logs/")
        show(
            f"  A registry   POSTs to [url]{plain(self._ingress_url)}/events/dockerhub?token=TOKEN[/] (Docker Hub: “Webhooks” of the repository)"
        )
        show(
            f"               or to [url]{plain(self._ingress_url)}/events/distribution[/] (CNCF Distribution: notifications); README has both"
        )
        show(
            "  A receiver   answers 2xx and POSTs its verdict to the callback_url it was given; README has one in Python;"
        )
        show("               `hookline receive` is one to try: it prints each hook and calls back as you tell it")
        show("  To keep it   `hookline up`")
        show("\n[quiet]With --exit all this ends now.[/]" if leave else "\n[bold]Ctrl-C stops it.[/]")

    def _password(self, password: str) -> str:
        if os.environ.get(ADMIN_PASSWORD):
            return "password: HOOKLINE_ADMIN_PASSWORD"
        if self._made_now:
            return f"password [bold]{plain(password)}[/]"
        return f"password in {shown_path(self._secrets.path)}"
