"""Writes a log as a well-behaved dispatcher would, for an audit; any field can be said otherwise."""

from typing import Any

from hookline.chain.events import Event
from hookline.log.records import Place, RawRecord, Topic
from hookline.testing.manual_clock import ManualClock
from tests.kit.events import START, plan, push
from tests.kit.log_writer import OnePartition
from tests.unit.audit.sources import TAKEN_AT, Records

SECOND = 1_000


class Script(OnePartition):
    """One partition, the only one of its log, with one worker's Fence."""

    def __init__(self, now: int = START) -> None:
        super().__init__(clock=ManualClock(now))
        self.records = Records({}, 1)
        self._names = 0
        self.fence()

    def write(self, event: Event, partition: int, *, fence: int | None = None, event_id: str | None = None) -> int:
        return self.records.append(event, fence, partition)

    def end_of(self, place: Place) -> int:
        records = self.records.of(place.topic)
        return records[-1].offset + 1 if records else 0

    def wait(self, seconds: float) -> "Script":
        self.clock.advance(seconds)
        return self

    def chain_of(self, n: int) -> str:
        """The id of the n-th chain."""
        return list(self.plans)[n]

    def end(self, topic: Topic) -> int:
        return self.end_of(Place(topic, 0))

    def push(self, steps: int = 1, *, name: str = "", **of_plan: Any) -> str:
        """The chain's id. `name`: pushes of one name are one push."""
        self._names += not name
        (chain,) = self.start(push(plan(steps, **of_plan), name=name or f"p{self._names}", received_at=self.now))
        return str(chain)

    def garbage(self, topic: Topic, ce_type: bytes = b"hookline.Broken") -> int:
        """A record that nobody can read."""
        records, offset = self.records.of(topic), self.end(topic)
        records.append(RawRecord(Place(topic, 0), offset, TAKEN_AT, None, b"\xff", {"ce_type": ce_type}))
        return offset
