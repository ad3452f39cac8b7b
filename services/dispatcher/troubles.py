"""What is wrong with single chains and records of a partition, while all others of it go on: named in the log, in readiness
(and so by `hookline doctor`), and counted.

A chain is set aside where something was raised while it was decided or POSTed, and not even a failed attempt could be
written of it. It is looked at again when anything of it is read, and after a restore; a cancel ends it.
"""

from collections import deque
from collections.abc import Iterator

import structlog

from hookline.chain.fold import Misfit
from hookline.errors import HooklineError
from hookline.log.codec import topic_of
from services.dispatcher import metrics

__all__ = ["Troubles"]

log = structlog.get_logger()

SHOWN = 10
"""Of each kind that are named at once; the rest is counted."""


class Troubles:
    """Of one incarnation of one partition."""

    def __init__(self, partition: int) -> None:
        self._partition = partition
        self._aside: dict[str, str] = {}
        """By chain id, why."""
        self._misfits: deque[str] = deque(maxlen=SHOWN)

    def is_aside(self, chain_id: str) -> bool:
        return chain_id in self._aside

    def set_aside(self, chain_id: str, error: Exception) -> None:
        """That chain, for that reason."""
        is_ours = isinstance(error, HooklineError)
        why = str(error) if is_ours else f"{type(error).__name__}, a bug in this program"
        self._aside[chain_id] = why
        self._count()
        log.error(
            "chain set aside",
            partition=self._partition,
            chain=chain_id,
            reason=why,
            exc_info=None if is_ours else error,
        )

    def goes_on(self, chain_id: str) -> None:
        """That chain, if it was set aside; or it is over."""
        if self._aside.pop(chain_id, None) is not None:
            self._count()
            log.info("chain goes on", partition=self._partition, chain=chain_id)

    def misfit(self, found: Misfit) -> None:
        """A record that does not fit its chain: void for every reader."""
        topic, event = topic_of(type(found.event)), found.event
        metrics.MISFITS.labels(topic.value).inc()
        place = f"{topic}[{self._partition}]@{found.offset}"
        self._misfits.append(f"{place} is void: {found.said}")
        log.error("record does not fit its chain", record=place, type=type(event).__name__, reason=found.said)

    def words(self) -> Iterator[str]:
        """One line each."""
        for chain_id, why in list(self._aside.items())[:SHOWN]:
            yield f"chain {chain_id} is set aside: {why}"
        if len(self._aside) > SHOWN:
            yield f"partition {self._partition}: {len(self._aside) - SHOWN} more chains are set aside"
        yield from self._misfits

    def close(self) -> None:
        """The partition is another's, or is restored anew."""
        self._aside.clear()
        self._count()

    def _count(self) -> None:
        metrics.SET_ASIDE.labels(self._partition).set(len(self._aside))
