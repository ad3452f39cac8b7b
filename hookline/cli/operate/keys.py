"""`hookline keys`: what still rests on each master key, so that an operator knows when an old one may be removed."""

import asyncio
from typing import Annotated, NamedTuple

import typer
from rich.console import Console
from rich.table import Table

from hookline.chain.key_use import KeyUse, TokenUse, key_uses, token_use
from hookline.cli.local.local_secrets import local_settings
from hookline.cli.operate.sources import DEFAULT_DATA, DataOption
from hookline.cli.operate.topics import unreachable
from hookline.cli.terminal import make_console, plain, print_json
from hookline.clock import SystemClock
from hookline.errors import ConfigError, LogUnavailable, TopicsUnfit
from hookline.kafka.fitness import fitness
from hookline.kafka.kafka_cluster import kafka_cluster
from hookline.kafka.topics import describe
from hookline.log.open_chains import read_open_chains
from hookline.settings import Settings
from hookline.times import parse_time, show_time

__all__ = ["Use", "keys", "look", "removal"]


class Use(NamedTuple):
    keys: list[KeyUse]
    tokens: TokenUse


def keys(
    since: Annotated[
        str | None,
        typer.Option(
            "--since", metavar="T", help="When the new key was put first: only tokens made before count. -2h, RFC 3339."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One object, for machines.")] = False,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """What still depends on each master key: hooks, and callback URLs that receivers hold. Reads only.

    A hook's secret stays with the key that it was made with. Which key signed a
    callback URL is not in the log: it was the first one then.

    Exit code 1 if a hook rests on a key that is not in HOOKLINE_MASTER_KEYS.

    Examples:
        hookline keys
        hookline keys --since 2026-11-24T10:00:00Z
        hookline keys --json
    """
    settings, now = local_settings(data), SystemClock().now_ms()
    try:
        since_ms = None if since is None else parse_time(since, now)
    except ValueError as error:
        raise ConfigError(f"--since: {error}") from None
    try:
        use = asyncio.run(look(settings, now, since_ms))
    except LogUnavailable as error:
        raise LogUnavailable(unreachable(settings, error)) from None
    if as_json:
        print_json(_as_json(use))
    else:
        _show(make_console(), use)
    if any(not key.here for key in use.keys):
        raise typer.Exit(1)


async def look(settings: Settings, now: int, since: int | None) -> Use:
    """Raises TopicsUnfit, and as `read_open_chains`."""
    ring = settings.key_ring()
    cluster = kafka_cluster(settings, "keys")
    found = await describe(cluster)
    if found.log_id is None:
        raise TopicsUnfit("; ".join(fitness(found, cluster.connection.name)))
    chains = [chain for one in await read_open_chains(cluster, found.log_id) for chain in one.chains]
    return Use(key_uses(ring.ids, found.pipelines, chains, now), token_use(chains, now, since))


def removal(key: KeyUse, tokens: TokenUse) -> str:
    """When that key may be taken out of HOOKLINE_MASTER_KEYS, in words."""
    if not key.here:
        return "missing: these hooks cannot be signed. Put the key back, or make the hooks anew"
    if key.signs:
        return "signs: put a new key first, then look again with --since"
    if key.rests:
        return "keep: hooks are signed with it until their secrets are rotated, and open chains end"
    if tokens.last_expires_at is not None:
        return f"keep until {show_time(tokens.last_expires_at)}, when the last callback URL is over"
    return "may be removed"


def _as_json(use: Use) -> dict[str, object]:
    latest = use.tokens.last_expires_at
    return {
        "keys": [{**key._asdict(), "said": removal(key, use.tokens)} for key in use.keys],
        "tokens": {
            "steps": use.tokens.steps,
            "last_expires_at": None if latest is None else show_time(latest),
        },
        "sealed": 0,
    }


def _show(console: Console, use: Use) -> None:
    table = Table(box=None, pad_edge=False, header_style="quiet", padding=(0, 2, 0, 0))
    for column in ("key", "hooks", "of open chains", "safe to remove?"):
        table.add_column(column)
    for key in use.keys:
        style = "bad" if not key.here else "good" if _may_go(key, use.tokens) else "quiet"
        said = f"[{style}]{plain(removal(key, use.tokens))}[/]"
        table.add_row(plain(key.key), plain(key.hooks), plain(key.open_hooks), said)
    console.print(table)
    tokens = use.tokens
    if tokens.last_expires_at is None:
        console.print("\nno receiver holds a callback URL that is still good")
    else:
        console.print(
            f"\nreceivers hold callback URLs of {tokens.steps:d} steps, the last good until {plain(show_time(tokens.last_expires_at))}"
        )
    console.print("[quiet]nothing is sealed with a master key in this version[/]")


def _may_go(key: KeyUse, tokens: TokenUse) -> bool:
    return key.here and not key.signs and not key.rests and tokens.last_expires_at is None
