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
    "Draft",
    "Place",
    "Positions",
    "RawRecord",
    "Topic",
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
        """At or past those ends in each log."""
        return all(mine >= end for mine, end in zip(self, ends, strict=True))


@dataclass(frozen=True, slots=True)
class RawRecord:
    """One record as Kafka has it. `timestamp`: Unix ms, the broker's or producer's."""

    place: Place
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Draft:
    """A record to append. The partition is always said: nobody's default partitioner decides."""

    place: Place
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, bytes] = field(default_factory=dict)
