"""Judges one partition, record by record: is every invariant kept that can be seen in the logs alone?"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable

from hookline.audit.fences import FenceRow, FenceRows
from hookline.audit.findings import LOST, Finding, Invariant, Wrong
from hookline.audit.history import Facts, PartitionHistory, is_sound, says_what_was_asked_for
from hookline.audit.identity import judge_identity
from hookline.audit.judge_decisions import Known, judge_decision, words
from hookline.audit.moments import MomentsJudge, judge_order
from hookline.audit.pushes import PushJudge
from hookline.audit.walk import decision_of
from hookline.chain.decide import Wait, decide
from hookline.chain.events import (
    CallbackReceived,
    CancelRequested,
    ChainEvent,
    Decision,
    HookAttemptFailed,
    PushReceived,
    RedeliveryRequested,
    StepSealed,
    Verdict,
)
from hookline.chain.fold import misfit
from hookline.chain.ids import ChainId, is_uuid, partition_of, push_of
from hookline.chain.state import Chain
from hookline.log.codec import Record
from hookline.log.reader import Read
from hookline.log.records import LOGS, Positions, Topic
from hookline.log.skips import Skip, covering

__all__ = ["PartitionJudge"]


class PartitionJudge:
    """`take` each read of a Walk before the history takes it, then `finish`.

    partitions: how many the log has. starts, ends: of its four logs. tell: called with each finding.
    taken_at: Unix ms, when those ends were asked for. skipped: the records that were passed over, as the reading goes on.
    pushes: compares pushes and runs with what they were made of; null: they are not compared.
    """

    def __init__(
        self,
        number: int,
        partitions: int,
        history: PartitionHistory,
        starts: Positions,
        ends: Positions,
        tell: Callable[[Finding], None],
        taken_at: int,
        skipped: Collection[Skip] = (),
        pushes: PushJudge | None = None,
    ) -> None:
        self.counts: Counter[str] = Counter()
        """Records that are judged by nothing more: `void` decisions, `later` verdicts and seals, `unjudged` (their chain began
        before the log does, or ended long before), `skipped` (they cannot be read, and an operator let all pass over them)."""
        self._number = number
        self._partitions = partitions
        self._history = history
        self._next = dict(zip(LOGS, starts, strict=True))
        self._starts = starts
        self._ends = ends
        self._tell = tell
        self._skipped = skipped
        self._pushes = pushes
        self._moments = MomentsJudge(taken_at)
        self._fences = FenceRows()
        self._first_verdict: int | None = None

    def take(self, read: Read) -> None:
        record, event = read.record, read.record.event
        self._judge_offset(record)
        self._say(record, judge_identity(record))
        self._say(record, self._moments.judge(read))
        self._say_loop(self._fences.take(read))
        if (decision := decision_of(record)) is not None:
            self._judge_token(read)
            self._judge_ends(record, decision)
            if read.valid:
                self._judge_decision(read, decision)
        elif isinstance(event, CallbackReceived | CancelRequested):
            self._judge_fact(record, event)
        elif isinstance(event, StepSealed):
            self._judge_seal(record, event)
        elif isinstance(event, PushReceived | RedeliveryRequested):
            self._judge_partition(record, event.push_id)
            self._judge_start(record, event)

    def finish(self, ends: Positions, settled_at: int | None = None) -> None:
        """Everything was read, to those ends. settled_at (Unix ms): nothing is under way by then, so whatever is due is stuck."""
        for topic in LOGS:
            if (at := self._behind_skipped(topic)) < (end := ends.of(topic)):
                self._find(LOST[topic], topic, at, f"the records from here to {end - 1} are missing")
        self._say_loop(self._fences.finish())
        if self._first_verdict is not None and not self._history.fences and not self._starts.deliveries:
            said = f"callbacks@{self._first_verdict} is a verdict on a POST, and no worker has fenced: all of it is missing"
            self._find(Invariant.I7, Topic.DELIVERIES, self._ends.deliveries, said)
        if settled_at is None:
            return
        for chain in self._history.chains.values():
            if chain.ending is None and self._history.facts[chain.id].whole:
                action = decide(chain, settled_at)
                if not isinstance(action, Wait):
                    offset = max((step.last_offset for step in chain.steps), default=-1)
                    self._find(Invariant.I8, Topic.DELIVERIES, offset, f"stuck: it has {words(action)}", chain.id)

    def _judge_offset(self, record: Record) -> None:
        expected = self._behind_skipped(record.topic)
        if record.offset != expected:
            self._find(
                LOST[record.topic], record.topic, expected, f"the records from here to {record.offset - 1} are missing"
            )
        self._next[record.topic] = record.offset + 1

    def _behind_skipped(self, topic: Topic) -> int:
        """The next offset that there must be a record at."""
        while self._skipped and (skip := covering(self._skipped, topic, self._next[topic])) is not None:
            self.counts["skipped"] += skip.next - self._next[topic]
            self._next[topic] = skip.next
        return self._next[topic]

    def _judge_partition(self, record: Record, push_id: str) -> bool:
        """Does it lie where its push belongs? What is known of a chain then does, too."""
        if not is_uuid(push_id):
            self._wrong(Invariant.I13, record, "the id of its push is none: ids are UUIDs in lower case")
            return False
        if (right := partition_of(push_id, self._partitions)) != self._number:
            self._wrong(LOST[record.topic], record, f"it belongs in partition {right}")
        return right == self._number

    def _judge_start(self, record: Record, event: PushReceived | RedeliveryRequested) -> None:
        plans = event.plans if isinstance(event, PushReceived) else (event.plan,)
        if not all(plan.hooks for plan in plans):
            self._wrong(Invariant.I7, record, "it has a plan without hooks, which starts nothing")
        elif isinstance(event, RedeliveryRequested) and event.from_step > len(event.plan.hooks):
            self._wrong(Invariant.I7, record, f"its plan has {len(event.plan.hooks)} steps, and it asks for another")
        if not is_sound(event):
            if is_uuid(event.push_id):
                self._wrong(Invariant.I13, record, "a plan of it has a negative number")
        elif self._pushes is not None:
            if isinstance(event, PushReceived):
                self._say(record, self._pushes.judge(record, event))
            elif (first := self._history.chains.get(_first_run(event))) is not None:
                self._say(record, self._pushes.judge_run(event, first, self._history.facts[first.id]))

    def _judge_token(self, read: Read) -> None:
        token = read.record.fence
        if not read.valid:
            self.counts["void"] += 1
        if token is not None and token >= self._starts.deliveries and token not in self._history.fences:
            self._wrong(Invariant.I10, read.record, f"its token {token} is not the offset of a Fence below it")

    def _judge_ends(self, record: Record, event: Decision) -> None:
        read_to, ends = event.read_to, self._ends
        if read_to.pushes <= ends.pushes and read_to.callbacks <= ends.callbacks and read_to.commands <= ends.commands:
            return
        for topic, at, end in (
            (Topic.PUSHES, read_to.pushes, ends.pushes),
            (Topic.CALLBACKS, read_to.callbacks, ends.callbacks),
            (Topic.COMMANDS, read_to.commands, ends.commands),
        ):
            if at > end:
                self._wrong(LOST[topic], record, f"it had read {topic} to {at}, which end at {end}: records were lost")

    def _judge_fact(self, record: Record, event: CallbackReceived | CancelRequested) -> None:
        chain = self._chain(record, event)
        if chain is None:
            return
        facts = self._history.facts[chain.id]
        self._say(record, judge_order(record, facts))
        if isinstance(event, CancelRequested):
            return
        if self._first_verdict is None:
            self._first_verdict = record.offset
        before = None if event.step == chain.first_step else chain.step(event.step - 1).verdict
        if event.step < chain.first_step:
            self._wrong(
                Invariant.I2, record, f"a callback of step {event.step}, and its run starts at {chain.first_step}"
            )
        elif event.step > chain.first_step and (before is None or before.state is not Verdict.SUCCESS):
            self._wrong(
                Invariant.I2,
                record,
                f"a callback of step {event.step}, and no success of step {event.step - 1} is below it",
            )
        self._count_later(chain, event.step)

    def _judge_seal(self, record: Record, event: StepSealed) -> None:
        if (chain := self._chain(record, event)) is None:
            return
        if (said := misfit(chain, event)) is not None:
            self._wrong(Invariant.I4, record, f"it seals nothing: {said}")
        else:
            self._count_later(chain, event.step)

    def _count_later(self, chain: Chain, number: int) -> None:
        """Of a step the first verdict or seal counts."""
        self.counts["later"] += chain.step(number).is_heard

    def _judge_decision(self, read: Read, event: Decision) -> None:
        if (chain := self._chain(read.record, event)) is not None:
            facts, record = self._history.facts[chain.id], read.record
            known = Known(chain, facts, record.fence or 0, self._history.floor)
            self._say(record, judge_decision(event, known))
            self._say(record, judge_order(record, facts))
            silent = isinstance(event, HookAttemptFailed) and not says_what_was_asked_for(event)
            if silent and record.fence in self._history.askers:
                said = "others of its writer say what a Retry-After asked for, and it does not"
                self._wrong(Invariant.I13, record, said)

    def _chain(self, record: Record, event: ChainEvent) -> Chain | None:
        """The event's chain, if it can be judged; what cannot be is counted or found."""
        chain = self._history.chains.get(event.chain_id)
        if chain is None:
            if not self._judge_partition(record, push_of(event.chain_id)):
                pass
            elif self._history.is_forgotten(event):
                self.counts["unjudged"] += 1
            else:
                self._wrong(Invariant.I7, record, "nothing has started its chain (a repeated push starts none)")
            return None
        facts: Facts = self._history.facts[chain.id]
        if not facts.whole:
            self.counts["unjudged"] += 1
            return None
        if chain.cause != event.cause:
            self._wrong(Invariant.I7, record, f"it names the cause {event.cause}, and its chain's is {chain.cause}")
        if not isinstance(event, CancelRequested) and event.step > len(chain.steps):
            self._wrong(Invariant.I7, record, f"its chain has {len(chain.steps)} steps, and it is about another")
            return None
        return chain

    def _say_loop(self, row: FenceRow | None) -> None:
        if row is not None:
            self._find(Invariant.I8, Topic.DELIVERIES, row.last, str(row))

    def _say(self, record: Record, wrongs: Iterable[Wrong]) -> None:
        for invariant, said in wrongs:
            self._wrong(invariant, record, said)

    def _wrong(self, invariant: Invariant, record: Record, said: str) -> None:
        chain_id = (
            ""
            if isinstance(record.event, PushReceived | RedeliveryRequested)
            else getattr(record.event, "chain_id", "")
        )
        self._tell(
            Finding(invariant, record.topic, self._number, record.offset, type(record.event).__name__, chain_id, said)
        )

    def _find(self, invariant: Invariant, topic: Topic, offset: int, said: str, chain_id: str = "") -> None:
        self._tell(Finding(invariant, topic, self._number, offset, "", chain_id, said))


def _first_run(event: RedeliveryRequested) -> str:
    """The chain that its push started."""
    return str(ChainId(event.push_id, event.cause, event.plan.n, 0))
