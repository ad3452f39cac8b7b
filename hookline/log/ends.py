"""End offsets for many requests at once: one ListOffsets serves all that were waiting when it began."""

import asyncio
from collections.abc import Iterable

from hookline.errors import LogUnavailable
from hookline.log.cluster import Offsets
from hookline.log.records import Place

__all__ = ["SharedEnds"]


class SharedEnds:
    """`await ends.now()` answers with the ends of places as they stood at some moment after the call.

    A call that comes while a ListOffsets is under way waits for the next one, which it shares with all who came meanwhile.
    """

    def __init__(self, offsets: Offsets, places: Iterable[Place], timeout_s: float = 3.0) -> None:
        self._offsets = offsets
        self._places = tuple(places)
        self._timeout_s = timeout_s
        self._running: asyncio.Task[dict[Place, int]] | None = None
        self._next: asyncio.Task[dict[Place, int]] | None = None
        self._wanted: set[Place] = set()
        """What those ask for who wait for the next."""

    async def now(self, places: Iterable[Place] | None = None) -> dict[Place, int]:
        """The ends of those places (default: of all), and of what others asked for.

        Raises LogUnavailable when Kafka does not answer within the timeout.
        """
        self._wanted.update(self._places if places is None else places)
        if self._next is None:
            self._next = asyncio.create_task(self._ask(self._running))
            # Seen, even if all who waited are gone by then.
            self._next.add_done_callback(lambda task: task.cancelled() or task.exception())
        return await asyncio.shield(self._next)

    async def _ask(self, before: asyncio.Task[dict[Place, int]] | None) -> dict[Place, int]:
        if before is not None:
            await asyncio.wait({before})
        self._running, self._next = self._next, None
        wanted, self._wanted = self._wanted, set()
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._offsets.ends(wanted)
        except TimeoutError:
            raise LogUnavailable(f"no end offsets within {self._timeout_s:g} s") from None
        finally:
            self._running = None
