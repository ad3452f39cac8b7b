"""Each row of `decide`'s table, and what wins when two of them would apply."""

import pytest

from hookline.chain.decide import Action, Close, Complete, Halt, Post, Seal, Wait, decide
from hookline.chain.events import HaltReason, Verdict
from hookline.chain.payloads import pack_payload
from hookline.chain.state import PENDING, UNCAUSED, Chain, Closing, FirstVerdict, StepState
from tests.kit.events import START, plan

SUCCESS = StepState(verdict=FirstVerdict(Verdict.SUCCESS, 0))
FAILURE = StepState(verdict=FirstVerdict(Verdict.FAILURE, 0))
ERROR = StepState(verdict=FirstVerdict(Verdict.ERROR, 0))
DELIVERED = StepState(expires_at=START + 60_000)
RETRYING = StepState(failed=1, retry_at=START + 5_000)


def closing(reason: HaltReason, state: StepState = PENDING) -> StepState:
    return state._replace(closing=Closing(reason, 5))


def sealed(reason: HaltReason, state: StepState = PENDING) -> StepState:
    return closing(reason, state)._replace(seal=9)


def chain(*steps: StepState, final: bool = True, cancelled: bool = False, first_step: int = 1) -> Chain:
    return Chain(
        id="c",
        repository="acme/app",
        first_step=first_step,
        plan=plan(len(steps), expect_final_callback=final),
        payload=pack_payload({}),
        steps=steps,
        cancelled=cancelled,
    )


@pytest.mark.parametrize(
    ("given", "now", "action"),
    [
        # Post: due when the cause, or the success before it, is folded
        (chain(PENDING), START, Post(1, 1)),
        (chain(SUCCESS, PENDING), START, Post(2, 1)),
        (chain(PENDING, PENDING, first_step=2), START, Post(2, 1)),
        (chain(RETRYING), START + 5_000, Post(1, 2)),
        (chain(PENDING, final=False), START, Post(1, 1)),
        # Wait: for a retry or a callback
        (chain(RETRYING), START + 4_999, Wait(1, START + 5_000)),
        (chain(DELIVERED), START + 59_999, Wait(1, START + 60_000)),
        (chain(DELIVERED._replace(failed=1, retry_at=START + 5_000)), START, Wait(1, START + 60_000)),
        (chain(DELIVERED, PENDING, final=False), START, Wait(1, START + 60_000)),
        # Close: the deadline has passed, on the very millisecond
        (chain(DELIVERED), START + 60_000, Close(1)),
        (chain(SUCCESS, DELIVERED), START + 60_001, Close(2)),
        # Halt by a verdict
        (chain(FAILURE, PENDING), START, Halt(1, HaltReason.CALLBACK_FAILURE)),
        (chain(ERROR, PENDING), START, Halt(1, HaltReason.CALLBACK_ERROR)),
        (chain(SUCCESS, ERROR), START, Halt(2, HaltReason.CALLBACK_ERROR)),
        (chain(FAILURE, PENDING, final=False), START, Halt(1, HaltReason.CALLBACK_FAILURE)),
        # Halt by a cancel
        (chain(PENDING, cancelled=True), START, Halt(1, HaltReason.CANCELLED)),
        (chain(DELIVERED, cancelled=True), START, Halt(1, HaltReason.CANCELLED)),
        (chain(SUCCESS, RETRYING, cancelled=True), START, Halt(2, HaltReason.CANCELLED)),
        # Seal by an intent, then Halt, whatever this worker's clock says
        *[(chain(closing(reason)), 0, Seal(1, 5)) for reason in sorted(UNCAUSED)],
        *[(chain(sealed(reason)), 0, Halt(1, reason)) for reason in sorted(UNCAUSED)],
        (chain(closing(HaltReason.CALLBACK_TIMEOUT, DELIVERED)), 0, Seal(1, 5)),
        (chain(sealed(HaltReason.CALLBACK_TIMEOUT, DELIVERED)), 0, Halt(1, HaltReason.CALLBACK_TIMEOUT)),
        # Complete
        (chain(SUCCESS), START, Complete(1)),
        (chain(SUCCESS, SUCCESS, SUCCESS), START, Complete(3)),
        (chain(PENDING, SUCCESS, first_step=2), START, Complete(2)),
        (chain(DELIVERED, final=False), START, Complete(1)),
        (chain(SUCCESS, DELIVERED, final=False), START, Complete(2)),
        (chain(FAILURE, final=False), START, Complete(1)),
        (chain(ERROR, final=False), START, Complete(1)),
        (chain(SUCCESS, final=False), START, Complete(1)),
    ],
)
def test_table(given: Chain, now: int, action: Action) -> None:
    got = decide(given, now)
    assert got == action
    assert type(got) is type(action)


@pytest.mark.parametrize(
    ("given", "action"),
    [
        # a verdict that came after the intent was written counts: the seal finds it
        (chain(closing(HaltReason.CALLBACK_TIMEOUT, SUCCESS), PENDING), Post(2, 1)),
        (chain(closing(HaltReason.DELIVERY_FAILED, SUCCESS)), Complete(1)),
        (chain(closing(HaltReason.GONE, FAILURE)), Halt(1, HaltReason.CALLBACK_FAILURE)),
        # ... and before a cancel
        (chain(FAILURE, cancelled=True), Halt(1, HaltReason.CALLBACK_FAILURE)),
        (chain(SUCCESS, cancelled=True), Complete(1)),
        (chain(FAILURE, final=False, cancelled=True), Complete(1)),
        # a success does not undo a cancel while steps are left
        (chain(SUCCESS, PENDING, cancelled=True), Halt(2, HaltReason.CANCELLED)),
        # a cancel is the user's own: it needs no seal and comes before one
        (chain(closing(HaltReason.DELIVERY_FAILED), cancelled=True), Halt(1, HaltReason.CANCELLED)),
        (chain(sealed(HaltReason.DELIVERY_FAILED), cancelled=True), Halt(1, HaltReason.CANCELLED)),
        (chain(DELIVERED, final=False, cancelled=True), Halt(1, HaltReason.CANCELLED)),
        # a delivered last step is enough where no callback is expected, even with a closing
        (chain(closing(HaltReason.DELIVERY_FAILED, DELIVERED), final=False), Complete(1)),
        # the intent of a step that is over has no say in a later one
        (chain(closing(HaltReason.DELIVERY_FAILED, SUCCESS), DELIVERED), Wait(2, START + 60_000)),
    ],
)
def test_precedence(given: Chain, action: Action) -> None:
    got = decide(given, START)
    assert got == action
    assert type(got) is type(action)
