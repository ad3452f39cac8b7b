"""`python -m services.console --check`: does the database fit the log? Reads only; `hookline doctor` asks it."""

import asyncio
from collections.abc import Mapping

from hookline.kafka.check import LogCheck
from hookline.kafka.kafka_cluster import kafka_cluster
from hookline.log.records import Positions
from hookline.log.watch import LogState
from hookline.settings import Settings
from services.console.readmodel.database import Database, check_owner, has_tables, is_to_be_dropped, open_database
from services.console.readmodel.model import NAMED, check_partitions, check_positions
from services.console.readmodel.store import load_positions, load_set_aside
from services.console.rebuild import ends_now

__all__ = ["check_database", "compare"]


def check_database(settings: Settings) -> str:
    """What it is, in words. Raises ForeignLog, DatabaseBroken, Unavailable, ConfigError, TopicsUnfit, LogUnavailable."""
    cluster, database = kafka_cluster(settings, "console-check"), open_database(settings)

    async def ask() -> str:
        state = await LogCheck(cluster)()
        return await asyncio.to_thread(compare, database, state, await ends_now(cluster))

    try:
        return asyncio.run(ask())
    finally:
        database.close()


def compare(database: Database, log: LogState, ends: Mapping[int, Positions]) -> str:
    """In words. Raises ForeignLog, DatabaseBroken, Unavailable."""
    with database.write() as connection:  # of it nothing is written: only a writer is told that a file is broken
        if not has_tables(connection) or is_to_be_dropped(connection):
            return f"{database.shown} is filled from the logs when the console starts"
        check_owner(connection, log.log_id, log.topics)
        at, (aside, named) = load_positions(connection), load_set_aside(connection, NAMED)
    check_partitions(at, ends)
    check_positions(at, ends)
    behind = sum(at[p].behind(ends[p]) for p in at)
    said = f"{database.shown} is of log {log.log_id}, {behind:,} records behind"
    return f"{said}, {aside:,} set aside: {'; '.join(map(str, named))}" if aside else said
