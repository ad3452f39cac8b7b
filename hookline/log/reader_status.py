"""Where a reader stands in a partition, said in one way by every reader: in words, in the log, and in hookline_reader_* metrics."""

from collections.abc import Iterable
from enum import IntEnum

import structlog
from prometheus_client import Gauge

from hookline.chain.events import SkipRequested
from hookline.clock import Clock
from hookline.errors import LogUnavailable, Undecodable
from hookline.log.causes import LostCause
from hookline.log.cluster import Cluster
from hookline.log.skips import LOOK_S, Skip, find_skip, skip_to

__all__ = [
    "READER_STATE",
    "READER_STOPPED",
    "READER_UNREAD",
    "RETRY_S",
    "ReaderStatus",
    "SkipLook",
    "State",
    "until_skipped",
]

log = structlog.get_logger()

READER_STATE = Gauge(
    "hookline_reader_state",
    "Where a reader stands: 0 restoring, 1 current, 2 stopped at a record, 3 at one whose cause is lost",
    ["reader", "partition"],
)
READER_STOPPED = Gauge(
    "hookline_reader_stopped_offset",
    "Offset of the record that stops a reader: it cannot be read, or its cause is lost; absent for all others",
    ["reader", "topic", "partition"],
)
READER_UNREAD = Gauge(
    "hookline_reader_unread_events",
    "Events of a partition's four logs that a reader has not read; NaN while Kafka does not say",
    ["reader", "partition"],
)


RETRY_S = 0.5
"""Seconds between two tries of whoever reads, while Kafka does not answer."""


class State(IntEnum):
    """As `hookline_reader_state` has it."""

    RESTORING = 0
    CURRENT = 1
    STOPPED = 2
    LOST = 3


class ReaderStatus:
    """One reader in one partition, or (partition None) in all that it reads at once.

    Restoring, until it is current; and meanwhile or later halted: at a record that cannot be read or folded (rule 7 of design
    section 4), or because a record waits for a cause that is lost. Each change is said once.
    """

    def __init__(self, reader: str, partition: int | None = None) -> None:
        """reader: the value of its metrics' label."""
        self.reader = reader
        self.partition = partition
        self.halt: Undecodable | LostCause | None = None
        """What it cannot get past."""
        self._is_current = False
        self._detail = "starting"
        self._gauge = READER_STATE.labels(reader, self._label)
        self._tell()

    @property
    def state(self) -> State:
        match self.halt:
            case Undecodable():
                return State.STOPPED
            case LostCause():
                return State.LOST
            case None:
                return State.CURRENT if self._is_current else State.RESTORING

    @property
    def is_current(self) -> bool:
        """Was it at the logs' ends since it was restored? Halted or not: what it knows is true as far as it has read."""
        return self._is_current

    @property
    def stopped(self) -> Undecodable | None:
        """The record that it cannot read or fold."""
        return self.halt if isinstance(self.halt, Undecodable) else None

    def __str__(self) -> str:
        if self.halt is not None:
            return f"stopped: {self.halt}"
        return "current" if self._is_current else self._detail

    def restoring(self, detail: str) -> None:
        """It begins, or begins anew; detail: how far it is."""
        self._is_current, self._detail = False, detail
        self._halt_at(None)

    def current(self) -> None:
        self._is_current = True
        self._tell()

    def stop(self, error: Undecodable) -> None:
        """It goes no further in that partition, and only in that one."""
        if str(self.halt) == str(error):
            return
        self._halt_at(error)
        log.error(
            "partition stopped",
            reader=self.reader,
            topic=error.topic,
            partition=error.partition,
            offset=error.offset,
            reason=str(error),
        )

    def go_on(self, found: SkipRequested) -> Skip:
        """An operator has skipped the record that it stopped at: what to pass over."""
        log.warning("record skipped", reader=self.reader, record=str(self.halt), by=found.by, reason=found.reason)
        self._halt_at(None)
        return skip_to(found)

    def lack(self, lost: LostCause | None) -> bool:
        """A record waits for that cause, or none does any more; does that change anything? `LostCauses` has said which."""
        if self.stopped is not None or lost == self.halt:
            return False
        if lost is None:
            log.info("partition goes on", reader=self.reader, partition=self.partition)
        self._halt_at(lost)
        return True

    def close(self) -> None:
        """The partition is another's: no metric is left of it."""
        self._halt_at(None)
        for gauge in (READER_STATE, READER_UNREAD):
            gauge.remove(self.reader, self._label)

    @property
    def _label(self) -> str:
        return "all" if self.partition is None else str(self.partition)

    def _halt_at(self, halt: Undecodable | LostCause | None) -> None:
        if self.halt is not None:
            READER_STOPPED.remove(self.reader, *_place(self.halt)[:2])
        self.halt = halt
        if halt is not None:
            *labels, offset = _place(halt)
            READER_STOPPED.labels(self.reader, *labels).set(offset)
        self._tell()

    def _tell(self) -> None:
        self._gauge.set(self.state)


def _place(halt: Undecodable | LostCause) -> tuple[str, int, int]:
    """Topic, partition and offset of the record."""
    if isinstance(halt, LostCause):
        return halt.wait.topic, halt.partition, halt.wait.offset
    return halt.topic, halt.partition, halt.offset


class SkipLook:
    """Looks every LOOK_S whether an operator has skipped a record that a reader stopped at (`hookline log skip`)."""

    def __init__(self, cluster: Cluster, clock: Clock) -> None:
        self._cluster = cluster
        self._clock = clock
        self._next_at = 0.0

    def soon(self) -> None:
        """One has just stopped: its record may have been skipped long ago."""
        self._next_at = 0.0

    async def found(self, statuses: Iterable[ReaderStatus]) -> list[tuple[ReaderStatus, Skip]]:
        """Of those that stopped, the ones that go on now, and what they pass over. Raises LogUnavailable."""
        if self._clock.monotonic() < self._next_at:
            return []
        self._next_at = self._clock.monotonic() + LOOK_S
        stopped = [(status, status.stopped) for status in statuses]
        return [
            (status, status.go_on(found))
            for status, error in stopped
            if error is not None and (found := await find_skip(self._cluster, error)) is not None
        ]


async def until_skipped(status: ReaderStatus, error: Undecodable, cluster: Cluster, clock: Clock) -> Skip:
    """Stopped at that record until an operator has skipped it; not for a moment where that was long ago."""
    while (found := await _find(error, cluster)) is None:
        status.stop(error)
        await clock.sleep(LOOK_S)
    return status.go_on(found)


async def _find(error: Undecodable, cluster: Cluster) -> SkipRequested | None:
    try:
        return await find_skip(cluster, error)
    except LogUnavailable:
        return None  # it is looked for again
