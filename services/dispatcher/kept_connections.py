"""Connections that are kept for the next hook of the same receiver."""

import asyncio
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from services.dispatcher.connection import Connection

__all__ = ["IDLE_S", "KeptConnections", "Origin"]

IDLE_S = 30.0
"""Seconds that an idle connection is kept where its receiver names no shorter time."""
MARGIN_S = 1.0
"""Seconds before the time that a receiver names: it may close just as the next request is on its way."""
SWEEP_S = 5.0

Origin: TypeAlias = tuple[str, str, int]
"""Scheme, host and port."""


class _Kept(NamedTuple):
    origin: Origin
    until: float


class KeptConnections:
    """Idle ones. `most`: how many there may be in all; the one kept longest makes room."""

    def __init__(self, most: int, monotonic: Callable[[], float]) -> None:
        self._most = most
        self._monotonic = monotonic
        self._kept: dict[Connection, _Kept] = {}
        """In the order in which they were kept."""
        self._of: dict[Origin, list[Connection]] = {}
        self._sweep: asyncio.TimerHandle | None = None
        self._closed = False

    def __len__(self) -> int:
        return len(self._kept)

    def take(self, origin: Origin) -> Connection | None:
        """One that seems open, the last used first; it is the caller's from now on."""
        while (idle := self._of.get(origin)) is not None:
            connection = idle[-1]
            is_good = self._is_good(connection)
            self._remove(connection)
            if is_good:
                return connection
            connection.close()
        return None

    def keep(self, origin: Origin, connection: Connection) -> None:
        """After an answer; closed instead where it cannot be used again, or not for long enough."""
        said = connection.answer.keep_alive_s
        idle_s = IDLE_S if said is None else min(IDLE_S, said - MARGIN_S)
        if self._closed or idle_s <= 0 or not (connection.is_open and connection.answer.is_reusable):
            connection.close()
            return
        if len(self._kept) >= self._most:
            self._drop(next(iter(self._kept)))
        self._kept[connection] = _Kept(origin, self._monotonic() + idle_s)
        self._of.setdefault(origin, []).append(connection)
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(SWEEP_S, self._drop_old)

    def close(self) -> None:
        """Close all, and keep none any more."""
        self._closed = True
        if self._sweep is not None:
            self._sweep.cancel()
        for connection in list(self._kept):
            self._drop(connection)

    def _is_good(self, connection: Connection) -> bool:
        return connection.is_open and self._kept[connection].until > self._monotonic()

    def _drop_old(self) -> None:
        for connection in [kept for kept in self._kept if not self._is_good(kept)]:
            self._drop(connection)
        self._sweep = asyncio.get_running_loop().call_later(SWEEP_S, self._drop_old) if self._kept else None

    def _drop(self, connection: Connection) -> None:
        self._remove(connection)
        connection.close()

    def _remove(self, connection: Connection) -> None:
        origin = self._kept.pop(connection).origin
        idle = self._of[origin]
        idle.remove(connection)
        if not idle:
            del self._of[origin]
