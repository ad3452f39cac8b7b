"""What passes between the projection, which has no database, and its SQL: rows of a batch, where a partition stands, what was set aside."""

from dataclasses import dataclass, field
from typing import NamedTuple

from hookline.log.records import Positions
from services.console.readmodel.entering import Row

__all__ = ["Rows", "Saved", "SetAside"]


@dataclass
class Rows:
    """What a batch writes: new rows, and by chain id the columns that change. Values as the records have them, before they
    enter (`services.console.readmodel.entering`)."""

    pushes: list[Row] = field(default_factory=list)
    chains: dict[str, Row] = field(default_factory=dict)
    changes: dict[str, Row] = field(default_factory=dict)
    events: list[Row] = field(default_factory=list)


class Saved(NamedTuple):
    """One partition as the database has it. `windows`: push_id to the end of its window, `clock`: Unix ms.

    `windows_from`: the offset in `pushes` from which windows count.
    """

    partition: int
    positions: Positions
    fence: int | None
    clock: int
    windows: dict[str, int]
    windows_from: int = 0


class SetAside(NamedTuple):
    """A record that the database did not take, and why. Of a push also its window for repeats, which counts all the same
    (`push_id`: as UTF-8)."""

    partition: int
    topic: str
    offset: int
    reason: str
    push_id: bytes | None = None
    until: int | None = None

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]@{self.offset}: {self.reason}"
