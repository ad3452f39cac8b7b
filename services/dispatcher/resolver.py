"""Addresses of receivers' names: by the system's resolver, in threads of our own, so that no name waits for another.

Not by `loop.getaddrinfo`: under uvloop all of a process's lookups share libuv's four threads, and four names whose name
server is silent stop them all. A thread that waits for such a name cannot be called back. So each name has at most one
lookup; after LOOKUP_S it is overdue, and others may begin in its place; and a name that was silent before is not asked about
again while half as many lookups are overdue as may be under way.
"""

import asyncio
import contextlib
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

__all__ = ["GetAddresses", "NameFailed", "Resolver", "system_addresses"]

LOOKUP_S = 5.0
"""Seconds that an attempt waits for a lookup."""
ADDRESSES_S = 30.0
"""Seconds that addresses are good for; the system's resolver does not say how long they are."""
FAILURE_S = 5.0
"""Seconds that a name which failed is not looked up again."""
MAX_NAMES = 10_000
"""Names that are remembered; the one used longest ago leaves."""


class NameFailed(OSError):
    """A name has no address now. `code`: getaddrinfo's (EAI_*); None where no answer came within LOOKUP_S."""

    def __init__(self, code: int | None) -> None:
        super().__init__(code, "no address")
        self.code = code


class GetAddresses(Protocol):
    """The system's resolver, or a test's. Blocks. Raises socket.gaierror, and other OSErrors."""

    def __call__(self, host: str) -> Sequence[str]: ...


def system_addresses(host: str) -> list[str]:
    """All addresses of a name, in the order in which they should be tried. Raises socket.gaierror."""
    # As bytes: Python would put a text through its own, older IDNA once more.
    found = socket.getaddrinfo(host.encode("ascii"), None, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


@dataclass
class _Name:
    """What is known of a name. `until`: monotonic seconds for which it counts."""

    addresses: tuple[str, ...] = ()
    failed: NameFailed | None = None
    until: float = 0.0
    was_silent: bool = False
    """Did its last lookup that is over, or overdue, get no answer in time?"""
    lookup: "_Lookup | None" = None
    """Under way."""


class _Lookup:
    """One thread's work. `done`: when the name's addresses, or why it has none, are new."""

    def __init__(self) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class Resolver:
    """`addresses` of names. `most`: lookups under way at once; `get`: how one is done, in a thread of its own."""

    def __init__(
        self,
        most: int,
        get: GetAddresses = system_addresses,
        monotonic: Callable[[], float] = time.monotonic,
        lookup_s: float = LOOKUP_S,
        most_names: int = MAX_NAMES,
    ) -> None:
        self._most = most
        self._get = get
        self._monotonic = monotonic
        self._lookup_s = lookup_s
        self._most_names = most_names
        self._names: OrderedDict[str, _Name] = OrderedDict()
        self._in_time: set[_Lookup] = set()
        self._overdue: set[_Lookup] = set()
        self._changed = asyncio.Event()

    @property
    def running(self) -> int:
        """Lookups under way, those included that nobody waits for any more."""
        return len(self._in_time) + len(self._overdue)

    async def addresses(self, host: str) -> tuple[str, ...]:
        """Raises NameFailed, within `lookup_s` seconds."""
        name = self._names.setdefault(host, _Name())
        self._names.move_to_end(host)
        self._forget()
        if self._monotonic() >= name.until:
            await self._look_up(host, name)
        if name.failed is not None:
            raise name.failed
        return name.addresses

    async def _look_up(self, host: str, name: _Name) -> None:
        """Until the name is known. Notes that it was silent where that takes too long."""
        try:
            async with asyncio.timeout(self._lookup_s):
                while name.lookup is None and not self._has_room(name):
                    self._changed.clear()
                    await self._changed.wait()
                lookup = name.lookup or self._begin(host, name)
                await asyncio.shield(lookup.done)
        except TimeoutError:
            name.failed = NameFailed(None)
            if name.lookup is not None:  # else it waited for room alone, which says nothing of this name
                name.was_silent, name.until = True, self._monotonic() + FAILURE_S

    def _has_room(self, name: _Name) -> bool:
        overdue = len(self._overdue)
        if name.was_silent and overdue >= self._most // 2:
            return False
        return len(self._in_time) < self._most and overdue < 2 * self._most

    def _begin(self, host: str, name: _Name) -> _Lookup:
        loop = asyncio.get_running_loop()
        lookup = name.lookup = _Lookup()
        self._in_time.add(lookup)
        loop.call_later(self._lookup_s, self._is_late, lookup)

        def look_up() -> None:
            found = self._found(host)
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody asks any more
                loop.call_soon_threadsafe(self._end, name, lookup, found)

        try:
            # A daemon: a process that ends does not wait for a silent name server.
            threading.Thread(target=look_up, name="lookup", daemon=True).start()
        except RuntimeError:  # no more threads on this machine
            self._end(name, lookup, NameFailed(socket.EAI_AGAIN))
        return lookup

    def _found(self, host: str) -> tuple[str, ...] | NameFailed:
        """In a thread of its own."""
        try:
            return tuple(self._get(host)) or NameFailed(socket.EAI_NONAME)
        except socket.gaierror as error:
            return NameFailed(error.errno)
        except Exception:  # noqa: BLE001 - a thread that dies without a word would be waited for
            return NameFailed(socket.EAI_FAIL)

    def _is_late(self, lookup: _Lookup) -> None:
        if lookup in self._in_time:
            self._in_time.remove(lookup)
            self._overdue.add(lookup)
            self._changed.set()

    def _end(self, name: _Name, lookup: _Lookup, found: tuple[str, ...] | NameFailed) -> None:
        now, name.lookup = self._monotonic(), None
        name.was_silent = lookup in self._overdue
        if isinstance(found, NameFailed):
            name.addresses, name.failed, name.until = (), found, now + FAILURE_S
        else:
            name.addresses, name.failed, name.until = found, None, now + ADDRESSES_S
        self._in_time.discard(lookup)
        self._overdue.discard(lookup)
        self._changed.set()
        if not lookup.done.done():
            lookup.done.set_result(None)

    def _forget(self) -> None:
        if len(self._names) > self._most_names:
            for host, name in self._names.items():
                if name.lookup is None:
                    del self._names[host]
                    return
