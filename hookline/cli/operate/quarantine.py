"""`hookline quarantine`: bodies that registries delivered and ingress could not read: list, show, retry."""

import asyncio
import base64
from collections.abc import Iterable, Mapping
from typing import Annotated, NamedTuple

import aiohttp
import typer
from rich.console import Console
from rich.table import Table

from hookline.chain.events import Quarantined
from hookline.cli.installed import Listed, listed_sources
from hookline.cli.local.local_secrets import local_settings
from hookline.cli.operate.sources import DEFAULT_DATA, DataOption
from hookline.cli.operate.topics import unreachable
from hookline.cli.terminal import make_console, plain, plain_lines, print_json
from hookline.errors import ConfigError, LogUnavailable, Undecodable
from hookline.kafka.kafka_cluster import kafka_cluster
from hookline.log.records import QUARANTINE, RawRecord
from hookline.log.scan import scan
from hookline.settings import Settings, load_settings
from hookline.times import moment

__all__ = ["Kept", "app", "read_kept", "retry_all", "verdict_of"]

RETRY_S = 10.0
OURS = frozenset({"user-agent"})
"""Kept headers that are not sent again."""
ACCEPTED = (200, 202)

app = typer.Typer(help="Rejected payloads: list, show, retry.", no_args_is_help=True)

SourceOption = Annotated[str, typer.Option("--source", help="Only bodies of this source.")]
OffsetsArgument = Annotated[list[int] | None, typer.Argument(metavar="[OFFSET]...", help="As `list` shows them.")]


class Kept(NamedTuple):
    """A record of the topic `quarantine`, by its offset."""

    offset: int
    event: Quarantined

    @property
    def body(self) -> bytes:
        """As it was sent; of an envelope, with the one event that could not be read."""
        raw = self.event.raw
        return base64.b64decode(raw) if self.event.raw_encoding == "base64" else raw.encode()

    @property
    def received(self) -> str:
        return moment(self.event.received_at).isoformat(" ", timespec="seconds")


