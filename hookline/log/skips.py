"""Records that an operator lets every reader pass over, because none can read or fold them (`hookline log skip`).

A record that cannot be decoded, or that the fold cannot take (`hookline.log.folding`), stops its partition (design section
4, rule 7). To go on, a reader looks whether a SkipRequested for it stands in `commands` of that partition: anywhere in it,
not only below the reader's own position.

That keeps the fold independent of interleaving (I5), and of when anyone looks:
* Only a record that cannot be decoded or folded is ever passed over, so no reader has folded it, and none folds it later.
* Before its SkipRequested is found, no reader gets past it; after that, all get past it in the same way: as if it were not
  there. So whatever a reader has handed out is a part of what every reader hands out in the end.
* The SkipRequested itself changes no chain. It is never waited for as a cause, nor does it wait for one.
* A reader that starts elsewhere, from a snapshot that had read further in `commands`, finds it all the same.

Two things follow. A record that a newer version can read must not be skipped: `hookline log skip` refuses it, since that
version would fold it. And a Fence is not passed over: which decisions count depends on it.
"""

from typing import NamedTuple

from hookline.chain.events import SkipRequested
from hookline.errors import Undecodable
from hookline.log.cluster import Cluster
from hookline.log.codec import decode
from hookline.log.records import LOGS, Place, RawRecord, Topic
from hookline.log.scan import scan

__all__ = ["LOOK_S", "Skip", "find_skip", "is_fence", "skip_of"]

LOOK_S = 5.0
"""Seconds between two looks of a reader that is stopped."""

SKIP_REQUESTED = b"hookline.SkipRequested."
FENCE = b"hookline.Fence."


class Skip(NamedTuple):
    """A record of the same partition to pass over."""

    topic: Topic
    offset: int


def skip_of(raw: RawRecord) -> Skip | None:
    """What that record of `commands` lets readers pass over; None for any other, and for one that cannot be read."""
    event = _requested(raw)
    return None if event is None else Skip(Topic(event.topic), event.offset)


def is_fence(raw: RawRecord) -> bool:
    """Of any version: it must not be passed over."""
    return raw.place.topic is Topic.DELIVERIES and raw.headers.get("ce_type", b"").startswith(FENCE)


async def find_skip(cluster: Cluster, stopped: Undecodable) -> SkipRequested | None:
    """Who lets readers pass over the record that one has stopped at. Reads all of `commands` of that partition.

    Raises LogUnavailable.
    """
    if stopped.topic not in LOGS:
        return None
    wanted = Skip(Topic(stopped.topic), stopped.offset)
    async for raw in scan(cluster, Place(Topic.COMMANDS, stopped.partition)):
        if (event := _requested(raw)) is not None and Skip(Topic(event.topic), event.offset) == wanted:
            return event
    return None


def _requested(raw: RawRecord) -> SkipRequested | None:
    if not raw.headers.get("ce_type", b"").startswith(SKIP_REQUESTED):
        return None
    try:
        event = decode(raw).event
    except Undecodable:
        return None
    return event if isinstance(event, SkipRequested) else None
