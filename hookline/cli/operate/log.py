"""`hookline log`: look at one record of a topic; let every reader pass over one that cannot be read."""

import asyncio
import getpass
import re
import sys
from collections.abc import Awaitable
from typing import Annotated, NamedTuple, TypeVar
from uuid import UUID

import typer

from hookline.chain.events import EVENTS, SkipRequested
from hookline.cli.operate.record_view import shown
from hookline.cli.operate.topics import unreachable
from hookline.cli.terminal import make_console, plain
from hookline.clock import SystemClock
from hookline.errors import ConfigError, LogUnavailable, Undecodable
from hookline.kafka.kafka_cluster import KafkaCluster, kafka_cluster
from hookline.kafka.topics import check_topics
from hookline.log.cluster import Cluster
from hookline.log.codec import decode, encode
from hookline.log.open_chains import read_open_chains
from hookline.log.records import LOGS, DamagedBatch, Place, RawRecord, Topic
from hookline.log.scan import scan
from hookline.log.skips import find_skip, is_fence
from hookline.settings import load_settings
from hookline.times import show_time

T = TypeVar("T")

__all__ = ["app", "parse_spot", "skip_record"]

app = typer.Typer(
    help="Look at a record; let every reader skip one that none can read.",
    no_args_is_help=True,
)

_SPOT = re.compile(r"(?:([a-z]+)\[)?(\d+)\]?@(\d+)")
_TYPE = re.compile(r"hookline\.(\w+)\.v(\d+)")

SpotArgument = Annotated[
    str, typer.Argument(metavar="P@OFFSET", help="Partition and offset, as 3@17; or pushes[3]@17, as in errors.")
]
TopicOption = Annotated[Topic | None, typer.Option("--topic", help="The topic, if the place does not name it.")]


class Spot(NamedTuple):
    place: Place
    offset: int

    def __str__(self) -> str:
        return f"{self.place.topic}[{self.place.partition}]@{self.offset}"


def parse_spot(text: str, topic: Topic | None) -> Spot:
    """Raises ConfigError in words."""
    match = _SPOT.fullmatch(text.strip())
    if match is None:
        raise ConfigError(f"{text!r} is not a place: write 3@17 (partition and offset) or pushes[3]@17")
    try:
        named = Topic(match[1]) if match[1] else topic
    except ValueError:
        raise ConfigError(f"there is no topic {match[1]}: there are {', '.join(Topic)}") from None
    if named is None or (topic is not None and named is not topic):
        raise ConfigError("name the topic: --topic pushes, or pushes[3]@17")
    return Spot(Place(named, int(match[2])), int(match[3]))


@app.command()
def show(spot: SpotArgument, topic: TopicOption = None) -> None:
    """One record: where it lies, its headers, and what it says. Reads only.

    URLs of hooks are masked, and of bodies only the size is shown: they may hold
    what a registry or a receiver keeps secret.

    Examples:
        hookline log show pushes[3]@17
        hookline log show 3@17 --topic deliveries
    """
    at = parse_spot(spot, topic)
    raw = _ask(_read(_cluster(), at))
    console = make_console()
    console.print(f"[name]{plain(at)}[/]  {plain(show_time(raw.timestamp))}, {len(raw.value or b'')} bytes")
    for line in shown(raw):
        console.print(line)


