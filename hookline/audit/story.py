"""A partition's story, record by record: what each did, who wrote it, and on which records it rests."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from hookline.audit.cut import at_cut
from hookline.audit.history import Facts, PartitionHistory
from hookline.audit.walk import decision_of
from hookline.chain.events import (
    CancelRequested,
    ChainCompleted,
    ChainHalted,
    Decision,
    Fence,
    HookAttemptFailed,
    HookDelivered,
    PushReceived,
    RedeliveryRequested,
    SkipRequested,
    StepClosing,
    StepSealed,
)
from hookline.chain.ids import ChainId, partition_of
from hookline.chain.state import Chain
from hookline.log.codec import Record
from hookline.log.reader import Read
from hookline.log.records import Topic

__all__ = ["Entry", "Input", "Selection", "Story"]


class Input(NamedTuple):
    """A record of the same partition that an event rests on."""

    topic: Topic
    offset: int


class Entry(NamedTuple):
    """One record of one chain. `chain`: as it stands after it; None for a push that starts nothing, and for a SkipRequested.

    `void`: "" where it counts, `fenced` for a decision of a fenced worker, `later` where one before it counted, `repeat`
    for a push within the window of one before.
    """

    record: Record
    chain: Chain | None
    who: str
    inputs: tuple[Input, ...]
    void: str


@dataclass(frozen=True)
class Selection:
    """What is asked for; null: everything. `since` and `until` (Unix ms) go by the records' timestamps in Kafka."""

    chain: str | None = None
    push: str | None = None
    repository: str | None = None
    since: int | None = None
    until: int | None = None

    def partitions(self, count: int) -> Collection[int] | None:
        """Only these can have any of it."""
        push = self.push if self.chain is None else ChainId.parse(self.chain).push_id
        return None if push is None else {partition_of(push, count)}

    def has(self, entry: Entry) -> bool:
        if self.since is not None and entry.record.timestamp < self.since:
            return False
        if entry.chain is not None:
            return self.is_of(entry.chain)
        event = entry.record.event  # a push that starts nothing, or a record that is passed over
        if isinstance(event, SkipRequested):
            return self.chain is None and self.push is None and self.repository is None
        return (
            self.chain is None
            and isinstance(event, PushReceived)
            and self.push in (None, event.push_id)
            and self.repository in (None, event.repository)
        )

    def is_of(self, chain: Chain) -> bool:
        """Whatever the time."""
        return (
            self.chain in (None, chain.id)
            and self.push in (None, chain.push_id)
            and self.repository in (None, chain.repository)
        )


class Story:
    """`take` each read of a Walk, in its order; records about chains that are not in the log any more are passed over."""

    def __init__(self, history: PartitionHistory) -> None:
        self.passed = 0
        self._history = history

    def take(self, read: Read) -> Iterator[Entry]:
        """Folds it; an entry for each chain that it is about (a push may start several)."""
        record, event, history = read.record, read.record.event, self._history
        if isinstance(event, Fence):
            history.take(read)
            return
        if isinstance(event, SkipRequested):
            history.take(read)
            yield Entry(record, None, self._who(record), (Input(Topic(event.topic), event.offset),), "")
            return
        if isinstance(event, PushReceived | RedeliveryRequested):
            yield from self._start(read, event)
            return
        before = history.chains.get(event.chain_id)
        if before is None:
            self.passed += 1
            history.take(read)
            return
        inputs = _inputs(before, history.facts[before.id], record)
        who = self._who(record)
        history.take(read)
        after = history.chains.get(event.chain_id, before)
        later = after is before and read.valid
        yield Entry(record, after, who, inputs, "" if read.valid and not later else "later" if later else "fenced")

    def _start(self, read: Read, event: PushReceived | RedeliveryRequested) -> Iterator[Entry]:
        record, started = read.record, self._history.take(read)
        if isinstance(event, RedeliveryRequested):
            inputs: tuple[Input, ...] = (Input(Topic.PUSHES, event.cause),)
        else:
            inputs = ()
        for chain_id in started:
            yield Entry(record, self._history.chains[chain_id], self._who(record), inputs, "")
        if not started:
            repeated = isinstance(event, PushReceived) and event.plans
            yield Entry(record, None, self._who(record), (), "repeat" if repeated else "")

    def _who(self, record: Record) -> str:
        if record.fence is not None:
            owner = self._history.fences.get(record.fence, "")
            return f"dispatcher {owner}, fence {record.fence}" if owner else f"dispatcher, fence {record.fence}"
        match record.event:
            case PushReceived(source=source):
                return f"ingress, {source}"
            case CancelRequested(by=by) | RedeliveryRequested(by=by) | SkipRequested(by=by):
                return f"console, {by}"
            case StepSealed():
                return "dispatcher"
            case _:
                return "callbacks"


def _inputs(chain: Chain, facts: Facts, record: Record) -> tuple[Input, ...]:
    """The records that a decision rests on, latest first; none for what comes from outside."""
    if isinstance(record.event, StepSealed):
        return (Input(Topic.DELIVERIES, record.event.intent),)
    event = decision_of(record)
    if event is None or event.step > len(chain.steps):
        return ()
    known = at_cut(chain, facts.cancelled_at, event.read_to)
    return tuple(_because(known, facts, event))


def _because(chain: Chain, facts: Facts, event: Decision) -> Iterator[Input]:
    state = chain.step(event.step)
    match event:
        case HookDelivered() | HookAttemptFailed():
            before = None if event.step <= chain.first_step else chain.step(event.step - 1).verdict
            if state.failed:
                yield Input(Topic.DELIVERIES, state.last_offset)
            elif before is not None:
                yield Input(Topic.CALLBACKS, before.offset)
            else:
                yield Input(Topic.PUSHES if chain.id.endswith("-0") else Topic.COMMANDS, chain.cause)
        case StepClosing():
            yield Input(Topic.DELIVERIES, state.last_offset)
        case ChainHalted() | ChainCompleted():
            if state.verdict is not None:
                yield Input(Topic.CALLBACKS, state.verdict.offset)
            elif chain.cancelled and facts.cancelled_at is not None:
                yield Input(Topic.COMMANDS, facts.cancelled_at)
            elif state.seal is not None:
                yield Input(Topic.CALLBACKS, state.seal)
            elif state.last_offset >= 0:
                yield Input(Topic.DELIVERIES, state.last_offset)
