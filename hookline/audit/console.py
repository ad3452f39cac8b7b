"""Compares the console's rows with the fold, at the positions that its database says it stands at. Needs SQLAlchemy.

Through the tables and not through the console's API: the database is one moment, whatever the console does meanwhile, a
thousand chains are two queries, and what is compared is what is kept, not what code of the console makes of it.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from uuid import UUID

from sqlalchemy import Connection, Engine, column, create_engine, event, func, make_url, select, table
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from hookline.audit.cut import at_cut
from hookline.audit.findings import Finding, Invariant
from hookline.audit.history import Facts
from hookline.audit.source import Extent
from hookline.chain.events import HaltReason
from hookline.chain.kept_text import kept_text
from hookline.chain.state import Chain
from hookline.errors import ConfigError, ForeignLog, Unavailable
from hookline.log.records import LOGS, Positions, Topic

__all__ = ["ConsoleRows", "PartitionRows", "open_console"]

BATCH = 500
"""Chains of one query."""
FIELDS = ("repository", "pipeline_id", "first_step", "step", "status", "reason", "ended_at")

META = table("hookline_meta", column("key"), column("value"))
POSITIONS = table("hookline_positions", column("partition"), *(column(topic.value) for topic in LOGS))
CHAINS = table("hookline_chains", column("id"), column("partition"), *map(column, FIELDS))


def open_console(url: str) -> "ConsoleRows":
    """The database as it stands now: open it before the log's ends are taken. Raises ConfigError, Unavailable."""
    try:
        target = make_url(url)
        if target.drivername in ("postgresql", "postgres"):
            target = target.set(drivername="postgresql+psycopg")
        if target.get_backend_name() == "sqlite":
            if not target.database or not Path(target.database).is_file():
                raise ConfigError(f"there is no console database at {target.database}")
            engine = create_engine(target, hide_parameters=True)
            event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
        else:
            engine = create_engine(
                target,
                hide_parameters=True,
                isolation_level="REPEATABLE READ",
                connect_args={"connect_timeout": 5},
            )
    except (ArgumentError, NoSuchModuleError):
        raise ConfigError("that is not a database URL, such as sqlite:///hookline-data/console.sqlite3") from None
    except ModuleNotFoundError as error:
        raise ConfigError(f"the package {error.name} is missing: install hookline[postgres]") from None
    try:
        return ConsoleRows(engine, engine.connect())
    except DBAPIError as error:
        said = str(error.orig).strip().split("\n")[0]
        raise Unavailable(f"the console's database cannot be read: {said}") from None


class ConsoleRows:
    """One read of the whole database, in one transaction: one moment. A context manager."""

    def __init__(self, engine: Engine, connection: Connection) -> None:
        self.connection = connection
        self._engine = engine
        log_id = connection.scalar(select(META.c.value).where(META.c.key == "log_id"))
        self._log_id = None if log_id is None else UUID(log_id)
        rows = connection.execute(select(POSITIONS))
        self._positions = {row[0]: Positions(*row[1:]) for row in rows}

    def __enter__(self) -> "ConsoleRows":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.connection.close()
        self._engine.dispose()

    def check(self, log_id: UUID | None) -> None:
        """Raises ForeignLog where the database was filled from another log."""
        if log_id != self._log_id:
            raise ForeignLog(f"the console's database is of log {self._log_id}, and this is log {log_id}")

    def of_partition(self, number: int, extent: Extent, tell: Callable[[Finding], None]) -> "PartitionRows":
        return PartitionRows(self.connection, number, self._positions.get(number, Positions()), extent, tell)


class PartitionRows:
    """`compare` each chain as it leaves the audit's memory, then `finish`."""

    def __init__(
        self,
        connection: Connection,
        number: int,
        positions: Positions,
        extent: Extent,
        tell: Callable[[Finding], None],
    ) -> None:
        self.compared = 0
        self._connection = connection
        self._number = number
        self._positions = positions
        self._whole_log = extent.starts == Positions()
        self._tell = tell
        self._waiting: dict[str, Chain] = {}
        for topic in LOGS:
            if (at := positions.of(topic)) > (end := extent.ends.of(topic)):
                self._find(topic, end, "", f"the console has read {topic} to {at}, which ends at {end}")

    def compare(self, chain: Chain, facts: Facts) -> None:
        """Raises Unavailable."""
        topic = Topic.PUSHES if chain.id.endswith("-0") else Topic.COMMANDS
        if facts.whole and chain.cause < self._positions.of(topic):
            self._waiting[chain.id] = _as_read(chain, facts, self._positions)
            if len(self._waiting) >= BATCH:
                self._compare_waiting()

    def finish(self) -> None:
        """Raises Unavailable."""
        self._compare_waiting()
        rows = self._connection.scalar(
            select(func.count()).select_from(CHAINS).where(CHAINS.c.partition == self._number)
        )
        if self._whole_log and rows != self.compared:
            self._find(
                Topic.DELIVERIES, 0, "", f"the console has {rows} chains of this partition, the fold {self.compared}"
            )

    def _compare_waiting(self) -> None:
        waiting, self._waiting = self._waiting, {}
        rows = self._connection.execute(select(CHAINS).where(CHAINS.c.id.in_(waiting))).mappings()
        found: dict[str, Mapping[str, object]] = {row["id"]: dict(row) for row in rows}
        for chain in waiting.values():
            self.compared += 1
            offset = -1 if chain.ending is None else chain.ending.offset
            if (row := found.get(chain.id)) is None:
                self._find(Topic.DELIVERIES, offset, chain.id, "the console has no row of this chain")
                continue
            right = _row(chain)
            for name in FIELDS:
                if row[name] != right[name]:
                    said = f"the console's row says {name} {row[name]!r}, and the fold {right[name]!r}"
                    self._find(Topic.DELIVERIES, offset, chain.id, said)

    def _find(self, topic: Topic, offset: int, chain_id: str, said: str) -> None:
        self._tell(Finding(Invariant.I6, topic, self._number, offset, "", chain_id, said))


def _as_read(chain: Chain, facts: Facts, positions: Positions) -> Chain:
    """As a reader at those positions knows it, as far as a row shows it: `ending` and verdicts."""
    known = at_cut(chain, facts.cancelled_at, positions)
    is_later = known.ending is not None and known.ending.offset >= positions.deliveries
    return known._replace(ending=None) if is_later else known


def _row(chain: Chain) -> dict[str, object]:
    """The row's fields as the fold has them: Docker Hub's words for where a chain stands (design section 6)."""
    ending = chain.ending
    if ending is None:
        status, step = "pending", min(chain.current, len(chain.steps))
    else:
        step = ending.step
        status = {None: "success", HaltReason.CALLBACK_FAILURE: "failure"}.get(ending.reason, "error")
    return {
        "repository": kept_text(chain.repository),
        "pipeline_id": kept_text(chain.plan.pipeline_id),
        "first_step": chain.first_step,
        "step": step,
        "status": status,
        "reason": None if ending is None or ending.reason is None else ending.reason.value,
        "ended_at": None if ending is None else ending.at,
    }