@app.command()
def skip(
    spot: SpotArgument,
    reason: Annotated[str, typer.Option("--reason", help="Why, for the readers of the audit.")],
    topic: TopicOption = None,
    by: Annotated[str, typer.Option("--by", help="Who does this. Default: the user of this shell.")] = "",
    newer: Annotated[
        bool, typer.Option("--newer", help="Skip even a record that a newer version of Hookline wrote and can read.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Permanently let every reader pass over a record that none can read or fold. `hookline audit replay` shows it.

    Of a damaged batch, whose bytes a disk has changed, all is skipped that cannot
    be read from there on. Before that, try whether another broker has it whole.

    It is written to `commands`, as the console writes there: run this with
    the console's Kafka user. Services that are stopped at the record go on within
    seconds, all others when they get there. A record that services get past is
    refused, and so is a Fence: which decisions count depends on it.

    Examples:
        hookline log skip pushes[3]@17 --reason "cut off by a broken disk"
        hookline log skip 3@17 --topic callbacks --reason "written by a test" --yes
    """
    at, console = parse_spot(spot, topic), make_console()
    cluster = _cluster()
    raw = _ask(_read(cluster, at))
    until = _ask(end_of_damage(cluster, at)) if isinstance(raw, DamagedBatch) else None
    unfoldable = _ask(fold_fault(cluster, _ask(check_topics(cluster)), at)) if _is_readable(raw) else None
    fault = fault_of(raw, newer=newer, unfoldable=unfoldable)
    console.print(f"{plain(at)}: {plain(fault)}")
    if until is not None:
        console.print(f"nothing of offsets {at.offset:d} to {until - 1:d} can be read: all of them are skipped")
    if not yes:
        if not sys.stdin.isatty():
            raise ConfigError("skip asks before it acts, and there is no terminal to ask on: add --yes")
        typer.confirm("Whatever it said is permanently lost for every chain. Skip it?", abort=True)
    console.print(plain(_ask(skip_record(cluster, at, by or getpass.getuser(), reason, until))))


async def fold_fault(cluster: Cluster, log_id: UUID, at: Spot) -> str | None:
    """Why its partition stops at that record, which can be read; None where it does not. Raises ConfigError, LogUnavailable,
    TopicsUnfit, ForeignLog, SnapshotLost."""
    try:
        await read_open_chains(cluster, log_id, only=at.place.partition)
    except Undecodable as stopped:
        if (stopped.topic, stopped.offset) == (at.place.topic, at.offset):
            return stopped.reason
        raise ConfigError(f"partition {at.place.partition} stops at {stopped} first") from None
    return None


def _is_readable(raw: RawRecord) -> bool:
    try:
        decode(raw)
    except Undecodable:
        return False
    return raw.place.topic in LOGS


def fault_of(raw: RawRecord, *, newer: bool = False, unfoldable: str | None = None) -> str:
    """Why nobody gets past that record; unfoldable: why, where it can be read. Raises ConfigError where it must not be skipped."""
    if raw.place.topic not in LOGS:
        raise ConfigError(f"only records of {', '.join(LOGS)} stop a partition, and can be skipped")
    try:
        decode(raw)
    except Undecodable as error:
        fault = f"the batch that holds it is damaged: {raw.why}" if isinstance(raw, DamagedBatch) else error.reason
    else:
        if unfoldable is None:
            raise ConfigError("this record can be read: nothing stops at it")
        fault = unfoldable
    if is_fence(raw):
        raise ConfigError(
            "a Fence must not be skipped: which decisions count depends on it. A newer version can read it"
        )
    if not newer and _is_newer(raw.headers.get("ce_type", b"").decode(errors="replace")):
        raise ConfigError(
            f"a newer version of Hookline wrote it ({fault}): upgrade instead, that version reads it. Skipped here, it"
            " would be folded there, and the two disagree (--newer does it all the same)"
        )
    return fault


async def end_of_damage(cluster: Cluster, at: Spot) -> int:
    """The offset of the first record behind that one that can be read, or the log's end. Raises LogUnavailable."""
    until = at.offset + 1
    async for raw in scan(cluster, at.place, at.offset):
        if not isinstance(raw, DamagedBatch):
            return raw.offset
        until = raw.until
    return until


async def skip_record(cluster: Cluster, at: Spot, by: str, reason: str, until: int | None = None) -> str:
    """Append the SkipRequested, unless there is one; what was done. until: of a damaged batch, the offset after it.

    Raises AppendFailed, LogUnavailable.
    """
    stopped = Undecodable(at.place.topic, at.place.partition, at.offset, "")
    if (found := await find_skip(cluster, stopped)) is not None:
        return f"{at} is skipped already, by {found.by}: {found.reason}"
    now = SystemClock().now_ms()
    event = SkipRequested.model_validate(
        {
            "topic": at.place.topic.value,
            "offset": at.offset,
            "until": until,
            "by": by,
            "requested_at": now,
            "reason": reason,
        }
    )
    producer = await cluster.producer()
    try:
        offset = await producer.append(encode(event, at.place.partition, now_ms=now))
    finally:
        await producer.close()
    skipped = at if until is None else f"{at} to {until - 1}"
    return f"skipped {skipped}: commands[{at.place.partition}]@{offset} says so to every reader"


def _is_newer(ce_type: str) -> bool:
    """A type of ours that this version does not have."""
    return _TYPE.fullmatch(ce_type) is not None and ce_type not in EVENTS


async def _read(cluster: Cluster, at: Spot) -> RawRecord:
    """Raises ConfigError where there is none, LogUnavailable, TopicsUnfit."""
    if at.place.partition >= (count := await cluster.partitions(at.place.topic)):
        raise ConfigError(f"{at.place.topic} has partitions 0 to {count - 1}")
    async for raw in scan(cluster, at.place, at.offset, at.offset + 1):
        if raw.offset <= at.offset < raw.next_offset:
            return raw
    raise ConfigError(f"nothing lies at {at}: it was deleted, compacted away, or is not written yet")


def _cluster() -> KafkaCluster:
    return kafka_cluster(load_settings(), "log")


def _ask(question: Awaitable[T]) -> T:
    async def run() -> T:
        return await question

    try:
        return asyncio.run(run())
    except LogUnavailable as error:
        raise LogUnavailable(unreachable(load_settings(), error)) from None
