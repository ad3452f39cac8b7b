"""`hookline sources`: where each kind of registry delivers, how it proves who it is, and what to paste into its configuration."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer
from rich.console import Console
from typer.core import TyperGroup

from hookline.cli.local.local_secrets import local_settings
from hookline.cli.terminal import make_console, plain, plain_lines, print_json
from hookline.clock import SystemClock
from hookline.errors import ConfigError
from hookline.settings import Settings

if TYPE_CHECKING:
    from hookline.audit.pushes import PushReader
    from services.ingress.credentials import Credentials
    from services.ingress.source import Source

__all__ = ["Listed", "SourcesGroup", "list_sources", "listed_sources", "push_reader"]

DataOption = Annotated[
    Path,
    typer.Option("--data", help="Data folder of `hookline up`; its tokens count as set.", envvar="HOOKLINE_DATA_DIR"),
]
DEFAULT_DATA = Path("hookline-data")


HELP = ("-h", "--help")


class Listed(NamedTuple):
    """A source as it is set up here. `missing`: what must be set before it takes anything, "" for nothing."""

    source: "Source"
    credentials: "Credentials"
    missing: str

    @property
    def path(self) -> str:
        return f"/events/{self.source.name}"

    @property
    def credential(self) -> str:
        """The ways in which its producers can prove who they are."""
        return " or ".join(check.name for check in self.source.checks)


class SourcesGroup(TyperGroup):
    """The command `sources`, which lists them unless another of its commands is named: `sources harbor` is `sources list harbor`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # its type has no public name
        if not args or args[0] not in (*self.commands, *HELP):
            args = ["list", *args]
        return super().parse_args(ctx, args)


def list_sources(
    names: Annotated[list[str] | None, typer.Argument(metavar="[SOURCE]...", help="Only these.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A list of objects, for machines.")] = False,
    url: Annotated[str, typer.Option("--url", help="Where registries reach ingress.")] = "",
    data: DataOption = DEFAULT_DATA,
) -> None:
    """The kinds of registries whose events ingress accepts: URL, credential, and what to paste there.

    TOKEN stands for one of HOOKLINE_INGRESS_TOKENS, SECRET for one of the
    source's own in HOOKLINE_INGRESS_SECRETS_FILE.

    Examples:
        hookline sources list
        hookline sources list harbor --url https://hooks.example.com
        hookline sources --json
    """
    settings = local_settings(data)
    base = (url or f"http://{settings.host}:{settings.ingress_port}").rstrip("/")
    found = listed_sources(settings)
    if unknown := [name for name in names or () if name not in {one.source.name for one in found}]:
        known = ", ".join(one.source.name for one in found)
        raise ConfigError(f"no such source: {', '.join(unknown)}; there are: {known}")
    chosen = [one for one in found if not names or one.source.name in names]
    if as_json:
        print_json([_as_json(one, base) for one in chosen])
    else:
        _show(make_console(), chosen, base)


def listed_sources(settings: Settings) -> list[Listed]:
    """Every source in the order of their names. Raises ConfigError."""
    from services.ingress.app import Door
    from services.ingress.secret_file import read_credentials
    from services.ingress.sources import discover

    found = discover(settings)
    credentials = read_credentials(settings, found, SystemClock())
    doors = [Door(source, credentials[name], settings.insecure_ingress) for name, source in found.items()]
    return [Listed(door.source, door.credentials, door.unset()) for door in doors]


def push_reader() -> "PushReader":
    """For `hookline audit verify`: reads the raw bodies of pushes again."""
    from services.ingress.rereading import Rereader

    return Rereader()


def _as_json(one: Listed, base: str) -> dict[str, object]:
    return {
        "name": one.source.name,
        "title": one.source.title,
        "path": one.path,
        "url": base + one.path,
        "credential": one.credential,
        "configured": not one.missing,
        "missing": one.missing or None,
        "preview": one.source.preview,
        "setup": _setup(one, base),
    }


def _setup(one: Listed, base: str) -> str:
    return one.source.setup.format(url=base + one.path, token="TOKEN", secret="SECRET")


def _show(console: Console, chosen: Sequence[Listed], base: str) -> None:
    for number, one in enumerate(chosen):
        if number:
            console.print()
        preview = " [warn]preview: built from documentation, never seen at work[/]" if one.source.preview else ""
        console.print(f"[name]{plain(one.source.name)}[/] {plain(one.source.title)}{preview}")
        console.print(f"  [url]{plain(base + one.path)}[/]  [quiet]{plain(one.credential)}[/]")
        state = f"[warn]not configured: {plain(one.missing)}[/]" if one.missing else "[good]configured[/]"
        console.print(f"  {state}")
        for line in _setup(one, base).splitlines():
            console.print(f"  {plain_lines(line)}")
