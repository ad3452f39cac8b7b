"""A replica of callbacks: the tails of all partitions, restored from the dispatcher's commits and read on without end.

A partition starts as a dispatcher's does, without the Fence (design section 6): commit -> that snapshot -> the tails.
Which commits are made later does not matter to one that runs.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from uuid import UUID

from hookline.clock import Clock
from hookline.errors import LogUnavailable, Unavailable
from hookline.log.cluster import Cluster, Offsets
from hookline.log.ends import SharedEnds
from hookline.log.follower import Follower
from hookline.log.reader_interface import SnapshotReading
from hookline.log.reader_status import ReaderStatus
from hookline.log.records import Place, logs_of
from services.callbacks.replica_memory import EndedChains
from services.callbacks.tail import Tail

__all__ = ["Replica"]

GATHER_MS = 50
"""While no answer waits for it, nothing is lost by reading the logs in larger pieces."""
LAG_S = 5.0
"""Seconds between two looks at how far behind the tails are."""


class Replica(SnapshotReading):
    """`run` and `watch_lag` until cancelled; everything else may be called meanwhile."""

    def __init__(
        self,
        cluster: Cluster,
        partitions: int,
        log_id: UUID,
        clock: Clock,
        look: Callable[[], None] = lambda: None,
        alive: Callable[[], None] = lambda: None,
    ) -> None:
        """look: called when a log has lost records: the topic may have been made anew. alive: called by its loop in each round."""
        ended, statuses = EndedChains(clock.monotonic), [ReaderStatus("callbacks", p) for p in range(partitions)]
        self.tails = tuple(
            Tail(s, ended, lambda: self._follower.hurry(), partial(self._in_doubt, p)) for p, s in enumerate(statuses)
        )
        super().__init__(cluster, log_id, dict(enumerate(self.tails)), alive)
        self._follower = Follower(
            cluster,
            clock,
            statuses,
            self,
            gather_ms=GATHER_MS,
            alive=alive,
            hurry_look=look,
            is_awaited=lambda: any(tail.awaited for tail in self.tails),
        )
        self._ends: SharedEnds | None = None
        self._unanswered: str | None = None
        """Why Kafka did not say how far the logs go, when it was last asked (every LAG_S)."""

    @property
    def trouble(self) -> str | None:
        """Why it does not read just now."""
        return self._follower.trouble

    @property
    def reads(self) -> bool:
        """Does Kafka let it read on, as far as it knows?"""
        return self.trouble is None and self._unanswered is None

    @property
    def current(self) -> bool:
        """Is every partition restored? One that stopped holds up no other, unless none is left."""
        return self._follower.current

    def progress(self) -> str:
        """How far it is, in words: which partitions are not current, and why; what is wrong just now."""
        trouble = self.trouble or self._unanswered
        return self._follower.progress() + (f"; trying again: {trouble}" if trouble is not None else "")

    async def run(self) -> None:
        """Read until cancelled, and begin anew from where it was when Kafka was away. Raises ForeignLog."""
        await self._follower.run()

    async def watch_lag(self) -> None:
        """Keep the lag's metric, and stop those of which a record waits for a cause that is lost; until cancelled."""
        await self._follower.watch(self._ends_or_none, LAG_S)

    async def ends(self, places: Iterable[Place] | None = None) -> dict[Place, int]:
        """End offsets of those places (default: of all logs); one ListOffsets for all who ask, made after they asked.

        A deposed leader tells an old end: no answer of 200 rests on one, and a goal that is too low only lets us answer
        from less, which the table of answers allows.

        Raises LogUnavailable, and Unavailable while nothing is read, and where a log ends below what was read of it: a leader
        answers that was deposed, or it lost records.
        """
        if self._ends is None:
            raise Unavailable("Kafka does not answer")
        before = {tail.partition: tail.positions for tail in self.tails}
        ends = await self._ends.now(places)
        if any(end < before[place.partition].of(place.topic) for place, end in ends.items()):
            raise Unavailable("the log ends before what was already read")
        return ends

    async def _ends_or_none(self) -> Mapping[Place, int]:
        try:
            ends = await self.ends()
        except (LogUnavailable, Unavailable) as error:
            self._unanswered = str(error)
            return {}
        self._unanswered = None
        return ends

    def session(self, offsets: Offsets) -> AbstractAsyncContextManager[None]:
        return self._asking(offsets)

    @asynccontextmanager
    async def _asking(self, offsets: Offsets) -> AsyncIterator[None]:
        """Ends can be asked for."""
        self._ends = SharedEnds(offsets, [place for tail in self.tails for place in logs_of(tail.partition)])
        try:
            yield
        finally:
            self._ends = None

    def _in_doubt(self, partition: int) -> bool:
        return self._follower.in_doubt(partition)
