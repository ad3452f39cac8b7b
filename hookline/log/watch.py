"""The topics, looked at every minute while a service runs: an operator may change them at any time.

What only a restart mends ends the process, in words. What an operator must mend is said, in the log and in readiness, until
it is mended.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn
from uuid import UUID

import structlog
from prometheus_client import Gauge

from hookline.clock import Clock
from hookline.errors import LogUnavailable, Refused
from hookline.log.records import Topic

__all__ = ["CheckLog", "LogState", "LogWatch"]

log = structlog.get_logger()

LOOK_S = 60.0
"""Between two looks."""
MENDING_S = 5.0
"""The same, while a right is missing or Kafka does not answer."""
HURRY_S = 1.0
"""The same at least, however often somebody hurries."""

MISSING_RIGHTS = Gauge("hookline_missing_rights", "Topics that this service must write to but may not")


@dataclass(frozen=True)
class LogState:
    """What a look at the topics found. narrow: settings by which a record may be refused, a sentence each; denied: rights
    that are missing, a sentence each; topics: the ids of those whose records are remembered."""

    log_id: UUID
    narrow: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()
    topics: Mapping[Topic, UUID] = field(default_factory=dict)


CheckLog = Callable[[], Awaitable[LogState]]
"""Raises TopicsUnfit; ForeignLog where it is not the log that it was at the first call; LogUnavailable."""


class LogWatch:
    """`look` at the start, then `run` until cancelled."""

    def __init__(self, check: CheckLog, clock: Clock) -> None:
        self._check = check
        self._clock = clock
        self._state: LogState | None = None
        self._refused = ""
        """Why it cannot be looked at, where that is for an operator to mend."""
        self._hurried = asyncio.Event()
        self._looking = asyncio.Lock()

    async def look(self) -> LogState:
        """Raises what `CheckLog` does."""
        async with self._looking:
            state = await self._check()
        before, self._state, self._refused = self._state, state, ""
        _tell("the topics accept smaller records than they should", before.narrow if before else (), state.narrow)
        _tell("a right is missing", before.denied if before else (), state.denied)
        MISSING_RIGHTS.set(len(state.denied))
        return state

    async def run(self) -> NoReturn:
        """Raises TopicsUnfit and ForeignLog: then the process is to be started anew."""
        while True:
            await self._until_due()
            try:
                await self.look()
            except Refused as error:
                if str(error) != self._refused:
                    log.error("the topics cannot be checked", reason=str(error))
                self._refused = str(error)
            except LogUnavailable:
                pass  # Kafka is away: whoever reads or appends says so

    def hurry(self) -> None:
        """Look soon: something went wrong that a change of the topics would explain."""
        self._hurried.set()

    @property
    def denied(self) -> str:
        """Which rights are missing, in words; "" where none is."""
        return "; ".join(self._state.denied) if self._state is not None else ""

    def noted(self, status: str) -> str:
        """That text of readiness, and what else an operator should know."""
        narrow = self._state.narrow if self._state is not None else ()
        return "; ".join(said for said in (status, *narrow, self._refused) if said)

    async def _until_due(self) -> None:
        """Until it is time, or somebody hurries."""
        is_well = self._state is not None and not self._state.denied and not self._refused
        due = asyncio.create_task(self._clock.sleep(LOOK_S if is_well else MENDING_S))
        hurried = asyncio.create_task(self._hurried.wait())
        try:
            await asyncio.wait({due, hurried}, return_when=asyncio.FIRST_COMPLETED)
            if not due.done():
                await self._clock.sleep(HURRY_S)
        finally:
            due.cancel()
            hurried.cancel()
        self._hurried.clear()


def _tell(what: str, before: Sequence[str], now: Sequence[str]) -> None:
    """Once for each that is new, and for each that is over."""
    for sentence in now:
        if sentence not in before:
            log.error(what, reason=sentence)
    for sentence in before:
        if sentence not in now:
            log.info("mended", reason=sentence)
