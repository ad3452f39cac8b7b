"""What an audit finds: which invariant of design section 5 is broken, by which record, and how."""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from hookline.log.records import Topic

__all__ = ["BACK_MS", "LOST", "Finding", "Invariant", "Wrong"]


class Invariant(StrEnum):
    """By number; docs/audit.md says what of each can be seen in the logs alone."""

    I1 = "I1"
    I2 = "I2"
    I3 = "I3"
    I4 = "I4"
    I5 = "I5"
    I6 = "I6"
    I7 = "I7"
    I8 = "I8"
    I9 = "I9"
    I10 = "I10"
    I13 = "I13"
    I14 = "I14"


LOST: Mapping[Topic, Invariant] = {
    Topic.PUSHES: Invariant.I1,
    Topic.CALLBACKS: Invariant.I4,
    Topic.COMMANDS: Invariant.I7,
    Topic.DELIVERIES: Invariant.I7,
}
"""What is broken when a record of that log is gone: a push, a verdict, a cause, a POST's own record."""


BACK_MS = 60_000
"""How far a log's stamps may go back, and an effect's lie before its cause's: the clocks of two brokers differ."""


class Wrong(NamedTuple):
    """A finding before it is known where."""

    invariant: Invariant
    said: str


class Finding(NamedTuple):
    """`event`: its type, such as `ChainHalted`; "" and `chain_id` "" where it is about none."""

    invariant: Invariant
    topic: Topic
    partition: int
    offset: int
    event: str
    chain_id: str
    said: str

    def __str__(self) -> str:
        about = " ".join(filter(None, (self.event, self.chain_id)))
        return f"{self.invariant} {self.topic}[{self.partition}]@{self.offset} {about}: {self.said}"
