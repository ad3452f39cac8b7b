"""Judges when a record says that it was (I14): by the brokers' clock, and by its writer's.

Kafka stamps each record as it is appended, and the writer says in it when it wrote. Neither clock is exact: brokers differ,
a service may be wrong by hours and still be heeded. So compared is only what no wrong clock explains: one log's stamps with
each other, a worker's times with each other, an irrevocable decision with its own stamp.
"""

from collections.abc import Iterator

from hookline.audit.findings import BACK_MS, Invariant, Wrong
from hookline.audit.history import Facts
from hookline.audit.walk import decision_of
from hookline.chain.events import (
    ChainCompleted,
    ChainHalted,
    Decision,
    Fence,
    HookAttemptFailed,
    HookDelivered,
    StepClosing,
    written_at,
)
from hookline.log.codec import Record
from hookline.log.reader import Read
from hookline.log.records import Topic
from hookline.times import parse_rfc3339

__all__ = ["WRONG_MS", "MomentsJudge", "judge_order"]

WRONG_MS = 600_000
"""How far two looks at one clock may lie apart for one record: it was held up, or the clock was put right meanwhile."""


class MomentsJudge:
    """One partition's: `judge` each read before the history takes it. taken_at: Unix ms, when the logs' ends were asked for."""

    def __init__(self, taken_at: int) -> None:
        self._taken_at = taken_at
        self._is_after_all: bool | None = None
        """Is that after the first record? If not, our own clock is the wrong one."""
        self._latest: dict[Topic, int] = {}
        self._by_worker: dict[int, tuple[int, int]] = {}
        """Of each Fence, the latest time that its worker said, and the offset where."""

    def judge(self, read: Read) -> Iterator[Wrong]:
        record = read.record
        decision = decision_of(record)
        if not self._is_in_order(record):
            yield from self._judge_stamp(record)
        if not _is_ce_time(record, written_at(record.event) if decision is None else decision.decided_at):
            said = record.raw.headers.get("ce_time", b"").decode(errors="replace")[:40]
            yield Wrong(
                Invariant.I14, f"its ce_time {said!r} is neither when its event says it was, nor when it was appended"
            )
        if isinstance(decision, StepClosing | ChainHalted | ChainCompleted):
            if (ahead := decision.decided_at - record.timestamp) > WRONG_MS:
                yield Wrong(Invariant.I14, f"decided {_seconds(ahead)} after it was appended, by Kafka's clock")
        elif isinstance(decision, HookDelivered | HookAttemptFailed):
            yield from _judge_attempt(decision)
        if isinstance(record.event, Fence):
            self._by_worker[record.offset] = record.event.fenced_at, record.offset
        elif decision is not None and read.valid and record.fence is not None:
            yield from self._judge_worker(record, decision, record.fence)

    def _is_in_order(self, record: Record) -> bool:
        """Nearly always: then there is no more to it."""
        at, latest = record.timestamp, self._latest.get(record.topic)
        if latest is None or at < latest or at > self._taken_at:
            return False
        self._latest[record.topic] = at
        return True

    def _judge_stamp(self, record: Record) -> Iterator[Wrong]:
        at, latest = record.timestamp, self._latest.get(record.topic)
        if latest is not None and at < latest - BACK_MS:
            yield Wrong(
                Invariant.I14, f"Kafka's time of it is {_seconds(latest - at)} before that of a record below it"
            )
            latest = at  # said once, and not of all that follows one that is ahead
        self._latest[record.topic] = at if latest is None else max(at, latest)
        is_later = at > self._taken_at + WRONG_MS
        if self._is_after_all is None:
            self._is_after_all = not is_later
        if is_later and self._is_after_all:
            yield Wrong(Invariant.I14, f"Kafka's time of it is {_seconds(at - self._taken_at)} after it was read")

    def _judge_worker(self, record: Record, event: Decision, token: int) -> Iterator[Wrong]:
        """A worker is one process with one clock, and decides in the order of its log."""
        latest, offset = self._by_worker.get(token, (event.decided_at, record.offset))
        if event.decided_at < latest - WRONG_MS:
            yield Wrong(
                Invariant.I14,
                f"decided {_seconds(latest - event.decided_at)} before deliveries@{offset}, by the same worker",
            )
        if event.decided_at >= latest or event.decided_at < latest - WRONG_MS:
            self._by_worker[token] = event.decided_at, record.offset


def judge_order(record: Record, facts: Facts) -> Iterator[Wrong]:
    """Was it appended after what it rests on, by Kafka's clock? facts: of its chain."""
    rests_on = [("its cause", facts.caused_at)]
    if (decision := decision_of(record)) is not None:
        step = decision.step if isinstance(decision, StepClosing | ChainHalted | ChainCompleted) else decision.step - 1
        verdict = facts.verdicts.get(step)
        if verdict is not None and verdict.offset < decision.read_to.callbacks:
            rests_on.append((f"the verdict of step {step} that it had read", verdict.stamp))
    for what, stamp in rests_on:
        if record.timestamp < stamp - BACK_MS:
            yield Wrong(
                Invariant.I14, f"Kafka's time of it is {_seconds(stamp - record.timestamp)} before that of {what}"
            )


def _is_ce_time(record: Record, own: int) -> bool:
    """Is its ce_time near when its event says it was (`own`), or near its stamp?"""
    try:
        at = parse_rfc3339(record.raw.headers["ce_time"].decode())
    except (KeyError, ValueError, OverflowError):
        return False
    return abs(at - own) <= WRONG_MS or abs(at - record.timestamp) <= WRONG_MS


def _judge_attempt(event: HookDelivered | HookAttemptFailed) -> Iterator[Wrong]:
    """Of one clock, on one look each: it began, it took so long, it was decided on."""
    apart = event.decided_at - event.started_at - event.took_ms
    if abs(apart) > WRONG_MS:
        yield Wrong(
            Invariant.I14,
            f"it says decided at {event.decided_at}, and an attempt from {event.started_at} on that took {event.took_ms} ms",
        )


def _seconds(ms: int) -> str:
    return f"{ms / 1000:.1f} s"
