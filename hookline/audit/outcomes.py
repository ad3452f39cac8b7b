"""Judges what became of a POST: was that attempt of that step due, as far as its writer had read, and is the next one on time?"""

from collections.abc import Iterator

from hookline.audit.cut import at_cut
from hookline.audit.findings import Invariant, Wrong
from hookline.audit.history import Facts, says_what_was_asked_for
from hookline.chain.events import AttemptError, HookAttemptFailed, HookDelivered
from hookline.chain.retries import MAX_RETRY_AFTER_S, is_delivered, next_attempt_at
from hookline.chain.state import Chain
from hookline.log.records import Positions

__all__ = ["judge_outcome"]

SLACK_MS = 1_000
"""Between two looks at the clock that one decision takes."""
GRACE_MS = 10_000
"""A POST that was just beginning when its chain ended may look as if it began later, by this much at most."""


def judge_outcome(
    event: HookDelivered | HookAttemptFailed,
    chain: Chain,
    facts: Facts,
    token: int,
    floor: Positions,
) -> Iterator[Wrong]:
    """The arguments are those of `hookline.audit.judge_decisions.Known`.

    The record says what its writer had read when the answer came. When the POST began it had read no more than that, and
    no less than what is certain: what its restore read (`floor`), and what it had read when the attempt before failed.
    """
    yield from _judge_step(event, chain, facts)
    yield from _judge_attempt(event, chain)
    yield from _judge_beginning(event, chain, facts, token, floor)
    if isinstance(event, HookDelivered):
        yield from _judge_delivered(event, chain)
    else:
        yield from _judge_failed(event, chain)


def _judge_step(event: HookDelivered | HookAttemptFailed, chain: Chain, facts: Facts) -> Iterator[Wrong]:
    if event.step < chain.first_step:
        yield Wrong(Invariant.I2, f"its run starts at step {chain.first_step}")
    elif (current := at_cut(chain, facts.cancelled_at, event.read_to).current) < event.step:
        yield Wrong(
            Invariant.I2,
            f"step {event.step} was POSTed, and no success of step {current} lies below its read_to of"
            f" {event.read_to.callbacks} in callbacks",
        )


def _judge_attempt(event: HookDelivered | HookAttemptFailed, chain: Chain) -> Iterator[Wrong]:
    """The step's decisions below were all read when the POST began: nothing is decided for a step before that."""
    state = chain.step(event.step)
    if state.expires_at is not None:
        yield Wrong(Invariant.I7, f"step {event.step} was delivered already, last at deliveries@{state.last_offset}")
    elif state.closing is not None:
        yield Wrong(Invariant.I7, f"step {event.step} was being closed already, at deliveries@{state.closing.offset}")
    elif event.attempt != state.failed + 1:
        yield Wrong(Invariant.I7, f"attempt {event.attempt} of step {event.step}, and {state.failed + 1} was due")
    elif state.retry_at is not None and event.started_at < state.retry_at:
        yield Wrong(
            Invariant.I8, f"attempt {event.attempt} began {state.retry_at - event.started_at} ms before it was due"
        )


def _judge_beginning(
    event: HookDelivered | HookAttemptFailed, chain: Chain, facts: Facts, token: int, floor: Positions
) -> Iterator[Wrong]:
    """Was it still due when it began?"""
    writer, before = facts.read.get(event.step, (token, floor))
    had_read = Positions(*map(max, floor, before)) if writer == token else floor
    verdict, ending = chain.step(event.step).verdict, chain.ending
    if ending is not None and (ending.offset < token or event.started_at > ending.at + GRACE_MS):
        yield Wrong(Invariant.I3, f"POSTed after its chain had ended, at deliveries@{ending.offset}")
    elif verdict is not None and verdict.offset < had_read.callbacks:
        yield Wrong(
            Invariant.I3,
            f"POSTed by a worker that had read the verdict of step {event.step}: callbacks@{verdict.offset}",
        )
    elif facts.cancelled_at is not None and facts.cancelled_at < had_read.commands:
        yield Wrong(Invariant.I3, f"POSTed by a worker that had read its cancel: commands@{facts.cancelled_at}")


def _judge_delivered(event: HookDelivered, chain: Chain) -> Iterator[Wrong]:
    if not is_delivered(event.status):
        yield Wrong(Invariant.I7, f"status {event.status} is not a delivery")
    right = event.started_at + chain.plan.callback_deadline_s * 1000
    if event.expires_at != right:
        yield Wrong(
            Invariant.I8,
            f"it gives until {event.expires_at}, and the plan until {right} ({chain.plan.callback_deadline_s} s)",
        )


def _judge_failed(event: HookAttemptFailed, chain: Chain) -> Iterator[Wrong]:
    if event.error is AttemptError.STATUS and is_delivered(event.status or 0):
        yield Wrong(Invariant.I7, f"status {event.status} is a delivery")
    if event.retry_after_s is not None and event.status is None:
        yield Wrong(Invariant.I8, "no answer came, and it says that one asked for a later attempt")
    asked, at_most = _asked_for(event)
    earliest, latest = _due(event, chain, 0.0, asked), _due(event, chain, 1.0, at_most)
    due = event.next_attempt_at
    if earliest is None or latest is None:
        if due is not None:
            yield Wrong(Invariant.I8, f"the next attempt is at {due}, and there is none after attempt {event.attempt}")
    elif due is None:
        yield Wrong(Invariant.I4, f"it gives up after attempt {event.attempt}, and the plan has another")
    elif not earliest <= due <= latest + SLACK_MS:
        yield Wrong(Invariant.I8, f"the next attempt is at {due}, and the plan has it from {earliest} to {latest}")


def _asked_for(event: HookAttemptFailed) -> tuple[float | None, float | None]:
    """Seconds that its answer asked for by Retry-After, at least and at most."""
    if says_what_was_asked_for(event):
        return event.retry_after_s, event.retry_after_s
    return None, MAX_RETRY_AFTER_S if event.status is not None else None


def _due(event: HookAttemptFailed, chain: Chain, random: float, retry_after_s: float | None) -> int | None:
    return next_attempt_at(
        attempt=event.attempt,
        error=event.error,
        status=event.status,
        was_blocked=chain.step(event.step).was_blocked,
        retry_after_s=retry_after_s,
        delays_s=chain.plan.retry_delays_s,
        now=event.decided_at,
        random=lambda: random,
    )
