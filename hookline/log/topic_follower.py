"""Keeps a topic read that is read whole and by itself: tried again while Kafka is away, read anew where it has lost records,
and stopped at a record that cannot be read until an operator has skipped that."""

from collections.abc import Callable
from typing import NoReturn, Protocol

import structlog

from hookline.clock import Clock
from hookline.errors import LogUnavailable, OffsetOutOfRange, Undecodable
from hookline.log.cluster import Cluster
from hookline.log.reader_status import RETRY_S, ReaderStatus, until_skipped

__all__ = ["TopicFollower", "WholeTopic"]

log = structlog.get_logger()

LATELY_S = 15.0
"""Above what a try to read a topic takes where Kafka does not answer."""


class WholeTopic(Protocol):
    """A table of settings (`hookline.log.table`), or what is remembered of pushes (`services.ingress.digests`)."""

    async def run(self) -> None:
        """Read until cancelled. Raises Undecodable, LogUnavailable, OffsetOutOfRange; run again, it goes on where it was."""

    def forget(self) -> None:
        """What was read is of a log that is gone: the next `run` begins as the first did."""


class TopicFollower:
    """`run` until cancelled; `trouble` and `stopped` tell meanwhile what is wrong."""

    def __init__(
        self,
        name: str,
        topic: WholeTopic,
        cluster: Cluster,
        clock: Clock,
        on_lost: Callable[[OffsetOutOfRange], None],
    ) -> None:
        """name: of what is read, in words, metrics and log. on_lost: forgets what was read, or raises where that cannot be."""
        self.status = ReaderStatus(name)
        self._topic = topic
        self._cluster = cluster
        self._clock = clock
        self._on_lost = on_lost
        self._trouble, self._trouble_at = "", 0.0
        """The last thing that kept it from being read, and when (monotonic seconds)."""

    @property
    def trouble(self) -> str:
        """Why it was not read lately, in words; "" where it was."""
        is_late = self._clock.monotonic() - self._trouble_at < LATELY_S
        return f"{self.status.reader} is not read: {self._trouble}" if self._trouble and is_late else ""

    @property
    def stopped(self) -> str:
        """At which record it stands, in words; "" where it does not."""
        return f"{self.status.reader} {self.status}" if self.status.halt is not None else ""

    async def run(self) -> NoReturn:
        while True:
            try:
                await self._topic.run()
            except LogUnavailable as error:
                self._note(str(error))
                await self._clock.sleep(RETRY_S)
            except OffsetOutOfRange as error:
                self._on_lost(error)
            except Undecodable as error:
                await until_skipped(self.status, error, self._cluster, self._clock)

    def _note(self, reason: str) -> None:
        """Said once as long as it is the same."""
        before, self._trouble = self._trouble if self.trouble else "", reason
        self._trouble_at = self._clock.monotonic()
        if before != reason:
            log.warning("a topic is read again", topic=self.status.reader, reason=reason)
