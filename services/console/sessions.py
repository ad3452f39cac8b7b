"""Who may use the console: the administrator's password, sessions and how they end.

A session's token is a JWT (HS256) signed with a key from the master keys: one that is not ours costs no look into the
database. It is good on every replica and over restarts, for as long as its row stands (`services.console.session_store`).
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import jwt

from hookline.chain.keys import KeyRing
from hookline.clock import Clock
from hookline.settings import Settings
from services.console.administrator import Administrator
from services.console.session_store import Session, SessionStore
from services.console.trail import trail

__all__ = ["FRESH_S", "SESSION_S", "Begun", "Sessions"]

Answer = TypeVar("Answer")

SESSION_S = 86_400
"""Then the password is asked for again, however much it was used (NIST SP 800-63B-4, 2.2.3: at most 24 hours, and an hour unused)."""
FRESH_S = 300
"""Seconds from giving the password in which a secret is shown (ASVS 5.0, 7.5.3)."""
TOUCH_MS = 30_000
"""How exactly it is known when a session was last used: so often is it written down."""
MOST = 10_000
"""Sessions that may stand; the one that was last used longest ago ends first."""
THREADS = 4
ALGORITHM = "HS256"


class Begun(NamedTuple):
    """A session, and the token that opens what it may open."""

    token: str
    session: Session


class Sessions:
    """Begins sessions, finds the one of a token, and ends them."""

    def __init__(
        self, settings: Settings, keys: KeyRing, clock: Clock, store: SessionStore, new_id: Callable[[], str]
    ) -> None:
        """Raises ConfigError, as `Administrator`."""
        self.administrator = Administrator(settings)
        self._idle_ms = settings.console_idle_minutes * 60_000
        self._keys = keys
        self._clock = clock
        self._store = store
        self._new_id = new_id
        self._threads = ThreadPoolExecutor(1 if store.is_sqlite else THREADS, "sessions")

    async def begin(self, address: str, entry: str) -> Begun:
        """A new session, for whoever gave the right password. Raises Unavailable."""
        now_ms, key_id, credential = self._clock.now_ms(), self._keys.first, self._fingerprint(self._keys.first)
        ends_at = now_ms + SESSION_S * 1000
        session = Session(self._new_id(), self.administrator.name, address, entry, now_ms, now_ms, ends_at)
        await self._in(self._store.add, session, credential)
        _say_ended("unused or over", await self._in(self._store.end_stale, now_ms - self._idle_ms - TOUCH_MS, now_ms))
        _say_ended("too many", await self._in(self._store.end_beyond, MOST))
        claims = {"sub": session.user, "iat": now_ms // 1000, "exp": session.ends_at // 1000, "pwd": credential}
        key = self._keys.session_key(key_id)
        return Begun(jwt.encode(claims | {"sid": session.id}, key, ALGORITHM, {"kid": key_id}), session)

    async def find(self, token: str, *, is_use: bool = True) -> Session | None:
        """The session that stands and has this token. is_use: it is not idle, then. Raises Unavailable.

        None for a token that is not ours or is of an earlier password, and for a session that is over or was ended: the
        database is asked, and only for a token that is ours.
        """
        if (session_id := self._id_in(token)) is None:
            return None
        session = await self._in(self._store.get, session_id)
        if session is None:
            return None
        now_ms = self._clock.now_ms()
        unused_ms = now_ms - session.used_at
        if session.ends_at <= now_ms or unused_ms >= self._idle_ms + TOUCH_MS:
            if await self._in(self._store.end, session.id):
                _say_ended("over" if session.ends_at <= now_ms else "unused", [session])
            return None
        if is_use and unused_ms >= TOUCH_MS:
            await self._in(self._store.touch, session.id, now_ms)
        return session

    def is_fresh(self, session: Session) -> bool:
        """Was the password given just now? Only then a secret is shown."""
        return abs(self._clock.now_ms() - session.began_at) < FRESH_S * 1000

    async def end(self, session_id: str) -> bool:
        """On the return it is good on no replica any more. False: there was none. Raises Unavailable."""
        return await self._in(self._store.end, session_id)

    async def end_others(self, kept: Session) -> int:
        """How many there were. Raises Unavailable."""
        return len(await self._in(self._store.end_others, kept.id))

    async def page(self, size: int, skipped: int) -> tuple[int, Sequence[Session]]:
        """How many stand, and some of them, the last used first. Raises Unavailable."""
        now_ms = self._clock.now_ms()
        _say_ended("unused or over", await self._in(self._store.end_stale, now_ms - self._idle_ms - TOUCH_MS, now_ms))
        return await self._in(self._store.page, [self._fingerprint(key_id) for key_id in self._keys.ids], size, skipped)

    def close(self) -> None:
        self._threads.shutdown()
        self._store.close()

    def _id_in(self, token: str) -> str | None:
        if not token.isascii():  # PyJWT would fail on it
            return None
        try:
            key_id = str(jwt.get_unverified_header(token).get("kid"))
            if key_id not in self._keys:
                return None
            # The times are judged by our own clock.
            claims = jwt.decode(
                token,
                self._keys.session_key(key_id),
                algorithms=[ALGORITHM],
                options={
                    "require": ["sid", "pwd"],
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
        except jwt.InvalidTokenError:
            return None
        return str(claims["sid"]) if str(claims["pwd"]) == self._fingerprint(key_id) else None

    def _fingerprint(self, key_id: str) -> str:
        """Of name and password, under the session key: another password ends all sessions of the one before."""
        return self.administrator.fingerprint(self._keys.session_key(key_id))

    async def _in(self, work: Callable[..., Answer], *args: object) -> Answer:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *args)


def _say_ended(why: str, ended: Iterable[Session]) -> None:
    for session in ended:
        trail("session_ended", "session ended", by=session.user, address=session.address, session=session.id, why=why)
