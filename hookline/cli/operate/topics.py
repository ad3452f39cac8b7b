"""`hookline topics`: make the topics, look at them, begin a new epoch of ids."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from hookline.cli.operate.drain import read_drain, show_drain
from hookline.cli.terminal import make_console, plain, print_json
from hookline.clock import SystemClock
from hookline.errors import ConfigError, LogUnavailable, Refused, TopicsUnfit
from hookline.kafka.epoch import new_epoch
from hookline.kafka.fitness import Topics, TopicState, fitness, narrow
from hookline.kafka.kafka_cluster import KafkaCluster, kafka_cluster
from hookline.kafka.topics import create_topics, describe
from hookline.log.records import LOGS, Topic
from hookline.log.retention import days_kept, needed_days
from hookline.settings import Settings, load_settings

__all__ = ["app", "make_topics", "unreachable"]

T = TypeVar("T")

app = typer.Typer(help="Make and check the seven topics.", no_args_is_help=True)


@app.command()
def create() -> None:
    """Make the topics that are missing, and the log's id. Run again it changes nothing, or goes on where it stopped.

    HOOKLINE_PARTITIONS (12) and HOOKLINE_REPLICATION count for topics that are
    made; the number of partitions cannot be changed later. HOOKLINE_RETENTION_DAYS (0:
    forever) is given to the four logs, whether they are new or not.

    Examples:
        hookline topics create
        HOOKLINE_PARTITIONS=24 hookline topics create
        HOOKLINE_RETENTION_DAYS=90 hookline topics create
    """
    console, settings = make_console(), load_settings()
    told: list[str] = []

    def tell(said: str) -> None:
        told.append(said)
        console.print(plain(said))

    try:
        _ask(settings, make_topics(settings, tell))
    except LogUnavailable as error:
        if not told:
            raise
        raise LogUnavailable(f"{error}\n  What was made stays: run it again to continue") from None
    if not told:
        console.print("nothing to do: all seven are there and fit")


@app.command(name="describe")
def describe_topics() -> None:
    """Show the topics, and what does not fit.

    Exit code 1 if something does not.

    Example:
        hookline topics describe
    """
    console, settings = make_console(), load_settings()
    cluster = _cluster(settings)
    found = _ask(settings, describe(cluster))
    _show(console, found, cluster)
    if wrong := fitness(found, cluster.connection.name) + narrow(found.states):
        raise TopicsUnfit("\n  ".join(["the topics do not fit:", *wrong]))


@app.command(name="new-epoch")
def begin_epoch(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Give the log a new id, after topics were restored from a backup, so that old push ids never come back.

    Stop every service first: each refuses to go on with a log of another id.

    Examples:
        hookline topics new-epoch
        hookline topics new-epoch --yes
    """
    console, settings = make_console(), load_settings()
    if not yes:
        if not sys.stdin.isatty():
            raise ConfigError("new-epoch asks before it acts, and there is no terminal to ask on: add --yes")
        typer.confirm("Are all services stopped, and were the topics restored from a backup?", abort=True)
    console.print(f"the log's id is now {plain(_ask(settings, new_epoch(_cluster(settings))))}")


@app.command()
def drain(
    status: Annotated[bool, typer.Option("--status", help="Show what is still under way. Reads only.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One object, for machines.")] = False,
) -> None:
    """Before a topic prefix is left for another: what is still open under it. Exit code 1 until nothing is.

    Send registries to the new prefix's ingress first; chains that are open end
    where they began.

    Examples:
        hookline topics drain --status
        HOOKLINE_TOPIC_PREFIX=old. hookline topics drain --status --json
    """
    if not status:
        raise ConfigError("drain can only look so far: add --status. Chains end by themselves once no push comes in")
    console, settings = make_console(), load_settings()
    found = _ask(settings, read_drain(_cluster(settings), SystemClock().now_ms()))
    if as_json:
        print_json(found.as_fields())
    else:
        show_drain(console, found, settings.topic_prefix)
    if not found.drained:
        raise typer.Exit(1)


async def make_topics(settings: Settings, tell: Callable[[str], None] = lambda said: None) -> list[str]:
    """What was done, one sentence each, as `tell` is told on the way; empty when there was nothing to do.

    Raises TopicsUnfit, LogUnavailable.
    """
    return await create_topics(
        _cluster(settings),
        partitions=settings.partitions,
        replication=settings.replication,
        retention_days=settings.retention_days,
        quarantine_days=settings.quarantine_days,
        quarantine_bytes=settings.quarantine_bytes,
        tell=tell,
    )


def unreachable(settings: Settings, error: LogUnavailable) -> str:
    """Why Kafka does not answer, as far as it can be told, and what to do."""
    if isinstance(error, Refused):
        said = str(error)
        return said if said.startswith("Kafka does not let us") else f"Kafka does not let us in: {said}"
    if settings.kafka_bootstrap_servers:
        servers = ",".join(settings.kafka_bootstrap_servers)
        return f"Kafka does not answer at {servers}: is it up, and is HOOKLINE_KAFKA_BOOTSTRAP_SERVERS right?"
    return (
        f"no Kafka answers at 127.0.0.1:{settings.kafka_port}: start one with `hookline up`, "
        "set HOOKLINE_DATA_DIR to the folder of the one that runs (its password is there), "
        "or set HOOKLINE_KAFKA_BOOTSTRAP_SERVERS to yours"
    )


def _cluster(settings: Settings) -> KafkaCluster:
    return kafka_cluster(settings, "topics")


def _ask(settings: Settings, question: Awaitable[T]) -> T:
    async def run() -> T:
        return await question

    try:
        return asyncio.run(run())
    except LogUnavailable as error:
        raise LogUnavailable(unreachable(settings, error)) from None


def _show(console: Console, found: Topics, cluster: KafkaCluster) -> None:
    table = Table(box=None, pad_edge=False, header_style="quiet", padding=(0, 2, 0, 0))
    for column in ("topic", "partitions", "copies", "cleanup", "kept", "largest record"):
        table.add_column(column)
    for topic in Topic:
        state = found.states.get(topic)
        if state is None:
            table.add_row(plain(cluster.connection.name(topic)), "[bad]missing[/]")
        else:
            cleanup, largest = state.config.get("cleanup.policy", "?"), state.config.get("max.message.bytes", "?")
            row = state.name, state.partitions, state.replication, cleanup, _kept(state), largest
            table.add_row(*map(plain, row))
    console.print(table)
    console.print(
        f"\nlog_id {plain(found.log_id or 'none')}, {found.brokers:d} broker{'s' if found.brokers != 1 else ''}"
    )
    needed, why = needed_days(found.pipelines)
    kept = [days for t in LOGS if t in found.states and (days := days_kept(found.states[t].config)) is not None]
    if kept and min(kept) < needed:
        console.print(f"[warn]the logs are kept for {min(kept):g} days:[/] {plain(why)}; {needed:d} are needed")


def _kept(state: TopicState) -> str:
    days = days_kept(state.config)
    return "forever" if days is None else f"{days:g} days"