@app.command(name="list")
def list_kept(
    source: SourceOption = "",
    limit: Annotated[int, typer.Option("--limit", min=1, help="The newest so many.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="A list of objects, for machines.")] = False,
) -> None:
    """What is in quarantine, newest last: offset, time, source, size, and why it could not be read.

    Bodies stay there as long as HOOKLINE_QUARANTINE_DAYS and _BYTES say; `retry`
    takes nothing away.

    Examples:
        hookline quarantine list
        hookline quarantine list --source harbor --json
    """
    console = make_console()
    found = [kept for kept in read_kept(load_settings()) if source in ("", kept.event.source)]
    shown = found[-limit:]
    if as_json:
        print_json([_as_json(kept) for kept in shown])
        return
    if not found:
        console.print("[good]nothing[/]: every payload that was delivered could be read")
        return
    table = Table(box=None, pad_edge=False, header_style="quiet", padding=(0, 2, 0, 0))
    for column in ("offset", "received (UTC)", "source", "bytes", "reason"):
        table.add_column(column)
    for kept in shown:
        row = (kept.offset, kept.received.removesuffix("+00:00"), kept.event.source, len(kept.body), kept.event.reason)
        table.add_row(*map(plain, row))
    console.print(table)
    if len(shown) < len(found):
        console.print(f"[quiet]and {len(found) - len(shown)} older ones: --limit shows more[/]")


@app.command()
def show(
    offset: Annotated[int, typer.Argument(min=0, help="As `list` shows it.")],
    raw: Annotated[bool, typer.Option("--raw", help="The body alone, byte for byte.")] = False,
) -> None:
    """One body: its reason, the headers that were kept, and the body itself, indented, its control characters written out.

    Of an envelope with several events it is the one that could not be read.

    Examples:
        hookline quarantine show 3
        hookline quarantine show 3 --raw | jq .
    """
    (kept,) = _chosen(read_kept(load_settings()), [offset])
    if raw:
        typer.get_binary_stream("stdout").write(kept.body)
        return
    console = make_console()
    console.print(f"[name]{kept.offset:d}[/] {plain(kept.event.source)}, received {plain(kept.received)}")
    console.print(f"[warn]{plain(kept.event.reason)}[/]\n")
    for name, value in kept.event.headers.items():
        console.print(f"[quiet]{plain(name)}:[/] {plain(value)}")
    console.print()
    console.print(plain_lines(kept.body.decode("utf-8", "backslashreplace")))


@app.command()
def retry(
    offsets: OffsetsArgument = None,
    everything: Annotated[bool, typer.Option("--all", help="All of them (with --source: all of that source).")] = False,
    source: SourceOption = "",
    url: Annotated[str, typer.Option("--url", help="Where to reach ingress.")] = "",
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Deliver bodies to ingress again: after an upgrade or another setting it may read them.

    What was taken before is a duplicate and starts nothing. Nothing leaves the
    quarantine, and what still cannot be read stays there. Exit
    code 1 if one was not taken.

    Examples:
        hookline quarantine retry 3 4
        hookline quarantine retry --all --source generic
    """
    if bool(offsets) == everything:
        raise ConfigError("name the offsets to retry, as `hookline quarantine list` shows them, or --all")
    settings = local_settings(data)
    found = read_kept(settings)
    chosen = found if everything else _chosen(found, offsets or [])
    chosen = [kept for kept in chosen if source in ("", kept.event.source)]
    base = (url or f"http://{settings.host}:{settings.ingress_port}").rstrip("/")
    listed = {one.source.name: one for one in listed_sources(settings)}
    if not asyncio.run(retry_all(make_console(), chosen, listed, base)):
        raise typer.Exit(1)


def verdict_of(status: int, answer: Mapping[str, object]) -> tuple[bool, str]:
    """Was it taken, and what is there to say of it?"""
    if status not in ACCEPTED:
        hint = ": are HOOKLINE_INGRESS_TOKENS and _SECRETS_FILE here as ingress has them?" if status == 401 else ""
        return False, f"{status} {answer.get('detail', '')}{hint}"
    for count, said in (("accepted", "taken"), ("duplicates", "taken before"), ("ignored", "read, and starts nothing")):
        if answer.get(count):
            return True, said
    return False, f"still cannot be read: {reason}" if (reason := answer.get("reason")) else "still cannot be read"


async def retry_all(console: Console, chosen: Iterable[Kept], listed: Mapping[str, Listed], base: str) -> bool:
    """One after the other, as a registry would. True if all were taken."""
    all_taken = True
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=RETRY_S)) as session:
        for kept in chosen:
            taken, said = await _retry_one(session, kept, listed, base)
            all_taken &= taken
            style = "good" if taken else "bad"
            console.print(f"[name]{kept.offset:d}[/] {plain(kept.event.source)}: [{style}]{plain(said)}[/]")
    return all_taken


async def _retry_one(
    session: aiohttp.ClientSession, kept: Kept, listed: Mapping[str, Listed], base: str
) -> tuple[bool, str]:
    one = listed.get(kept.event.source)
    if one is None:
        if "/" in kept.event.source:
            return False, "there is no such mapping: is HOOKLINE_GENERIC_FILE here as ingress has it?"
        return False, "there is no such source in this version"
    headers = {name: value for name, value in kept.event.headers.items() if name not in OURS}
    headers |= one.source.present(kept.body, one.credentials, headers)
    try:
        async with session.post(base + one.path, data=kept.body, headers=headers, allow_redirects=False) as answer:
            body = await answer.json(content_type=None)
            return verdict_of(answer.status, body if isinstance(body, dict) else {})
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        return False, f"ingress does not answer at {base}: {error or type(error).__name__}"


def _chosen(found: Iterable[Kept], offsets: Iterable[int]) -> list[Kept]:
    """Raises ConfigError."""
    by_offset = {kept.offset: kept for kept in found}
    if missing := [str(offset) for offset in offsets if offset not in by_offset]:
        raise ConfigError(
            f"there is nothing in quarantine at {', '.join(missing)}; `hookline quarantine list` shows what does"
        )
    return [by_offset[offset] for offset in offsets]


def _as_json(kept: Kept) -> dict[str, object]:
    event = kept.event
    return {
        "offset": kept.offset,
        "received": kept.received,
        "source": event.source,
        "bytes": len(kept.body),
        "reason": event.reason,
        "headers": event.headers,
    }


def read_kept(settings: Settings) -> list[Kept]:
    """All of the topic. Raises LogUnavailable, Undecodable."""
    try:
        return asyncio.run(_read_topic(settings))
    except LogUnavailable as error:
        raise LogUnavailable(unreachable(settings, error)) from None


async def _read_topic(settings: Settings) -> list[Kept]:
    return [_kept(raw) async for raw in scan(kafka_cluster(settings, "quarantine"), QUARANTINE)]


def _kept(raw: RawRecord) -> Kept:
    try:
        return Kept(raw.offset, Quarantined.model_validate_json(raw.value or b""))
    except ValueError as error:
        raise Undecodable(raw.place.topic, raw.place.partition, raw.offset, type(error).__name__) from None
