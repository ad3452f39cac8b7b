"""The console's database: SQLite by default, PostgreSQL by URL; who may write to it, and when it is dropped and built anew."""

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

from sqlalchemy import Connection, Engine, create_engine, delete, event, insert, inspect, select, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, NoSuchModuleError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry

from hookline.errors import ConfigError, ForeignLog, Unavailable
from hookline.settings import Settings
from services.console.readmodel.schema import METADATA, SCHEMA_VERSION, meta

__all__ = [
    "REBUILD_COMMAND",
    "Database",
    "WriterLock",
    "ask_for_rebuild",
    "has_tables",
    "open_database",
    "prepare",
    "rebuild_asked",
]

FILE = "console.sqlite3"
REBUILD_COMMAND = "python -m services.console --rebuild"
SQLITE_BUSY_S = 10
CONNECT_S = 5
PRIVATE = 0o600
WRITER_LOCK = 0x484F4F4B_4C494E45
"""Key of PostgreSQL's advisory lock: "HOOKLINE"."""


def open_database(settings: Settings) -> "Database":
    """Not connected yet; SQLite's file is there. Raises ConfigError when HOOKLINE_DATABASE_URL is not one that we can use."""
    given = settings.database_url.get_secret_value()
    try:
        url = make_url(given) if given else URL.create("sqlite", database=str(settings.data_dir / FILE))
        if url.drivername in ("postgresql", "postgres"):
            url = url.set(drivername="postgresql+psycopg")
        if url.get_backend_name() == "sqlite" and (url.database or ":memory:") == ":memory:":
            raise ConfigError("HOOKLINE_DATABASE_URL: SQLite needs a file, such as sqlite:///console.sqlite3")
        if url.get_backend_name() not in ("sqlite", "postgresql"):
            raise ConfigError(f"HOOKLINE_DATABASE_URL: {url.get_backend_name()} is not sqlite or postgresql")
        return Database(url)
    except (ArgumentError, NoSuchModuleError):
        raise ConfigError(
            "HOOKLINE_DATABASE_URL is not a database URL such as postgresql://user:password@host:5432/hookline"
        ) from None
    except ModuleNotFoundError as error:
        raise ConfigError(f"HOOKLINE_DATABASE_URL needs the package {error.name}: install hookline[postgres]") from None


class Database:
    """Connections, by whose own words every failure is `Unavailable`: the caller answers 503 or tries again."""

    def __init__(self, url: URL) -> None:
        self.is_sqlite = url.get_backend_name() == "sqlite"
        self.shown = url.render_as_string(hide_password=True)
        """For logs and messages."""
        self._file = Path(url.database or "")
        if self.is_sqlite:
            _make_file(self._file)
            self._engine = create_engine(url, connect_args={"timeout": SQLITE_BUSY_S})
            event.listen(self._engine, "connect", _tune_sqlite)
            event.listen(self._engine, "begin", _begin_sqlite)
        else:
            self._engine = create_engine(url, pool_pre_ping=True, connect_args={"connect_timeout": CONNECT_S})

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for SELECTs, all of one moment. Raises Unavailable, also while there are no tables yet."""
        with _unavailable_on(DBAPIError), self._engine.connect() as connection:
            yield connection

    @contextlib.contextmanager
    def write(self, lock: "WriterLock | None" = None) -> Iterator[Connection]:
        """One transaction; with `lock`, on the connection that holds it. Raises Unavailable."""
        with _unavailable_on(OperationalError, InterfaceError):
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

    def close(self) -> None:
        self._engine.dispose()


@contextlib.contextmanager
def _unavailable_on(*errors: type[DBAPIError]) -> Iterator[None]:
    try:
        yield
    except PoolTimeout as error:
        raise Unavailable("the console's database is busy with other requests") from error
    except errors as error:
        # The first line only: the rest is the statement with its values.
        said = str(error.orig).strip().split("\n")[0]
        raise Unavailable(f"the console's database does not answer: {said}") from error


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


def _tune_sqlite(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # we begin transactions ourselves: then SELECT and CREATE TABLE are part of them
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "temp_store=MEMORY", "cache_size=-65536"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def prepare(connection: Connection, log_id: UUID) -> None:
    """Make the tables, or drop and make them anew for another schema version or when a rebuild was asked for.

    Raises ForeignLog when they were filled from another log.
    """
    known = _meta(connection) if has_tables(connection) else {}
    if known.get("schema") != SCHEMA_VERSION or "rebuild" in known:
        METADATA.drop_all(connection)
        METADATA.create_all(connection)
        rows = {"schema": SCHEMA_VERSION, "log_id": str(log_id)}
        connection.execute(insert(meta), [{"key": key, "value": value} for key, value in rows.items()])
    elif known["log_id"] != str(log_id):
        raise ForeignLog(
            f"the console's database was filled from log {known['log_id']}, the topics are of log {log_id}."
            f" Rebuild it: {REBUILD_COMMAND}"
        )


def has_tables(connection: Connection) -> bool:
    return inspect(connection).has_table(meta.name)


def ask_for_rebuild(connection: Connection) -> None:
    """Leave word for the process that writes the read model: drop it and read the logs anew."""
    connection.execute(delete(meta).where(meta.c.key == "rebuild"))
    connection.execute(insert(meta), [{"key": "rebuild", "value": "asked"}])


def rebuild_asked(connection: Connection) -> bool:
    return "rebuild" in _meta(connection)


def _meta(connection: Connection) -> dict[str, str]:
    return {row.key: row.value for row in connection.execute(select(meta))}
