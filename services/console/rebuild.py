"""`python -m services.console --rebuild`: drops the read model and reads the logs anew.

Where a console is running on the same database, that one does it and this command watches; else it does it itself.
"""

import asyncio
import sys
from collections.abc import Callable

import uvloop

from hookline.clock import Clock, SystemClock
from hookline.errors import DatabaseBroken, Unavailable
from hookline.kafka.check import LogCheck
from hookline.kafka.kafka_cluster import kafka_cluster
from hookline.log.cluster import Cluster
from hookline.log.records import Positions, Topic, logs_of
from hookline.log.watch import CheckLog
from hookline.settings import Settings
from services.console.readmodel.database import Database, ask_for_rebuild, has_tables, open_database, rebuild_asked
from services.console.readmodel.projector import Projector
from services.console.readmodel.store import load_positions

__all__ = ["ends_now", "rebuild", "rebuild_database"]

LOOK_S = 0.3


def rebuild_database(settings: Settings) -> None:
    """What `python -m services.console --rebuild` and `hookline console --rebuild` do; progress goes to standard error.

    Raises ConfigError, and as `rebuild`.
    """
    cluster, database = kafka_cluster(settings, "console-rebuild"), open_database(settings)
    said = ""

    def say(line: str) -> None:
        nonlocal said
        if line != said:
            sys.stderr.write(f"{line}\n")
            said = line

    try:
        uvloop.run(rebuild(database, cluster, LogCheck(cluster), SystemClock(), say))
    finally:
        database.close()


async def rebuild(
    database: Database,
    cluster: Cluster,
    check_log: CheckLog,
    clock: Clock,
    say: Callable[[str], None],
) -> None:
    """Returns when the logs are in the database to their ends as they stood at the start. say: a line of progress.

    Raises TopicsUnfit, LogUnavailable, Unavailable (the database does not answer, or a partition cannot be read to its end).
    """
    await check_log()
    ends = await ends_now(cluster)
    await asyncio.to_thread(_ask, database)
    projector = Projector(cluster, check_log, database, clock)
    projecting = asyncio.create_task(projector.run(len(ends)))
    try:
        while (left := await asyncio.to_thread(_left, database, ends)) != 0:
            if projecting.done():
                projecting.result()
            if halted := projector.progress.halted:
                raise Unavailable("; ".join(str(status) for status in halted.values()))
            say("waiting for the old database to be dropped" if left is None else f"{left:,} records to go")
            await clock.sleep(LOOK_S)
    finally:
        projecting.cancel()
        await asyncio.wait({projecting})
    say(f"rebuilt: {sum(map(sum, ends.values())):,} records read")
    for trouble in projector.progress.troubles:
        say(trouble)


async def ends_now(cluster: Cluster) -> dict[int, Positions]:
    """The ends of the four logs, by partition. Raises LogUnavailable, TopicsUnfit."""
    offsets = await cluster.offsets()
    try:
        places = [place for p in range(await cluster.partitions(Topic.PUSHES)) for place in logs_of(p)]
        ends = await offsets.ends(places)
    finally:
        await offsets.close()
    partitions = {place.partition for place in places}
    return {p: Positions.among(ends, p) for p in partitions}


def _ask(database: Database) -> None:
    try:
        with database.write() as connection:
            if has_tables(connection):
                ask_for_rebuild(connection)
    except DatabaseBroken:
        database.drop_file()


def _left(database: Database, ends: dict[int, Positions]) -> int | None:
    """Records still to read; None while the old read model is not dropped yet."""
    with database.read() as connection:
        if not has_tables(connection) or rebuild_asked(connection):
            return None
        at = load_positions(connection)
    return sum(at.get(p, Positions()).behind(ends[p]) for p in ends)
