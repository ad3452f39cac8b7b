"""Records that an operator lets every reader pass over, because none can read or fold them (`hookline log skip`).

A record that cannot be decoded, or that the fold cannot take (`hookline.log.folding`), stops its partition (design section
4, rule 7). To go on, a reader looks whether a SkipRequested for it stands in `commands` of that partition: anywhere in it,
not only below the reader's own position.

That keeps the fold independent of interleaving (I5), and of when anyone looks:
* Only a record that cannot be decoded or folded is ever passed over, so no reader has folded it, and none folds it later.
* Before its SkipRequested is found, no reader gets past it; after that, all get past it in the same way: as if it were not
  there. So whatever a reader has delivered is part of what every reader delivers in the end.
* The SkipRequested itself changes no chain. It is never waited for as a cause, nor does it wait for one.
* A reader that starts elsewhere, from a snapshot that had read further in `commands`, finds it all the same.

A damaged batch is passed over whole, by the same rule: its skip covers all offsets from `offset` up to, not with, `until`, and
readers pass over whatever they cannot read there. Nobody can tell what such a batch held. If it was a Fence, the first
decision with its token shows it (`PartitionReader`).

Two things follow. A record that a newer version can read must not be skipped: `hookline log skip` refuses it, since that
version would fold it. And a Fence that can be told for one is not passed over: which decisions count depends on it.
"""

from collections.abc import Iterable
from typing import NamedTuple

from hookline.chain.events import SkipRequested
from hookline.errors import Undecodable
from hookline.log.cluster import Cluster
from hookline.log.codec import decode
from hookline.log.records import LOGS, Place, RawRecord, Topic
from hookline.log.scan import scan

__all__ = ["LOOK_S", "Skip", "covering", "find_skip", "is_fence", "skip_of", "skip_to"]

LOOK_S = 5.0
"""Seconds between two looks of a reader that is stopped."""

SKIP_REQUESTED = b"hookline.SkipRequested."
FENCE = b"hookline.Fence."


class Skip(NamedTuple):
    """A record of the same partition to pass over; `until`, if above the one after it: and all below that that cannot be read."""

    topic: Topic
    offset: int
    until: int = 0

    @property
    def next(self) -> int:
        """The offset after it."""
        return max(self.until, self.offset + 1)

    def covers(self, topic: str, offset: int) -> bool:
        return self.topic == topic and self.offset <= offset < self.next


def covering(skips: Iterable[Skip], topic: str, offset: int) -> Skip | None:
    """The one of these that lets readers pass over what lies there."""
    return next((skip for skip in skips if skip.covers(topic, offset)), None)


def skip_of(raw: RawRecord) -> Skip | None:
    """What that record of `commands` lets readers pass over; None for any other, and for one that cannot be read."""
    event = _requested(raw)
    return None if event is None else skip_to(event)


def skip_to(event: SkipRequested) -> Skip:
    return Skip(Topic(event.topic), event.offset, event.until or 0)


def is_fence(raw: RawRecord) -> bool:
    """Of any version: it must not be passed over."""
    return raw.place.topic is Topic.DELIVERIES and raw.headers.get("ce_type", b"").startswith(FENCE)


async def find_skip(cluster: Cluster, stopped: Undecodable) -> SkipRequested | None:
    """Who lets readers pass over the record that one has stopped at. Reads all of `commands` of that partition.

    Raises LogUnavailable.
    """
    if stopped.topic not in LOGS:
        return None
    async for raw in scan(cluster, Place(Topic.COMMANDS, stopped.partition)):
        if (event := _requested(raw)) is not None and skip_to(event).covers(stopped.topic, stopped.offset):
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
