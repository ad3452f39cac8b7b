"""One partition's chains, folded as the log is read, with what a judge or a teller needs beyond the fold.

Memory is bounded by the open chains: an ended chain is kept until KEPT_ENDED later ones have ended, for what still comes
of a POST that was open or of a callback on its way, and is then forgotten.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from hookline.audit.walk import decision_of
from hookline.chain.events import (
    CallbackReceived,
    CancelRequested,
    ChainEvent,
    Decision,
    Fence,
    HookAttemptFailed,
    Payload,
    PushReceived,
    ReadTo,
    RedeliveryRequested,
)
from hookline.chain.fold import PartitionFold, Repeats
from hookline.chain.ids import is_uuid
from hookline.chain.state import Chain
from hookline.log.codec import Record
from hookline.log.reader import Read, cause_of
from hookline.log.records import Positions, Topic

__all__ = ["Facts", "PartitionHistory", "Stamped", "is_sound", "says_what_was_asked_for"]

KEPT_ENDED = 20_000
"""Ended chains in memory, per partition."""


class Stamped(NamedTuple):
    """Where a record lies, and Kafka's time of it (Unix ms)."""

    offset: int
    stamp: int


@dataclass(slots=True)
class Facts:
    """Of a chain, what the fold does not keep."""

    whole: bool
    """Is everything about it in the log? Not where the log begins later than the chain (retention): then it is not judged."""
    sure: bool
    """False for a push that may repeat one below the log's first offset."""
    cancelled_at: int | None = None
    """Offset in `commands` of the first CancelRequested."""
    read: dict[int, tuple[int, Positions]] = field(default_factory=dict)
    """By step, of its last failed attempt: the writer's token, and what it had read."""
    caused_at: int = 0
    """Kafka's time of its cause, Unix ms; as in the next."""
    verdicts: dict[int, Stamped] = field(default_factory=dict)
    """By step, its first verdict."""
    payload_hash: bytes = b""
    """Of its push's payload, where that is wanted."""


