"""The console's database: SQLite by default, PostgreSQL by URL; who may write to it, and when it is dropped and built anew."""

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from uuid import UUID

from sqlalchemy import Connection, Engine, create_engine, delete, event, insert, inspect, select, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    DataError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    NoSuchModuleError,
    OperationalError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry

from hookline.errors import ConfigError, DatabaseBroken, ForeignLog, RowRefused, Unavailable
from hookline.log.records import LOGS, Topic
from hookline.settings import Settings
from services.console.readmodel.schema import METADATA, SCHEMA_VERSION, meta

__all__ = [
    "REBUILD_COMMAND",
    "Database",
    "WriterLock",
    "ask_for_rebuild",
    "check_owner",
    "has_tables",
    "is_to_be_dropped",
    "open_database",
    "prepare",
    "rebuild_asked",
    "refusals",
]

FILE = "console.sqlite3"
REBUILD_COMMAND = "python -m services.console --rebuild"
SQLITE_BUSY_S = 10
CONNECT_S = 5
PRIVATE = 0o600
OF_VALUES = ("22", "23", "54")
"""Classes of SQLSTATE: data exception, integrity constraint violation, program limit exceeded."""
WRITER_LOCK = 0x484F4F4B_4C494E45
"""Key of PostgreSQL's advisory lock: "HOOKLINE"."""


def open_database(settings: Settings, beside: str = "") -> "Database":
    """Not connected yet; SQLite's file is there. beside: with SQLite, the end of the name of another file beside the read model's.

    Raises ConfigError when HOOKLINE_DATABASE_URL is not one that we can use.
    """
    given = settings.database_url.get_secret_value()
    try:
        url = make_url(given) if given else URL.create("sqlite", database=str(settings.data_dir / FILE))
        if url.drivername in ("postgresql", "postgres"):
            url = url.set(drivername="postgresql+psycopg")
        if url.get_backend_name() == "sqlite" and (url.database or ":memory:") == ":memory:":
            raise ConfigError("HOOKLINE_DATABASE_URL: SQLite needs a file, such as sqlite:///console.sqlite3")
        if url.get_backend_name() not in ("sqlite", "postgresql"):
            raise ConfigError(f"HOOKLINE_DATABASE_URL: {url.get_backend_name()} is not sqlite or postgresql")
        if beside and url.get_backend_name() == "sqlite":
            file = Path(url.database or "")
            url = url.set(database=str(file.with_name(f"{file.stem}{beside}{file.suffix}")))
        # The read model is in the logs as well. What stands beside it is nowhere else, and must outlive a power cut.
        return Database(url, "FULL" if beside else "NORMAL")
    except (ArgumentError, NoSuchModuleError):
        raise ConfigError(
            "HOOKLINE_DATABASE_URL is not a database URL such as postgresql://user:password@host:5432/hookline"
        ) from None
    except ModuleNotFoundError as error:
        raise ConfigError(f"HOOKLINE_DATABASE_URL needs the package {error.name}: install hookline[postgres]") from None


