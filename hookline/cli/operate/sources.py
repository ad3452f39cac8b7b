"""`hookline sources`: where each kind of registry delivers, how it proves who it is, and what to paste into its configuration."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from hookline.cli.installed import Listed, listed_sources
from hookline.cli.local.local_secrets import local_settings
from hookline.cli.terminal import make_console, plain, plain_lines, print_json
from hookline.errors import ConfigError

__all__ = ["DEFAULT_DATA", "DataOption", "SourcesGroup", "list_sources"]

DataOption = Annotated[
    Path,
    typer.Option("--data", help="Data folder of `hookline up`; its tokens count as set.", envvar="HOOKLINE_DATA_DIR"),
]
DEFAULT_DATA = Path("hookline-data")


HELP = ("-h", "--help")


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
