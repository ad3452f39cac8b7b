"""Bodies that were quarantined lately: one that comes again is there already, and only counts.

Some registries send what they get no other answer for again and again, and whoever holds a token could fill the topic.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from cachetools import FIFOCache

from hookline.chain.events import Quarantined
from hookline.errors import Unavailable

__all__ = ["REMEMBERED", "WINDOW_S", "BodyKey", "KeptOnce"]

WINDOW_S = 3600
"""Much less than quarantine keeps what it has."""
REMEMBERED = 10_000
OF_A_REQUEST = frozenset({"x-request-id", "user-agent"})
"""Headers that are other ones each time, or say who sends."""


class BodyKey(NamedTuple):
    """What makes two bodies one: the same bytes from the same source, for the same reason, with the same headers that say
    what they are."""

    source: str
    reason: str
    digest: bytes
    headers: frozenset[tuple[str, str]] = frozenset()

    @classmethod
    def of(cls, event: Quarantined, digest: bytes) -> "BodyKey":
        """digest: of its body."""
        said = ((name, value) for name, value in event.headers.items() if name not in OF_A_REQUEST)
        return cls(event.source, event.reason, digest, frozenset(said))


class KeptOnce:
    """Of one process. `remembered`: bodies at most, the one kept longest ago is forgotten first."""

    def __init__(self, *, remembered: int = REMEMBERED) -> None:
        self._kept: FIFOCache[BodyKey, int] = FIFOCache(remembered)
        """When (Unix ms)."""
        self._under_way: dict[BodyKey, asyncio.Future[bool]] = {}

    async def keep(self, key: BodyKey, now: int, append: Callable[[], Awaitable[int]]) -> bool:
        """Append it, unless the same was appended lately; was it? now: Unix ms.

        Raises as `append`; Unavailable where the same body was under way and was not taken: then this one is not there either.
        """
        if (first := self._under_way.get(key)) is not None:
            if not await asyncio.shield(first):
                raise Unavailable("Kafka did not acknowledge the same body")
            return False
        at = self._kept.get(key)
        if at is not None and 0 <= now - at < WINDOW_S * 1000:
            return False
        done = self._under_way[key] = asyncio.get_running_loop().create_future()
        try:
            await append()
            self._kept[key] = now
            done.set_result(True)
        finally:
            del self._under_way[key]
            if not done.done():
                done.set_result(False)
        return True