class Database:
    """Connections, by whose own words every failure is `Unavailable`: the caller answers 503 or tries again.

    But for two that time does not mend, both told to the writer: a file of SQLite's that is none, or is damaged, is `DatabaseBroken`;
    a value that the database does not take is `RowRefused`. No error's text, nor its trace, holds values of rows.
    """

    def __init__(self, url: URL, synchronous: str = "NORMAL") -> None:
        """synchronous: of SQLite, how far a commit has got when it returns."""
        self.is_sqlite = url.get_backend_name() == "sqlite"
        self.shown = url.render_as_string(hide_password=True)
        """For logs and messages."""
        self._file = Path(url.database or "")
        if self.is_sqlite:
            _make_file(self._file)
            self._engine = create_engine(url, hide_parameters=True, connect_args={"timeout": SQLITE_BUSY_S})
            event.listen(self._engine, "connect", _tuning(synchronous))
            event.listen(self._engine, "begin", _begin_sqlite)
        else:
            self._engine = create_engine(
                url, hide_parameters=True, pool_pre_ping=True, connect_args={"connect_timeout": CONNECT_S}
            )

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for SELECTs, all of one moment. Raises Unavailable, also while there are no tables yet."""
        with _unavailable_on(DBAPIError, sqlite3.Error), self._engine.connect() as connection:
            yield connection

    @contextlib.contextmanager
    def write(self, lock: "WriterLock | None" = None) -> Iterator[Connection]:
        """One transaction; with `lock`, on the connection that holds it. Raises Unavailable, DatabaseBroken, RowRefused."""
        unavailable = _unavailable_on(OperationalError, InterfaceError, sqlite3.OperationalError)
        with self._broken(), unavailable, refusals():
            if lock is not None and lock.connection is not None:
                with lock.connection.begin():
                    yield lock.connection
            else:
                with self._engine.begin() as connection:
                    yield connection

    def try_lock(self) -> "WriterLock | None":
        """Become the only writer of the read model; None while another process is. Raises Unavailable."""
        with _unavailable_on(OperationalError, InterfaceError):
            return _lock_file(self._file) if self.is_sqlite else _lock_postgres(self._engine)

    def drop_file(self) -> None:
        """SQLite's file, broken or not: put an empty one in its place. Raises Unavailable while another process writes it."""
        if (lock := self.try_lock()) is None:
            raise Unavailable("another console writes to the database: stop it first")
        self._engine.dispose()
        for beside in ("", "-wal", "-shm"):
            Path(f"{self._file}{beside}").unlink(missing_ok=True)
        _make_file(self._file)
        lock.release()

    def close(self) -> None:
        self._engine.dispose()

    @contextlib.contextmanager
    def _broken(self) -> Iterator[None]:
        """What SQLite says of a file that it cannot make sense of is no more specific than DatabaseError itself."""
        try:
            yield
        except (DatabaseError, sqlite3.DatabaseError) as error:
            cause = error.orig if isinstance(error, DatabaseError) else error
            if type(cause) is not sqlite3.DatabaseError:
                raise
            raise DatabaseBroken(
                f"the console's database {self.shown} is broken ({cause}). Rebuild it: {REBUILD_COMMAND}"
            ) from error


@contextlib.contextmanager
def _unavailable_on(*errors: type[DBAPIError] | type[sqlite3.Error]) -> Iterator[None]:
    try:
        yield
    except PoolTimeout as error:
        raise Unavailable("the console's database is busy with other requests") from error
    except errors as error:
        raise Unavailable(f"the console's database does not answer: {_said(error)}") from error


@contextlib.contextmanager
def refusals() -> Iterator[None]:
    """Raises RowRefused where the database, or its driver, does not take a value: the same one is refused again."""
    try:
        yield
    except DBAPIError as error:
        if not _is_refusal(error):
            raise
        raise RowRefused(_said(error)) from error
    except (ValueError, ArithmeticError) as error:  # a driver's own: not UTF-8, or a number of more than 64 bits
        raise RowRefused(f"{type(error).__name__}") from error


def _is_refusal(error: DBAPIError) -> bool:
    """By its class; PostgreSQL's limits (an index row that is too long) are OperationalError, like a connection that broke."""
    state = getattr(error.orig, "sqlstate", None) or ""
    return isinstance(error, DataError | IntegrityError) or state.startswith(OF_VALUES)


def _said(error: Exception) -> str:
    """The first line only: the rest is the statement, and PostgreSQL's own detail with values. While it connects, SQLite's own
    error comes as it is."""
    return str(error.orig if isinstance(error, DBAPIError) else error).strip().split("\n")[0]


class WriterLock:
    """The right to write, until `release` or the end of the process; `connection` is that of PostgreSQL's session lock."""

    def __init__(self, connection: Connection | None = None, file: int | None = None) -> None:
        self.connection = connection
        self._file = file

    def release(self) -> None:
        if self.connection is not None:
            with contextlib.suppress(DBAPIError):  # a session that broke has lost its lock
                self.connection.rollback()
                self.connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": WRITER_LOCK})
                self.connection.commit()
            self.connection.close()
        if self._file is not None:
            os.close(self._file)


