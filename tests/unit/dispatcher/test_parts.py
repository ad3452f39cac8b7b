"""The dispatcher's small parts: timers, what is not read back."""

import pytest

from hookline.chain.decide import Post
from hookline.chain.events import AttemptError, ChainHalted, HaltReason, HookAttemptFailed, HookDelivered, ReadTo
from hookline.chain.fold import start
from services.dispatcher.attempt import Attempt
from services.dispatcher.sender import Outcome
from services.dispatcher.timers import SLACK, Timers
from services.dispatcher.unread import Unread
from tests.unit.dispatcher.harness import plan, push_received

ABOUT = {"cause": 0, "chain_id": "c", "read_to": ReadTo(pushes=0, callbacks=0, commands=0), "decided_at": 1}


def a_failure(step: int, *, final: bool) -> HookAttemptFailed:
    due = None if final else 9
    return HookAttemptFailed(
        step=step, attempt=1, started_at=1, took_ms=1, error=AttemptError.STATUS, next_attempt_at=due, **ABOUT
    )


def test_a_timer_is_never_too_late_and_none_is_lost() -> None:
    timers = Timers({"a", "b"})
    timers.set("b", 20)
    timers.set("a", 30)
    timers.set("a", 10)
    assert timers.next_due == 10
    assert list(timers.pop_due(20)) == ["a", "b"]
    assert list(timers.pop_due(30)) == ["a"]
    assert timers.next_due is None


def test_timers_that_are_not_needed_do_not_fill_memory() -> None:
    chains = {"a", "b"}
    timers = Timers(chains)
    timers.set("b", 5)
    for due in range(100_000, 10, -1):
        timers.set("a", due)
    assert len(timers) <= 2 * len(chains) + SLACK
    assert timers.next_due == 5
    assert set(timers.pop_due(11)) == {"a", "b"}


def test_timers_of_chains_that_are_over_are_thrown_out() -> None:
    chains = {"over", "open"}
    timers = Timers(chains)
    timers.set("over", 1)
    chains.remove("over")
    for due in range(2, 2 * SLACK):
        timers.set("open", due)
    assert list(timers.pop_due(2)) == ["open"]


def test_an_event_of_a_step_blocks_that_step_alone_a_closing_or_terminal_one_its_chain() -> None:
    unread = Unread()
    delivered = HookDelivered(step=1, attempt=1, started_at=1, took_ms=1, status=200, expires_at=9, **ABOUT)
    for event, blocks_two in (
        (delivered, False),
        (a_failure(1, final=False), False),
        (a_failure(1, final=True), True),
        (ChainHalted(step=1, reason=HaltReason.GONE, **ABOUT), True),
    ):
        unread.add(event)
        assert unread.blocks("c", 1)
        assert unread.blocks("c", 2) is blocks_two
        assert not unread.blocks("other", 1)
        unread.read_back(event)
        assert not unread.blocks("c", 1)
    assert len(unread) == 0


@pytest.mark.parametrize(
    ("asked", "said", "waits_s"), [(None, None, 5), (7.5, 7.5, 7.5), (2.0, 2.0, 5), (1e30, 86_400.0, 86_400)]
)
def test_what_an_answer_asked_for_is_recorded_with_the_wait_that_it_made(
    asked: float | None, said: float | None, waits_s: float
) -> None:
    """So that anyone can derive the wait again."""
    (chain,) = start(push_received(1_000, plan()), 0)
    outcome = Outcome(5, 503, AttemptError.STATUS, retry_after_s=asked)
    about = {"cause": 0, "chain_id": chain.id, "step": 1, "read_to": ABOUT["read_to"], "decided_at": 2_000}
    event = Attempt(chain, Post(1, 1), 1_000).event(outcome, about, 2_000, lambda: 0.5)  # type: ignore[arg-type]

    assert isinstance(event, HookAttemptFailed)
    assert (event.retry_after_s, event.next_attempt_at) == (said, 2_000 + round(waits_s * 1000))
