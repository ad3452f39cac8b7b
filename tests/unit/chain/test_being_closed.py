"""When a step is being closed (design section 3; the model's `intent`): callbacks answers 503 meanwhile."""

import pytest

from hookline.chain.events import HaltReason, ReadTo
from tests.unit.chain.logs import Logs, plan

NOTHING_READ = ReadTo(pushes=0, callbacks=0, commands=0)


def test_an_intent_is_being_closed_until_a_terminal_event(logs: Logs) -> None:
    (chain,) = logs.push(plan(2))
    assert not logs.chain(chain).being_closed(1)
    logs.closing(chain, 1)
    assert logs.chain(chain).being_closed(1)
    assert not logs.chain(chain).being_closed(2), "of that step only"
    logs.halted(chain, 1, HaltReason.CALLBACK_TIMEOUT)
    assert not logs.chain(chain).being_closed(1)


def test_a_last_failure_is_being_closed_too(logs: Logs) -> None:
    (chain,) = logs.push(plan())
    logs.failed(chain, 1)
    assert logs.chain(chain).being_closed(1)


def test_a_verdict_that_the_writer_had_not_read_leaves_it_being_closed(logs: Logs) -> None:
    """Until the dispatcher has gone on or halted, nobody knows whether its seal found that verdict."""
    (chain,) = logs.push(plan(2))
    logs.closing(chain, 1)
    logs.callback(chain, 1)
    assert logs.chain(chain).being_closed(1)


def test_an_intent_whose_writer_had_read_the_first_verdict_is_none(logs: Logs) -> None:
    (chain,) = logs.push(plan(2))
    logs.callback(chain, 1)
    logs.failed(chain, 1)
    assert not logs.chain(chain).being_closed(1)


def test_read_to_is_the_next_offset_so_a_verdict_at_it_was_not_read(logs: Logs) -> None:
    (chain,) = logs.push(plan(2))
    logs.failed(chain, 1)
    logs.callback(chain, 1)
    chain_now = logs.chain(chain)
    closing, verdict = chain_now.step(1).closing, chain_now.step(1).verdict
    assert closing is not None
    assert verdict is not None
    assert verdict.offset == closing.read_to
    assert chain_now.being_closed(1)


def test_the_last_intent_decides(logs: Logs) -> None:
    (chain,) = logs.push(plan(2))
    logs.failed(chain, 1, read_to=NOTHING_READ)
    logs.callback(chain, 1)
    logs.closing(chain, 1)
    assert not logs.chain(chain).being_closed(1)


@pytest.mark.parametrize("later", ["delivered", "failed", "closing"])
def test_an_event_of_a_later_step_decides_the_intent(logs: Logs, later: str) -> None:
    (chain,) = logs.push(plan(3))
    logs.failed(chain, 1)
    logs.callback(chain, 1)
    assert logs.chain(chain).being_closed(1)
    getattr(logs, later)(chain, 3)
    assert not logs.chain(chain).being_closed(1)


def test_an_event_of_a_later_step_before_the_intent_does_not(logs: Logs) -> None:
    (chain,) = logs.push(plan(2))
    logs.callback(chain, 1)
    logs.delivered(chain, 2)
    logs.failed(chain, 1, read_to=NOTHING_READ)
    assert logs.chain(chain).being_closed(1)


@pytest.mark.parametrize("other", ["same step", "earlier step", "callback of a later step", "cancel"])
def test_nothing_else_decides_an_intent(logs: Logs, other: str) -> None:
    (chain,) = logs.push(plan(3))
    logs.callback(chain, 1)
    logs.closing(chain, 2)
    match other:
        case "same step":
            logs.delivered(chain, 2)
        case "earlier step":
            logs.delivered(chain, 1)
        case "callback of a later step":
            logs.callback(chain, 3)
        case "cancel":
            logs.cancel(chain)
    assert logs.chain(chain).being_closed(2)


def test_a_chain_that_is_over_has_no_intent(logs: Logs) -> None:
    """A POST that was still open may append a last HookAttemptFailed after the terminal event."""
    (chain,) = logs.push(plan())
    logs.halted(chain, 1, HaltReason.CANCELLED)
    logs.failed(chain, 1)
    assert not logs.chain(chain).being_closed(1)
