"""`hookline sources test`: what a source makes of a body, without Kafka and without a credential."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated
from urllib.parse import parse_qsl

import typer
from multidict import CIMultiDict, MultiDict
from rich.console import Console

from hookline.cli.installed import contents_of_body, listed_sources, most_of_a_body
from hookline.cli.local.local_secrets import local_settings
from hookline.cli.operate.sources import DEFAULT_DATA, DataOption
from hookline.cli.terminal import make_console, plain, print_json
from hookline.errors import ConfigError
from hookline.settings import Settings
from hookline.times import moment

if TYPE_CHECKING:
    from hookline.cli.installed import Contents, Push, Source

__all__ = ["try_body"]

HIDDEN = frozenset({"payload", "upstream_callback_url"})
"""Of a push's fields: what hooks get, which has all others in it, and a URL that is as good as a credential."""


def try_body(
    name: Annotated[str, typer.Argument(metavar="SOURCE", help="Its name, as `hookline sources` lists it.")],
    header: Annotated[
        list[str] | None, typer.Option("--header", "-H", help="'Name: value', for sources that read one; repeatable.")
    ] = None,
    query: Annotated[str, typer.Option("--query", help="What would follow the ? in the URL.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="An object, for machines.")] = False,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """What would come out of the body on standard input: pushes, ignored events with the reason, what would go to quarantine.

    Nothing is sent, Kafka is not asked, and no credential is looked at. Exit code 1
    if something of it would go to quarantine.

    Examples:
        hookline sources test generic/ci < body.json
        hookline sources test harbor --json < body.json
        hookline sources test github -H 'X-GitHub-Event: package' < body.json
    """
    settings = local_settings(data)
    source = _source(name, settings)
    most = most_of_a_body()
    body = typer.get_binary_stream("stdin").read(most + 1)
    if len(body) > most:
        raise ConfigError(f"the body is larger than {most // 1024 // 1024} MiB: ingress answers 413 to it")
    asked = MultiDict(parse_qsl(query, keep_blank_values=True))
    contents = contents_of_body(source, body, _headers(header or ()), asked, settings.registry_names())
    if as_json:
        print_json(
            {
                "pushes": [_fields(push) for _, push in contents.pushes],
                "ignored": [str(reason) for reason in contents.ignored],
                "quarantined": [unread.reason for unread in contents.unread],
            }
        )
    else:
        _show(make_console(), contents)
    if contents.unread:
        raise typer.Exit(1)


def _source(name: str, settings: Settings) -> "Source":
    """Raises ConfigError where there is none, or where it is not told what to read."""
    found = {one.source.name: one.source for one in listed_sources(settings)}
    if name not in found:
        raise ConfigError(f"no such source: {name}; there are: {', '.join(found)}")
    if missing := found[name].unset():
        raise ConfigError(f"{name} is not configured: {missing}")
    return found[name]


def _headers(given: Sequence[str]) -> CIMultiDict[str]:
    """Raises ConfigError."""
    headers: CIMultiDict[str] = CIMultiDict()
    for one in given:
        name, colon, value = one.partition(":")
        if not colon or not name.strip():
            raise ConfigError("--header must be 'Name: value'")
        headers.add(name.strip(), value.strip())
    return headers


def _fields(push: "Push") -> dict[str, object]:
    """What is known of it; `pushed_at` in Unix ms."""
    given = {field.name: getattr(push, field.name) for field in dataclasses.fields(push) if field.name not in HIDDEN}
    return {name: value for name, value in given.items() if value is not None and value is not False}


def _show(console: Console, contents: "Contents") -> None:
    for _, push in contents.pushes:
        console.print("[good]push[/]")
        for name, value in _fields(push).items():
            shown = _time(value) if name == "pushed_at" else value
            console.print(f"  [quiet]{plain(name):14}[/] {plain(shown)}")
    for reason in contents.ignored:
        console.print(f"[quiet]ignored:[/] {plain(reason)}")
    for unread in contents.unread:
        console.print(f"[bad]quarantine:[/] {plain(unread.reason)}")
    if not (contents.pushes or contents.ignored or contents.unread):
        console.print("[quiet]nothing:[/] the body has no event")


def _time(millis: object) -> str:
    assert isinstance(millis, int)
    return moment(millis).isoformat(" ", timespec="milliseconds")
