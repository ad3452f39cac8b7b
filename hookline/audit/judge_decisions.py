"""Derives a decision again, by the pure `decide`, from what its writer had read, and says how it differs from the one recorded."""

from collections.abc import Iterator
from typing import NamedTuple

from hookline.audit.cut import at_cut
from hookline.audit.findings import Invariant, Wrong
from hookline.audit.history import Facts
from hookline.audit.outcomes import judge_outcome
from hookline.chain.decide import Action, Close, Complete, Halt, Post, Seal, Wait, decide
from hookline.chain.events import (
    ChainCompleted,
    ChainHalted,
    Decision,
    HaltReason,
    HookAttemptFailed,
    HookDelivered,
    StepClosing,
)
from hookline.chain.state import UNCAUSED, Chain
from hookline.log.records import Positions, Topic

__all__ = ["Known", "judge_decision"]


class Known(NamedTuple):
    """What is known when a decision is judged.

    chain: folded from the decisions below it, and from the other logs at least as far as it had read.
    floor: how far the writers of the decisions below its own Fence had read.
    """

    chain: Chain
    facts: Facts
    token: int
    floor: Positions


def judge_decision(event: Decision, known: Known) -> Iterator[Wrong]:
    """What is wrong with a valid decision about a step that its chain has."""
    yield from _judge_reading(event, known)
    if isinstance(event, HookDelivered | HookAttemptFailed):
        yield from judge_outcome(event, known.chain, known.facts, known.token, known.floor)
    elif (ending := known.chain.ending) is not None:
        yield Wrong(Invariant.I3, f"its chain has ended already, at deliveries@{ending.offset}")
    else:
        then = at_cut(known.chain, known.facts.cancelled_at, event.read_to)
        action = decide(then, event.decided_at)
        if action != _recorded(event):
            yield _mismatch(event, then, action)


def _judge_reading(event: Decision, known: Known) -> Iterator[Wrong]:
    read_to, floor = event.read_to, known.floor
    topic = Topic.PUSHES if event.chain_id.endswith("-0") else Topic.COMMANDS
    cause_read_to = read_to.pushes if topic is Topic.PUSHES else read_to.commands
    if event.cause >= cause_read_to:
        yield Wrong(Invariant.I7, f"decided before its cause was read: {topic}@{event.cause}, read to {cause_read_to}")
    if read_to.pushes >= floor.pushes and read_to.callbacks >= floor.callbacks and read_to.commands >= floor.commands:
        return
    for log, mine, theirs in (
        (Topic.PUSHES, read_to.pushes, floor.pushes),
        (Topic.CALLBACKS, read_to.callbacks, floor.callbacks),
        (Topic.COMMANDS, read_to.commands, floor.commands),
    ):
        if mine < theirs:
            yield Wrong(
                Invariant.I6,
                f"its writer ran before it was restored: it had read {log} to {mine}, and a decision below its Fence had"
                f" read to {theirs}",
            )


def _recorded(event: StepClosing | ChainHalted | ChainCompleted) -> Action:
    """The action that would write it."""
    match event:
        case StepClosing(step=step):
            return Close(step)
        case ChainHalted(step=step, reason=reason):
            return Halt(step, reason)
        case ChainCompleted(step=step):
            return Complete(step)


def _mismatch(event: StepClosing | ChainHalted | ChainCompleted, then: Chain, action: Action) -> Wrong:
    state = then.step(event.step)
    reason = None if isinstance(event, ChainCompleted) else event.reason
    if reason in UNCAUSED and state.verdict is not None:
        timeout = reason is HaltReason.CALLBACK_TIMEOUT
        return Wrong(
            Invariant.I9 if timeout else Invariant.I4,
            f"a verdict of step {event.step} ({state.verdict.state}) lies at callbacks@{state.verdict.offset}, below its"
            f" read_to of {event.read_to.callbacks}, and it says {reason}",
        )
    if isinstance(event, StepClosing) and isinstance(action, Wait):
        return Wrong(Invariant.I8, f"closed at {event.decided_at}, and its deadline was open: {words(action)}")
    if isinstance(event, ChainHalted) and reason in UNCAUSED and state.seal is None:
        what = "an intent in the log" if state.closing is None else "a StepSealed below its read_to"
        return Wrong(Invariant.I4, f"halted ({reason}) without {what}; {words(action)}")
    return Wrong(Invariant.I3, f"what it had read says otherwise: {words(action)}")


def words(action: Action) -> str:
    """What the chain needed."""
    match action:
        case Post(step, attempt):
            return f"to POST step {step}, attempt {attempt}"
        case Wait(step, until):
            return f"to wait for step {step} until {until}"
        case Close(step):
            return f"to close step {step}"
        case Seal(step, intent):
            return f"to seal step {step} for deliveries@{intent}"
        case Halt(step, reason):
            return f"to halt at step {step}: {reason}"
        case Complete():
            return "to complete"
