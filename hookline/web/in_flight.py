"""Bodies that are coming in from clients who have proved nothing yet: one bound on what they hold, all together."""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Protocol

from hookline.errors import Unavailable

__all__ = ["REQUEST_BYTES", "InFlight", "Room"]

REQUEST_BYTES = 32 * 1024
"""What a request is counted as beside its body: about what its connection and its head take."""
RETRY_AFTER_S = 1


class Held(Protocol):
    """What is told how many bytes are held (a gauge)."""

    def set(self, value: float) -> None: ...


class InFlight:
    """A budget of bytes, of one process.

    Where more come than it has, the body that began first and is still coming is given up: a sender in good faith is done
    within a moment, and one who holds bodies open on purpose holds them up for nobody else.
    """

    def __init__(self, limit: int, held: Held) -> None:
        """`limit`: at least what one body may have, with its request."""
        self._limit = limit
        self._held = held
        self._bytes = 0
        self._rooms: dict[int, Room] = {}
        """Oldest first."""

    @contextlib.contextmanager
    def room(self) -> Iterator["Room"]:
        """For one body, until its sender has proved who it is or is refused."""
        room = Room(self)
        self._rooms[id(room)] = room
        try:
            room.take(REQUEST_BYTES)
            yield room
        finally:
            del self._rooms[id(room)]
            self._add(-room.release())

    def make_room(self, size: int) -> bool:
        """Count so many bytes more, and give bodies up until what is left fits. False where nothing is left to give up."""
        self._add(size)
        while self._bytes > self._limit and (oldest := self._oldest()) is not None:
            self._add(-oldest.give_up())
        return self._bytes <= self._limit

    def _oldest(self) -> "Room | None":
        return next((room for room in self._rooms.values() if room.is_coming), None)

    def _add(self, size: int) -> None:
        self._bytes += size
        self._held.set(self._bytes)


class Room:
    """What one body holds of the budget."""

    def __init__(self, budget: InFlight) -> None:
        self._budget = budget
        self._bytes = 0
        self._coming: asyncio.Timeout | None = None
        self._given_up = False

    @property
    def is_coming(self) -> bool:
        """Can it be given up?"""
        return self._coming is not None and not self._given_up

    @contextlib.contextmanager
    def coming(self, until: asyncio.Timeout) -> Iterator[None]:
        """While it is read, under that timeout, which ends early where the body is given up: then `check` says so."""
        self._coming = until
        try:
            yield
        finally:
            self._coming = None

    def take(self, size: int) -> None:
        """Count bytes that came. Raises Unavailable when the body was given up for others, or is itself too much."""
        self.check()
        self._bytes += size
        if not self._budget.make_room(size):
            self._given_up = True
        self.check()

    def check(self) -> None:
        """Raises Unavailable when the body was given up."""
        if self._given_up:
            raise Unavailable("more bodies are arriving than there is room for", RETRY_AFTER_S)

    def give_up(self) -> int:
        """End its reading; the bytes that this sets free."""
        self._given_up = True
        if self._coming is not None:
            self._coming.reschedule(asyncio.get_running_loop().time())
        return self.release()

    def release(self) -> int:
        """The bytes that it held."""
        held, self._bytes = self._bytes, 0
        return held
