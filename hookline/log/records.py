"""What lies in a topic: topics, places and raw records, before any decoding."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Self

__all__ = [
    "LOGS",
    "MAX_RECORD_BYTES",
    "PIPELINES",
    "QUARANTINE",
    "DamagedBatch",
    "Draft",
    "Place",
    "Positions",
    "RawRecord",
    "Topic",
    "damaged",
    "logs_of",
]


class Topic(StrEnum):
    """The seven topics of design section 2, without the prefix (`hookline.`) that a cluster adds."""

    PUSHES = "pushes"
    CALLBACKS = "callbacks"
    COMMANDS = "commands"
    DELIVERIES = "deliveries"
    PIPELINES = "pipelines"
    SNAPSHOTS = "snapshots"
    QUARANTINE = "quarantine"


LOGS = (Topic.PUSHES, Topic.CALLBACKS, Topic.COMMANDS, Topic.DELIVERIES)
"""The four logs that chains are folded from, co-partitioned."""


MAX_RECORD_BYTES = 4 * 1024 * 1024
"""The largest record, as it is sent: topics and producers are set to it alike (design section 2)."""


class Place(NamedTuple):
    """A partition of a topic."""

    topic: Topic
    partition: int


PIPELINES, QUARANTINE = Place(Topic.PIPELINES, 0), Place(Topic.QUARANTINE, 0)
"""The topics that have one partition."""


def logs_of(partition: int) -> list[Place]:
    """That partition of the four logs."""
    return [Place(topic, partition) for topic in LOGS]


class Positions(NamedTuple):
    """Next offsets of one partition in the four logs."""

    pushes: int = 0
    callbacks: int = 0
    commands: int = 0
    deliveries: int = 0

    @classmethod
    def among(cls, offsets: Mapping[Place, int], partition: int) -> Self:
        """Those of one partition, out of offsets that have all four of it."""
        return cls(*(offsets[place] for place in logs_of(partition)))

    def of(self, topic: Topic) -> int:
        return self[LOGS.index(topic)]

    def reached(self, ends: "Positions") -> bool:
        """At or past those ends in each log. Past one is where the log has grown since that end was taken, and nothing else:
        whoever takes ends asks `beyond` first."""
        return all(mine >= end for mine, end in zip(self, ends, strict=True))

    def behind(self, ends: "Positions") -> int:
        """Offsets from here to those ends; a log that has been read past its own counts none."""
        return sum(max(0, end - mine) for mine, end in zip(self, ends, strict=True))

    def beyond(self, ends: "Positions") -> Topic | None:
        """A log that ends below what was read of it. ends: taken after these positions were reached.

        Then it lost records; or a leader answered that was deposed and does not know it.
        """
        return next((t for t, mine, end in zip(LOGS, self, ends, strict=True) if mine > end), None)


@dataclass(frozen=True, slots=True)
class RawRecord:
    """One record as Kafka has it. `timestamp`: Unix ms, the broker's or producer's."""

    place: Place
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, bytes]

    @property
    def next_offset(self) -> int:
        """Where reading goes on after it."""
        return self.offset + 1


@dataclass(frozen=True, slots=True)
class DamagedBatch(RawRecord):
    """Offsets of a place that no broker gives any more: it stands in their place, and is decoded by nobody (rule 7).

    Kafka checks and stores records by the batch, so a byte that a disk changed takes a whole batch with it.
    offset: the first that cannot be read, of those that were asked for; until: the one after the last; why: in words.
    """

    until: int
    why: str

    @property
    def next_offset(self) -> int:
        return self.until

    @property
    def said(self) -> str:
        """What is wrong, and what to do about it."""
        spot = f"{self.place.topic}[{self.place.partition}]@{self.offset}"
        last = f" to {self.until - 1}" if self.until > self.offset + 1 else ""
        return (
            f"the batch of offsets {self.offset}{last} is damaged: {self.why}. Let another broker lead that has it intact; or"
            f" let every reader pass over it: hookline log skip {spot}"
        )


def damaged(place: Place, offset: int, until: int, why: str) -> DamagedBatch:
    """One that says nothing but where it is."""
    return DamagedBatch(place, offset, 0, None, None, {}, until, why)


@dataclass(frozen=True, slots=True)
class Draft:
    """A record to append. The partition is always said: nobody's default partitioner decides."""

    place: Place
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, bytes] = field(default_factory=dict)
