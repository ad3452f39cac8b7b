"""A dispatcher's worker without clock, Kafka or HTTP, for generated histories: reads, decides, POSTs and appends when told."""

from typing import NamedTuple, TypeGuard

from hookline.chain.decide import Action, Close, Complete, Halt, Post, Seal, Wait, decide
from hookline.chain.events import (
    AttemptError,
    ChainCompleted,
    ChainHalted,
    Decision,
    Event,
    Fence,
    HookAttemptFailed,
    ReadTo,
    StepClosing,
    StepSealed,
)
from hookline.chain.fold import PartitionFold
from hookline.chain.retries import next_attempt_at
from hookline.chain.state import Chain
from hookline.log.reader import PartitionReader, Read
from hookline.log.records import LOGS, Positions, Topic
from tests.kit import events
from tests.unit.chain.logs import PARTITION, Logs


class Sent(NamedTuple):
    """A POST that a receiver saw, and the logs' ends at that moment."""

    chain: Chain
    step: int
    attempt: int
    at: int
    expires_at: int
    token: int
    ends: Positions


class Worker:
    """One incarnation of a dispatcher's worker. Its memory is the fold of what it read, its own decisions included."""

    def __init__(self, logs: Logs, now: int) -> None:
        self.logs = logs
        self.token = self.logs.append(events.fence(at=now))
        self.reader = PartitionReader(PARTITION, Positions())
        self.memory = PartitionFold()
        self.over = False
        self.posts: list[Sent] = []
        self._unread: dict[int, tuple[str, int, bool]] = {}
        """Own decisions not read back, by offset: chain, step, does it hold the whole chain up?"""
        self._sealing: set[str] = set()
        """Chains whose StepSealed is not read back."""
        self.read(self.logs.ends)

    def behind(self) -> bool:
        return not self.reader.positions.reached(self.logs.ends)

    def read(self, ends: Positions) -> None:
        """Fetch to those ends, fold what may be delivered; a later Fence ends this incarnation."""
        for topic in LOGS:
            at = self.reader.next_fetch(topic)
            self.reader.offer(topic, self.logs.records[topic][at : ends.of(topic)])
        for read in self.reader.read():
            self._take(read)
            if self.over:
                return

    def _take(self, read: Read) -> None:
        event, offset = read.record.event, read.record.offset
        if isinstance(event, Fence):
            self.over = offset > self.token
        if read.record.topic is Topic.DELIVERIES:
            self._unread.pop(offset, None)
        if isinstance(event, StepSealed):
            self._sealing.discard(event.chain_id)
        if read.valid:
            self.memory.fold(event, offset, read.record.timestamp)

    def due(self, now: int) -> list[tuple[Chain, Action]]:
        """What may be done now."""
        actions = ((chain, decide(chain, now)) for chain in self.memory.chains.values())
        return [(chain, action) for chain, action in actions if self._free(chain, action)]

    def _free(self, chain: Chain, action: Action) -> bool:
        step = action.step
        if any(c == chain.id and (holds or s == step) for c, s, holds in self._unread.values()):
            return False
        match action:
            case Wait():
                return False
            case Post():
                return not any(p.chain.id == chain.id and p.step == step for p in self.posts)
            case Seal():
                return chain.id not in self._sealing
            case _:
                return True

    def next_due(self, now: int) -> int | None:
        """When the first of the chains that wait has waited enough."""
        waits = (decide(chain, now) for chain in self.memory.chains.values())
        return min((wait.until for wait in waits if isinstance(wait, Wait)), default=None)

    def act(self, chain: Chain, action: Action, now: int) -> Sent | None:
        """Do it; the POST that went out, if it was one."""
        known = {"at": now, "read_to": self._read_to}
        match action:
            case Post(step, attempt):
                expires_at = now + chain.plan.callback_deadline_s * 1000
                sent = Sent(chain, step, attempt, now, expires_at, self.token, self.logs.ends)
                self.posts.append(sent)
                return sent
            case Close():
                self._decide(events.closing(chain.id, action.step, **known))
            case Seal(step, intent):
                self.logs.append(events.sealed(chain.id, step, intent, at=now))
                self._sealing.add(chain.id)
            case Halt():
                self._decide(events.halted(chain.id, action.step, action.reason, **known))
            case Complete():
                self._decide(events.completed(chain.id, action.step, **known))
        return None

    def answered(
        self,
        sent: Sent,
        now: int,
        status: int | None,
        error: AttemptError | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        """The receiver's answer to one of its POSTs, or none."""
        self.posts.remove(sent)
        chain, step = sent.chain, sent.step
        of = (chain.id, step, sent.attempt)
        known = {"at": now, "started_at": sent.at, "took_ms": now - sent.at, "read_to": self._read_to, "status": status}
        if error is None:
            self._decide(events.delivered(*of, **known, expires_at=sent.expires_at))
            return
        again_at = next_attempt_at(
            attempt=sent.attempt,
            error=error,
            status=status,
            was_blocked=chain.step(step).was_blocked,
            retry_after_s=retry_after_s,
            delays_s=chain.plan.retry_delays_s,
            now=now,
            random=lambda: 0.5,
        )
        failed = {"error": error, "retry_after_s": retry_after_s, "next_attempt_at": again_at}
        self._decide(events.failed(*of, **known, **failed))

    @property
    def _read_to(self) -> ReadTo:
        return ReadTo(**{t: self.reader.position(t) for t in (Topic.PUSHES, Topic.CALLBACKS, Topic.COMMANDS)})

    def _decide(self, event: Decision) -> None:
        holds = is_intent(event) or isinstance(event, ChainHalted | ChainCompleted)
        self._unread[self.logs.append(event, self.token)] = (event.chain_id, event.step, holds)


def is_intent(event: Event) -> TypeGuard[StepClosing | HookAttemptFailed]:
    """A closing that waits for its seal (design section 3)."""
    return isinstance(event, StepClosing) or (isinstance(event, HookAttemptFailed) and event.next_attempt_at is None)
