"""The log as all partitions of a dispatcher share it: clients, the group's answers to a commit, and who we are there."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

from hookline.log.cluster import Cluster, Offsets
from hookline.log.feed import PlaceFeed
from hookline.log.writer import Writer
from services.dispatcher.checkpoint import CommitRequest

__all__ = ["Transport"]


@dataclass(frozen=True)
class Transport:
    """Made anew with each session of the group."""

    cluster: Cluster
    offsets: Offsets
    writer: Writer
    feed: PlaceFeed
    log_id: UUID
    owner: str
    """Who we are, in Fences."""
    commit: CommitRequest
    leave: Callable[[], Awaitable[None]]
    """After a refused or unanswered commit: leave the group and join anew (rule 3)."""
    end: Callable[[Exception], None]
    """Ends the process: what a restore would not mend."""
    checkpoint_events: int
