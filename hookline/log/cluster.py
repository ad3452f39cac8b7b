"""What Hookline needs of Kafka, as interfaces: `hookline.kafka.kafka_cluster` is the real thing, `hookline.testing.memory` its twin for tests.

Both are held to the same contract tests (`tests/contract/`). A cluster adds the topic prefix; nobody else knows it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from hookline.log.records import Draft, Place, RawRecord, Topic

__all__ = ["Ack", "Cluster", "Commit", "Consumer", "Group", "GroupListener", "Offsets", "PlaceReader", "Producer"]


class Ack(NamedTuple):
    """Where a record lies. `stamped_at`: when its broker appended it, Unix ms by the broker's clock; None where the topic
    keeps the producer's time (`message.timestamp.type` CreateTime): then nobody says."""

    offset: int
    stamped_at: int | None


class Commit(NamedTuple):
    """What a group committed for one place: the next offset and free text."""

    offset: int
    metadata: str


class Producer(Protocol):
    """Appends with acks=all, idempotent. Once it is unknown what became of a record it is permanently broken: close it and
    make another. A refusal breaks nothing: whatever else is under way, to that place too, goes on and keeps its order."""

    @property
    def broken(self) -> bool:
        """True once an append timed out or had an answer that says nothing; every later append fails at once."""

    async def send(self, draft: Draft) -> Ack:
        """Append and return once all in-sync replicas have it; appends to one place keep their order.

        Raises RecordRefused where Kafka said that it does not take the record: it is not in the log.
        Raises AppendFailed (unknown: it may be in the log or still land later) on an error or after `append_timeout_s`.
        """

    async def append(self, draft: Draft) -> int:
        """As `send`; the offset."""

    async def close(self) -> None:
        """Give up what is not acked, at once; never raises, never waits for a broker that is away."""


class PlaceReader(Protocol):
    """Reads the places that are assigned to it, from offsets that it is told.

    `seek`, `pause` and `resume` of a place that is not assigned do nothing: the group may just have taken it away.
    """

    def seek(self, place: Place, offset: int) -> None:
        """Read this place from that offset on; what was fetched of it is dropped."""

    def pause(self, place: Place) -> None: ...

    def resume(self, place: Place) -> None: ...

    async def poll(self, timeout_s: float) -> Mapping[Place, Sequence[RawRecord]]:
        """Records of assigned places that are not paused, in order by place; empty after `timeout_s` without any.

        Lets others run before it returns, whatever there is and however short the time.
        It skips nothing: offsets that cannot be read come as a DamagedBatch, and reading goes on behind it.
        Raises LogUnavailable when it cannot go on, and Refused where we may not read. OffsetOutOfRange is the error of one
        place, where there is nothing at its position, or (LogTruncated) not the log any more that was read so far: it comes
        before anything is delivered of others, and these go on with the next poll; that place is read no further until it is
        sought, or assigned.
        """

    async def close(self) -> None: ...


class Consumer(PlaceReader, Protocol):
    """A reader of exactly the places that its user assigns."""

    def assign(self, positions: Mapping[Place, int]) -> None:
        """Read exactly these places, each from that offset (replaces what was assigned)."""

    def hurry(self) -> None:
        """Somebody waits for what comes next: gather less, until something comes."""

    def in_doubt(self, place: Place) -> bool:
        """May that place have lost what was read of it? Its broker was away, or another leads it, and nothing came since."""


class GroupListener(Protocol):
    """Told of rebalances, from within `poll`. Eager protocol: everything is revoked, then what is ours is assigned."""

    def revoked(self) -> None:
        """Begin nothing more with any partition."""

    async def quiesced(self) -> None:
        """Return when nothing that was begun is under way any more, in Kafka or at a receiver.

        After `revoked` the group waits for it, up to a limit, before it gives our partitions to others; commits still
        count meanwhile.
        """

    def assigned(self, partitions: frozenset[int]) -> None: ...


class Group(PlaceReader, Protocol):
    """A member of a consumer group: a reader whose places come from the group, over the four logs, range-assigned: partition p of all four is one member's.

    Newly assigned places are paused until `seek` and `resume`: nothing is read from a committed offset by itself.
    """

    async def commit(self, commits: Mapping[Place, Commit]) -> None:
        """One request. Raises CommitRefused when the group has gone on or gave no answer.

        After CommitRefused this member must `leave` (design section 4, rule 3): a late commit is then of an old generation.
        """

    async def leave(self) -> None:
        """Leave the group and join anew, in a new generation; the listener is told."""


class Offsets(Protocol):
    """First offsets, end offsets and commits, asked on connections of their own (a long fetch holds up nothing here)."""

    async def starts(self, places: Iterable[Place]) -> dict[Place, int]:
        """First offset of each place. Raises LogUnavailable."""

    async def ends(self, places: Iterable[Place]) -> dict[Place, int]:
        """End (next offset to be written) of each place, as it stood at some moment after this call began.

        Or before: a leader that was deposed while it stood still answers with its old end, until it hears of the new one. So
        nothing that cannot be taken back may rest on an end (docs/design.md section 3, "End offsets"). Raises LogUnavailable.
        """

    async def committed(self, group: str, places: Iterable[Place]) -> dict[Place, Commit]:
        """What that group committed; places without a commit are absent. Raises LogUnavailable."""

    async def delete_below(self, place: Place, offset: int) -> None:
        """Delete the records of that place below that offset (DeleteRecords). Raises LogUnavailable."""

    async def close(self) -> None: ...


class Cluster(Protocol):
    """Makes the above (group names get the topic prefix, too); each is started when it is returned, and raises LogUnavailable when Kafka does not answer."""

    async def producer(self) -> Producer: ...

    async def consumer(self, gather_ms: int = 0) -> Consumer:
        """gather_ms: how long after what it has read it waits for more, so that a log is read in fewer, larger pieces."""

    async def group(self, group: str, listener: GroupListener) -> Group: ...

    async def offsets(self) -> Offsets: ...

    async def partitions(self, topic: Topic) -> int:
        """Number of partitions. Raises TopicsUnfit when there is no such topic, LogUnavailable when Kafka does not answer."""