class PartitionHistory:
    """`take` each read, in the order of a Walk. forget: told of each chain as it leaves memory; `finish` forgets the rest."""

    def __init__(
        self,
        starts: Positions,
        *,
        keep_payload: bool = False,
        kept_ended: int = KEPT_ENDED,
        forget: Callable[[Chain, Facts], None] = lambda chain, facts: None,
        hash_payload: Callable[[Payload], bytes] = lambda payload: b"",
    ) -> None:
        self.fences: dict[int, str] = {}
        """Offset to owner, of every Fence read."""
        self.floor = Positions()
        """What had been read by the writers of decisions below the Fence in force: its own writer read at least as far."""
        self.facts: dict[str, Facts] = {}
        self.askers: set[int] = set()
        """Tokens of the workers that record what a Retry-After asked for."""
        self.repeats = Repeats()
        self._fold = PartitionFold(
            repeats=self.repeats, keep_ended=True, keep_payload=keep_payload, on_end=self._has_ended
        )
        self._starts = starts
        self._horizon = Positions() if starts == Positions() else None
        self._first_clock: int | None = None
        self.unsure: dict[str, int] = {}
        """push_id to the time (Unix ms) until which it is not known whether it has a window."""
        self._perhaps: set[int] = set()
        """Offsets of pushes that repeat others here, and may have started chains."""
        self._reached = Positions()
        self._ended: deque[str] = deque()
        self._kept_ended = kept_ended
        self._forget_chain = forget
        self._hash_payload = hash_payload
        self._forgotten = {Topic.PUSHES: -1, Topic.COMMANDS: -1}
        """The latest cause of a chain that was forgotten, by its log."""

    @property
    def chains(self) -> dict[str, Chain]:
        """Open ones, and those that ended lately."""
        return self._fold.chains

    def take(self, read: Read) -> tuple[str, ...]:
        """Fold it, if it is valid; the ids of the chains that it started, changed or ended."""
        event, offset = read.record.event, read.record.offset
        if (decision := decision_of(read.record)) is not None:
            self._note_decision(read, decision)
        elif isinstance(event, CallbackReceived):
            if (facts := self.facts.get(event.chain_id)) is not None:
                facts.verdicts.setdefault(event.step, Stamped(offset, read.record.timestamp))
        elif isinstance(event, PushReceived | RedeliveryRequested):
            return self._start(event, read.record)
        elif isinstance(event, Fence):
            self.fences[offset] = event.owner
            self.floor = self._reached
        elif isinstance(event, CancelRequested):
            facts = self.facts.get(event.chain_id)
            if facts is not None and facts.cancelled_at is None:
                facts.cancelled_at = offset
        return self._change(read.record) if read.valid else ()

    def is_forgotten(self, event: ChainEvent) -> bool:
        """May that event be about a chain that ended long before, or that began before the log does?"""
        topic, cause = cause_of(event) or (Topic.PUSHES, -1)
        if self._horizon is None or cause < self._horizon.of(topic):
            return True
        return cause <= self._forgotten[topic] or (topic is Topic.PUSHES and cause in self._perhaps)

    def finish(self) -> None:
        """The log is read: forget everything."""
        for chain_id in list(self.chains):
            self._forget(chain_id)

    def _note_decision(self, read: Read, event: Decision) -> None:
        """Void or not: what it says it had read was there when it was written."""
        read_to, reached, starts = event.read_to, self._reached, self._starts
        if (
            read_to.callbacks > reached.callbacks
            or read_to.pushes > reached.pushes
            or read_to.commands > reached.commands
        ):
            self._reached = Positions(*map(max, reached, _positions(read_to)))
        if not read.valid:
            return
        if (
            self._horizon is None
            and read_to.pushes >= starts.pushes
            and read_to.callbacks >= starts.callbacks
            and read_to.commands >= starts.commands
        ):
            self._set_horizon(_positions(read_to))
        if isinstance(event, HookAttemptFailed) and (facts := self.facts.get(event.chain_id)) is not None:
            facts.read[event.step] = (read.record.fence or 0, _positions(read_to))
            if says_what_was_asked_for(event):
                self.askers.add(read.record.fence or 0)

    def _change(self, record: Record) -> tuple[str, ...]:
        # What does not fit its chain changes none, and the judge finds it.
        changed = self._fold.fold(record.event, record.offset, record.timestamp)
        while len(self._ended) > self._kept_ended:
            self._forget(self._ended.popleft())
        return changed

    def _start(self, event: PushReceived | RedeliveryRequested, record: Record) -> tuple[str, ...]:
        if not is_sound(event):
            return ()  # no id can be made of it, and the judge finds it
        offset = record.offset
        started = self._fold.fold(event, offset, record.timestamp)
        sure = not isinstance(event, PushReceived) or self._is_sure(event)
        if not sure and not started:
            self._perhaps.add(offset)
        topic = Topic.PUSHES if isinstance(event, PushReceived) else Topic.COMMANDS
        for chain_id in started:
            whole = sure and self._horizon is not None and offset >= self._horizon.of(topic)
            facts = Facts(whole, sure, caused_at=record.timestamp, payload_hash=self._hash_payload(event.payload))
            self.facts.setdefault(chain_id, facts)
        return started

    def _is_sure(self, event: PushReceived) -> bool:
        """Is it known whether that push repeats one? Not where a window may have begun below the log's first offset, nor
        where it is not known of one of its series, less than a window before it, whether that began one."""
        if not self._starts.pushes:
            return True
        clock, window_ms = self.repeats.clock, event.dedupe_window_s * 1000
        if self._first_clock is None:
            self._first_clock = clock
        if clock >= max(self._first_clock + window_ms, self.unsure.get(event.push_id, 0)):
            return True
        self.unsure[event.push_id] = clock + window_ms
        return False

    def _set_horizon(self, read_to: Positions) -> None:
        """The first decision whose writer had read past the first record of every log: what began later is whole."""
        self._horizon = Positions(*map(max, self._starts, read_to))
        for chain_id, facts in self.facts.items():
            chain = self.chains[chain_id]
            facts.whole = facts.sure and chain.cause >= self._horizon.of(_cause_log(chain))

    def _has_ended(self, chain: Chain) -> None:
        self.chains[chain.id] = chain._replace(payload=b"")
        self._ended.append(chain.id)

    def _forget(self, chain_id: str) -> None:
        chain, facts = self.chains.pop(chain_id), self.facts.pop(chain_id)
        topic = _cause_log(chain)
        self._forgotten[topic] = max(self._forgotten[topic], chain.cause)
        self._forget_chain(chain, facts)


def is_sound(event: PushReceived | RedeliveryRequested) -> bool:
    """Can the ids of its chains be made, and read again?"""
    plans = event.plans if isinstance(event, PushReceived) else (event.plan,)
    return is_uuid(event.push_id) and all(plan.n >= 0 for plan in plans)


def says_what_was_asked_for(event: HookAttemptFailed) -> bool:
    """Does its writer record Retry-After? Dispatchers of earlier versions did not."""
    return "retry_after_s" in event.model_fields_set


def _cause_log(chain: Chain) -> Topic:
    """Run 0 comes from a push, a later run from a RedeliveryRequested."""
    return Topic.PUSHES if chain.id.endswith("-0") else Topic.COMMANDS


def _positions(read_to: ReadTo) -> Positions:
    """Of the three logs that decisions say; 0 for `deliveries`."""
    return Positions(read_to.pushes, read_to.callbacks, read_to.commands, 0)
