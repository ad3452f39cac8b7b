"""The fold: events to chains. Pure, idempotent, and independent of how the four topics interleave (I5).

Readers hand events out in causal order and without void decisions (`hookline.log.reader`), so a fact about an
unknown chain is about one that ended and was forgotten: it is dropped. An event that names a step which its chain does not
have is void for every reader, as if it were not there (`misfit`); who must know of it is told by `on_misfit`.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from sys import intern
from types import MappingProxyType
from typing import NamedTuple
from weakref import WeakValueDictionary

from hookline.chain.events import (
    AttemptError,
    CallbackReceived,
    CancelRequested,
    ChainCompleted,
    ChainEvent,
    ChainHalted,
    Event,
    Fence,
    HaltReason,
    HookAttemptFailed,
    HookDelivered,
    Plan,
    PushReceived,
    RedeliveryRequested,
    SkipRequested,
    StepClosing,
    StepSealed,
)
from hookline.chain.ids import ChainId
from hookline.chain.payloads import pack_payload
from hookline.chain.state import PENDING, Chain, Closing, Ending, FirstVerdict

__all__ = ["BACK_MS", "Misfit", "PartitionFold", "Repeats", "apply", "misfit", "rerun", "start"]

GONE = 410
RESTORED = -1
"""In the place of a length of window, for all that a snapshot held."""
BACK_MS = 3_600_000
"""Brokers' clocks that work do not differ by so much."""


def start(event: PushReceived, offset: int, *, keep_payload: bool = True) -> Iterator[Chain]:
    """The chains that this push starts: one for each plan that has hooks, each due at its first step."""
    payload = pack_payload(event.payload) if keep_payload and event.plans else b""
    for plan in event.plans:
        if not plan.hooks:
            continue
        yield Chain(
            id=str(ChainId(event.push_id, offset, plan.n, 0)),
            repository=intern(event.repository),
            first_step=1,
            plan=plan,
            payload=payload,
            steps=(PENDING,) * len(plan.hooks),
        )


def rerun(event: RedeliveryRequested, offset: int, *, keep_payload: bool = True) -> Chain:
    """The run that this request starts; it never reopens a chain."""
    return Chain(
        id=str(ChainId(event.push_id, event.cause, event.plan.n, offset + 1)),
        repository=intern(event.repository),
        first_step=event.from_step,
        plan=event.plan,
        payload=pack_payload(event.payload) if keep_payload else b"",
        steps=(PENDING,) * len(event.plan.hooks),
    )


def misfit(chain: Chain, event: ChainEvent) -> str | None:
    """Why that event is void, in words; None for one that fits its chain."""
    if isinstance(event, CancelRequested):
        return None
    if event.step > len(chain.steps):
        return f"it names step {event.step} of a chain with {len(chain.steps)}"
    if isinstance(event, StepSealed):
        closing = chain.step(event.step).closing
        if closing is None or closing.offset != event.intent:
            return f"deliveries@{event.intent} is not the first intent to halt at step {event.step}"
    return None


def apply(chain: Chain, event: ChainEvent, offset: int) -> Chain:
    """The chain after that event, which lies at `offset` of its topic. First verdict and first terminal event count.

    One that does not fit the chain (`misfit`) changes nothing.
    """
    if misfit(chain, event) is not None:
        return chain
    match event:
        case CallbackReceived():
            state = chain.step(event.step)
            if state.is_heard:
                return chain
            return chain.with_step(event.step, state._replace(verdict=FirstVerdict(event.state, offset)))
        case StepSealed():
            state = chain.step(event.step)
            if state.is_heard:
                return chain
            return chain.with_step(event.step, state._replace(seal=offset))
        case CancelRequested():
            return chain._replace(cancelled=True)
        case HookDelivered():
            state = chain.step(event.step)
            expires_at = max(event.expires_at, state.expires_at or 0)
            return chain.with_step(event.step, state._replace(expires_at=expires_at, last_offset=offset))
        case HookAttemptFailed():
            return _failed(chain, event, offset)
        case StepClosing():
            state = chain.step(event.step)
            closing = state.closing or Closing(event.reason, offset)
            return chain.with_step(event.step, state._replace(closing=closing, last_offset=offset))
        case ChainHalted():
            return _ended(chain, Ending(event.step, event.reason, offset, event.decided_at))
        case ChainCompleted():
            return _ended(chain, Ending(event.step, None, offset, event.decided_at))


def _failed(chain: Chain, event: HookAttemptFailed, offset: int) -> Chain:
    state = chain.step(event.step)._replace(last_offset=offset)
    if event.attempt > state.failed:
        blocked = event.error is AttemptError.BLOCKED
        state = state._replace(failed=event.attempt, retry_at=event.next_attempt_at, was_blocked=blocked)
    if event.next_attempt_at is None:
        state = state._replace(closing=state.closing or Closing(_final_reason(event), offset))
    return chain.with_step(event.step, state)


def _final_reason(event: HookAttemptFailed) -> HaltReason:
    if event.error is AttemptError.BLOCKED:
        return HaltReason.BLOCKED_ADDRESS
    return HaltReason.GONE if event.status == GONE else HaltReason.DELIVERY_FAILED


def _ended(chain: Chain, ending: Ending) -> Chain:
    return chain if chain.ending is not None else chain._replace(ending=ending)


