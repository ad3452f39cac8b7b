"""A partition's stop at a record that cannot be read or folded (rule 7): until an operator has skipped that record."""

from collections.abc import Callable

import structlog

from hookline.chain.events import SkipRequested
from hookline.clock import Clock
from hookline.errors import LogUnavailable, Undecodable
from hookline.log.cluster import Cluster
from hookline.log.skips import LOOK_S, Skip, find_skip, skip_to
from services.dispatcher import metrics

__all__ = ["until_skipped"]

log = structlog.get_logger()


async def until_skipped(stopped: Undecodable, cluster: Cluster, clock: Clock, on_stop: Callable[[], None]) -> Skip:
    """The skip of that record. on_stop: called where it was not skipped long ago."""
    if (found := await _find(stopped, cluster)) is None:
        on_stop()
        log.error("partition stopped at a record that cannot be read", partition=stopped.partition, reason=str(stopped))
        metrics.STOPPED.inc()
        try:
            while found is None:
                await clock.sleep(LOOK_S)
                found = await _find(stopped, cluster)
        finally:
            metrics.STOPPED.dec()
    log.warning("record skipped", record=str(stopped), by=found.by, reason=found.reason)
    return skip_to(found)


async def _find(stopped: Undecodable, cluster: Cluster) -> SkipRequested | None:
    try:
        return await find_skip(cluster, stopped)
    except LogUnavailable:
        return None  # it is looked for again
