"""Where the console's sessions are kept: one row for each that stands. None of it comes from the logs, and none goes there.

A session is good only while its row is there, so whoever deletes the row ends it on every replica, and a database that was
lost ends all of them. On PostgreSQL the table stands beside the read model's; SQLite has a file of its own, since whoever
writes the read model holds its file's lock. Neither a rebuild nor another version of the read model touches it.
"""

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple, TypeVar

import structlog
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Index,
    MetaData,
    String,
    Table,
    Text,
    delete,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy import Column as Col
from sqlalchemy.exc import DBAPIError

from hookline.errors import DatabaseBroken, Unavailable
from hookline.settings import Settings
from services.console.readmodel.database import Database, open_database

__all__ = ["METADATA", "Session", "SessionStore", "open_session_store"]

log = structlog.get_logger()

Answer = TypeVar("Answer")

BESIDE = "-sessions"
MAKING = 0x484F4F4B_53455353
"""Key of PostgreSQL's advisory lock while the table is made: "HOOKSESS"."""

METADATA = MetaData()

sessions = Table(
    "hookline_sessions_1",
    METADATA,
    Col("id", String(64), primary_key=True),
    Col("credential", String(32), nullable=False),
    Col("user", Text, nullable=False),
    Col("address", Text, nullable=False),
    Col("entry", String(8), nullable=False),
    Col("began_at", BigInteger, nullable=False),
    Col("used_at", BigInteger, nullable=False),
    Col("ends_at", BigInteger, nullable=False),
    Index("hookline_sessions_1_by_use", "used_at"),
)
"""`credential`: fingerprint of the name and password that began it. Another shape of the table gets another number: then all log in anew."""


class Session(NamedTuple):
    """A session that stands. `address`: where it was begun from; `entry`: `pages` or `API`; `*_at`: Unix ms."""

    id: str
    user: str
    address: str
    entry: str
    began_at: int
    used_at: int
    ends_at: int


_FIELDS = [sessions.c[name] for name in Session._fields]


def open_session_store(settings: Settings) -> "SessionStore":
    """Not connected yet. Raises ConfigError."""
    return SessionStore(open_database(settings, BESIDE))


class SessionStore:
    """Synchronous. Every method raises Unavailable while the database does not answer."""

    def __init__(self, database: Database) -> None:
        self.is_sqlite = database.is_sqlite
        """Then one writer at a time: a second one would be refused, not wait."""
        self._database = database
        self._made = False

    def add(self, session: Session, credential: str) -> None:
        self._write(lambda c: c.execute(insert(sessions).values(**session._asdict(), credential=credential)))

    def get(self, session_id: str) -> Session | None:
        found = self._read(lambda c: c.execute(select(*_FIELDS).where(sessions.c.id == session_id)).first())
        return None if found is None else Session(*found)

    def touch(self, session_id: str, now_ms: int) -> None:
        """It was used. One that was ended meanwhile stays ended."""
        later = sessions.c.used_at < now_ms
        self._write(
            lambda c: c.execute(update(sessions).where(sessions.c.id == session_id, later).values(used_at=now_ms))
        )

    def end(self, session_id: str) -> bool:
        """From the return on it is good nowhere. False: it had ended."""
        return self._write(lambda c: _end(c, session_id))

    def end_others(self, kept: str) -> list[Session]:
        """All but that one; those that this call ended."""
        return self._end_where(sessions.c.id != kept)

    def end_stale(self, unused_since: int, now_ms: int) -> list[Session]:
        """Those that were last used before that, and those whose end has come; those that this call ended."""
        return self._end_where((sessions.c.used_at <= unused_since) | (sessions.c.ends_at <= now_ms))

    def end_beyond(self, most: int) -> list[Session]:
        """All but the `most` that were used last; those that this call ended."""

        def ended(connection: Connection) -> list[Session]:
            newest_first = select(*_FIELDS).order_by(sessions.c.used_at.desc(), sessions.c.id).offset(most)
            return _ended(connection, [Session(*row) for row in connection.execute(newest_first)])

        return self._write(ended)

    def page(self, credentials: Collection[str], size: int, skipped: int) -> tuple[int, Sequence[Session]]:
        """How many were begun with one of these credentials, and a page of them, the last used first."""
        ours = sessions.c.credential.in_(credentials)
        shown = (
            select(*_FIELDS).where(ours).order_by(sessions.c.used_at.desc(), sessions.c.id).limit(size).offset(skipped)
        )

        def read(connection: Connection) -> tuple[int, Sequence[Session]]:
            count = connection.scalar(select(func.count()).select_from(sessions).where(ours)) or 0
            return count, [Session(*row) for row in connection.execute(shown)]

        return self._read(read)

    def close(self) -> None:
        self._database.close()

    def _end_where(self, condition: ColumnElement[bool]) -> list[Session]:
        def ended(connection: Connection) -> list[Session]:
            return _ended(connection, [Session(*row) for row in connection.execute(select(*_FIELDS).where(condition))])

        return self._write(ended)

    def _read(self, work: Callable[[Connection], Answer]) -> Answer:
        self._make()
        try:
            with self._database.read() as connection:
                return work(connection)
        except Unavailable:
            self._made = False  # the database may come back without the table
            raise

    def _write(self, work: Callable[[Connection], Answer]) -> Answer:
        self._make()
        try:
            with self._database.write() as connection:
                return work(connection)
        except (Unavailable, DBAPIError) as error:
            self._made = False
            raise error if isinstance(error, Unavailable) else Unavailable("the sessions cannot be written") from error

    def _make(self) -> None:
        """The table, where it is not there. A file that is broken gives way to an empty one: it held nothing but sessions."""
        if self._made:
            return
        try:
            self._make_table()
        except DatabaseBroken as error:
            log.error("sessions lost", reason=str(error.__cause__))
            self._database.drop_file()
            self._make_table()
        self._made = True

    def _make_table(self) -> None:
        with self._database.write() as connection:
            if not self.is_sqlite:  # two replicas that begin at once: the second waits, and finds it made
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MAKING})
            METADATA.create_all(connection)


def _end(connection: Connection, session_id: str) -> bool:
    return connection.execute(delete(sessions).where(sessions.c.id == session_id)).rowcount > 0


def _ended(connection: Connection, found: Sequence[Session]) -> list[Session]:
    """Each is ended by one of those who try at once."""
    return [session for session in found if _end(connection, session.id)]