def _make_file(database: Path) -> None:
    """For our eyes only: hook URLs may hold secrets. SQLite's other files get the same mode."""
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(database, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE))
    except OSError as error:
        raise ConfigError(f"the console's database {database} cannot be written: {error.strerror}") from None


def _lock_file(database: Path) -> WriterLock | None:
    file = os.open(f"{database}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return None
    return WriterLock(file=file)


def _lock_postgres(engine: Engine) -> WriterLock | None:
    connection = engine.connect()
    got = connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": WRITER_LOCK})
    connection.commit()
    if got:
        return WriterLock(connection)
    connection.close()
    return None


def _tuning(synchronous: str) -> Callable[[sqlite3.Connection, ConnectionPoolEntry], None]:
    def tune(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
        connection.isolation_level = (
            None  # we begin transactions ourselves: then SELECT and CREATE TABLE are part of them
        )
        for pragma in ("journal_mode=WAL", f"synchronous={synchronous}", "temp_store=MEMORY", "cache_size=-65536"):
            connection.execute(f"PRAGMA {pragma}")

    return tune


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def prepare(connection: Connection, log_id: UUID, topics: Mapping[Topic, UUID]) -> None:
    """Make the tables, or drop and make them anew for another schema version or when a rebuild was asked for.

    Raises ForeignLog when they were filled from another log.
    """
    if not has_tables(connection) or is_to_be_dropped(connection):
        METADATA.drop_all(connection)
        METADATA.create_all(connection)
        ids = {_key(topic): str(topics[topic]) for topic in LOGS if topic in topics}
        rows = {"schema": SCHEMA_VERSION, "log_id": str(log_id), **ids}
        connection.execute(insert(meta), [{"key": key, "value": value} for key, value in rows.items()])
    else:
        check_owner(connection, log_id, topics)


def is_to_be_dropped(connection: Connection) -> bool:
    """Are the tables, which are there, of another version, or did someone ask for a rebuild?"""
    known = _meta(connection)
    return known.get("schema") != SCHEMA_VERSION or "rebuild" in known


def check_owner(connection: Connection, log_id: UUID, topics: Mapping[Topic, UUID]) -> None:
    """Raises ForeignLog when the tables, which are there, were filled from another log, or from a topic that is gone.

    Of a topic that was made anew only its id tells: it has other records under the same offsets.
    """
    known = _meta(connection)
    if "lost" in known:
        raise ForeignLog(known["lost"])
    if (owner := known.get("log_id")) not in (None, str(log_id)):
        raise ForeignLog(
            f"the console's database was filled from log {owner}, the topics are of log {log_id}."
            f" Rebuild it: {REBUILD_COMMAND}"
        )
    for topic in LOGS:
        if topic in topics and known.get(_key(topic), str(topics[topic])) != str(topics[topic]):
            raise ForeignLog(
                f"the console's database was filled from a topic {topic} that is gone: it was deleted and made anew."
                f" Rebuild it: {REBUILD_COMMAND}"
            )


def _key(topic: Topic) -> str:
    """Under which a topic's id is kept."""
    return f"topic {topic}"


def has_tables(connection: Connection) -> bool:
    return inspect(connection).has_table(meta.name)


def ask_for_rebuild(connection: Connection) -> None:
    """Leave word for the process that writes the read model: drop it and read the logs anew."""
    connection.execute(delete(meta).where(meta.c.key == "rebuild"))
    connection.execute(insert(meta), [{"key": "rebuild", "value": "asked"}])


def note_lost(connection: Connection, words: str) -> None:
    """A log has lost what was read of it: nothing is read on, however far it grows, until the database is built anew."""
    connection.execute(delete(meta).where(meta.c.key == "lost"))
    connection.execute(insert(meta), [{"key": "lost", "value": words}])


def rebuild_asked(connection: Connection) -> bool:
    return "rebuild" in _meta(connection)


def _meta(connection: Connection) -> dict[str, str]:
    return {row.key: row.value for row in connection.execute(select(meta))}