class Repeats:
    """Which pushes are within their window: a rule over `pushes` alone, no clock of a reader, no other topic (design section 3).

    `clock` is the largest time so far, by the brokers that appended the records: no producer's clock counts. Brokers' clocks
    differ by little; a time that is BACK_MS or more before the largest so far shows that one of the two was wrong. Then no
    window can be told any more: all are over, and the times count from there.
    """

    def __init__(self, until: dict[str, int] | None = None, clock: int = 0) -> None:
        self.until = until if until is not None else {}
        """push_id to the end of its window, Unix ms."""
        self.clock = clock
        self._ends: dict[int, _Ends] = {RESTORED: _Ends(self.until)}
        """By length of window, seconds: among those of one length ends come in order."""

    def see(self, event: PushReceived, at: int) -> bool:
        """Take a PushReceived in; True if it repeats one whose window is still open. at: Kafka's time of its record, Unix ms.

        A window counts from the push that opened it: its repeats open none, so that a series of pushes closer together than
        their window starts again when that is over.
        """
        if at <= self.clock - BACK_MS:
            self.until.clear()
            self._ends.clear()
            self.clock = at
        self.clock = max(self.clock, at)
        for ends in self._ends.values():
            for push in ends.pop_passed(self.clock):
                del self.until[push]
        if event.push_id in self.until:
            return True
        end = self.until[event.push_id] = self.clock + event.dedupe_window_s * 1000
        self._ends.setdefault(event.dedupe_window_s, _Ends()).append(end, event.push_id)
        return False


class _Ends:
    """Windows by their end. Two queues and no pairs: a process may know a million pushes."""

    def __init__(self, until: Mapping[str, int] = MappingProxyType({})) -> None:
        self._pushes = deque(sorted(until, key=lambda push: until[push]))
        self._at = deque(until[push] for push in self._pushes)

    def append(self, end: int, push: str) -> None:
        """The latest so far."""
        self._at.append(end)
        self._pushes.append(push)

    def pop_passed(self, now: int) -> Iterator[str]:
        while self._at and self._at[0] <= now:
            self._at.popleft()
            yield self._pushes.popleft()


class Misfit(NamedTuple):
    """An event that is void because it does not fit its chain, at its offset."""

    event: ChainEvent | RedeliveryRequested
    offset: int
    said: str


class PartitionFold:
    """The open chains of one partition, and its pushes within their window.

    `on_end` (if given) is called with each chain as its terminal event is folded; then the chain is forgotten,
    or kept with `keep_ended` (audit's full fold). `on_misfit`: with each event that does not fit its chain.
    """

    def __init__(
        self,
        chains: Iterable[Chain] = (),
        repeats: Repeats | None = None,
        *,
        keep_ended: bool = False,
        keep_payload: bool = True,
        on_end: Callable[[Chain], None] | None = None,
        on_misfit: Callable[[Misfit], None] | None = None,
    ) -> None:
        self.chains = {chain.id: chain for chain in chains}
        self.repeats = repeats if repeats is not None else Repeats()
        # Weak: a plan goes with the last chain that has it.
        self._plans: WeakValueDictionary[tuple[str, int], Plan] = WeakValueDictionary(
            {(chain.plan.pipeline_id, chain.plan.n): chain.plan for chain in self.chains.values()}
        )
        self._keep_ended = keep_ended
        self._keep_payload = keep_payload
        self._on_end = on_end
        self._on_misfit = on_misfit

    def fold(self, event: Event, offset: int, at: int) -> tuple[str, ...]:
        """Take one event in; the ids of the chains that it started, changed or ended.

        offset, at: where its record lies, and Kafka's time of it (Unix ms).
        """
        match event:
            case PushReceived():
                if self.repeats.see(event, at):
                    return ()
                return tuple(map(self._open, start(event, offset, keep_payload=self._keep_payload)))
            case RedeliveryRequested():
                if event.from_step > (hooks := len(event.plan.hooks)):
                    return self._pass(
                        Misfit(event, offset, f"it asks for step {event.from_step} of a plan with {hooks}")
                    )
                return (self._open(rerun(event, offset, keep_payload=self._keep_payload)),)
            case Fence() | SkipRequested():
                return ()
            case _:
                return self._change(event, offset)

    def _open(self, chain: Chain) -> str:
        # Chains of one pipeline share its plan while its settings stay: a plan weighs more than all the rest of a chain.
        known = self._plans.setdefault((chain.plan.pipeline_id, chain.plan.n), chain.plan)
        if known == chain.plan:
            chain = chain._replace(plan=known)
        else:
            self._plans[chain.plan.pipeline_id, chain.plan.n] = chain.plan
        self.chains.setdefault(chain.id, chain)
        return chain.id

    def _change(self, event: ChainEvent, offset: int) -> tuple[str, ...]:
        chain = self.chains.get(event.chain_id)
        if chain is None:
            return ()
        if (said := misfit(chain, event)) is not None:
            return self._pass(Misfit(event, offset, said))
        was_open = chain.ending is None
        chain = self.chains[chain.id] = apply(chain, event, offset)
        if chain.ending is not None and was_open:
            if self._on_end:
                self._on_end(chain)
            if not self._keep_ended:
                del self.chains[chain.id]
        return (chain.id,)

    def _pass(self, passed: Misfit) -> tuple[str, ...]:
        if self._on_misfit:
            self._on_misfit(passed)
        return ()
