"""Where an audit reads from: a cluster or a bundle, one partition after the other, each log by itself and in its order."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol
from uuid import UUID

from hookline.log.cluster import Commit
from hookline.log.records import LOGS, Positions, RawRecord, Topic

__all__ = ["Extent", "Origin", "PartitionSource", "Source", "Span"]


class Span(NamedTuple):
    """Offsets of one log that are read: from `start` up to, not with, `end`."""

    start: int
    end: int

    def __len__(self) -> int:
        return max(0, self.end - self.start)


@dataclass(frozen=True)
class Extent:
    """What is read of one partition. `snapshots`: from the snapshot that the commit names on, empty without a commit.

    `commits`: what the dispatcher's group committed, by log; empty where it did not.
    """

    logs: Mapping[Topic, Span]
    snapshots: Span
    commits: Mapping[Topic, Commit]

    @property
    def starts(self) -> Positions:
        return Positions(*(self.logs[topic].start for topic in LOGS))

    @property
    def ends(self) -> Positions:
        return Positions(*(self.logs[topic].end for topic in LOGS))

    def span(self, topic: Topic) -> Span:
        return self.snapshots if topic is Topic.SNAPSHOTS else self.logs[topic]

    def __len__(self) -> int:
        """Records of the four logs."""
        return sum(map(len, self.logs.values()))


@dataclass(frozen=True)
class Origin:
    """Which log this is, and how far it goes. `taken_at` (Unix ms): when its ends were asked for. `extents`: by partition.

    Ends are taken in an order in which whatever a record rests on lies below them, too: commits, then `deliveries`,
    `callbacks`, `commands`, `pushes`. `log_id` null: `pipelines` has none.
    """

    log_id: UUID | None
    prefix: str
    taken_at: int
    extents: tuple[Extent, ...]

    @property
    def partitions(self) -> int:
        return len(self.extents)

    def __len__(self) -> int:
        """Records of the four logs, all partitions."""
        return sum(map(len, self.extents))


class PartitionSource(Protocol):
    """One partition, from its first offsets on."""

    @property
    def number(self) -> int: ...

    @property
    def extent(self) -> Extent: ...

    async def more(self, topic: Topic) -> Sequence[RawRecord]:
        """The next records of that log (or of `snapshots`), in their order, a chunk of bounded size; empty at its end.

        Raises LogUnavailable, BundleBroken.
        """


class Source(Protocol):
    """What an audit reads, once, from its beginning."""

    @property
    def origin(self) -> Origin: ...

    @property
    def pipelines(self) -> Sequence[RawRecord]:
        """All of `pipelines`, as it stood."""

    def partitions(self, only: Collection[int] | None = None) -> AsyncIterator[PartitionSource]:
        """Each partition (or only those), by number; done with before the next is asked for.

        Raises LogUnavailable, BundleBroken.
        """

    async def close(self) -> None: ...
