"""When a failed attempt is tried again: the schedule, the jitter that is recorded, Retry-After, 410, blocked addresses."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.chain.events import AttemptError
from hookline.chain.pipeline_settings import DEFAULT_RETRY_DELAYS_S
from hookline.chain.retries import is_delivered, next_attempt_at
from tests.kit.events import START

DAY_S = 86_400


def after(attempt: int, **but: Any) -> int | None:
    """Milliseconds from now to the next attempt; without jitter."""
    given: dict[str, Any] = {
        "attempt": attempt,
        "error": AttemptError.CONNECT,
        "status": None,
        "was_blocked": False,
        "retry_after_s": None,
        "delays_s": DEFAULT_RETRY_DELAYS_S,
        "now": START,
        "random": lambda: 0.5,
    }
    at = next_attempt_at(**(given | but))
    return None if at is None else at - START


def test_the_default_is_the_standard_webhooks_schedule_of_ten_attempts() -> None:
    waits = [after(attempt) for attempt in range(1, 11)]
    hours = 3600
    assert waits[:-1] == [
        s * 1000 for s in (5, 5 * 60, 30 * 60, 2 * hours, 5 * hours, 10 * hours, 14 * hours, 20 * hours, 24 * hours)
    ]
    assert waits[-1] is None, "spent after the tenth"


def test_a_plan_has_its_own_schedule() -> None:
    assert [after(attempt, delays_s=(1, 2)) for attempt in (1, 2, 3)] == [1000, 2000, None]
    assert after(1, delays_s=()) is None


@given(st.floats(0, 1, exclude_max=True), st.integers(1, 9))
def test_jitter_is_ten_percent_either_way(random: float, attempt: int) -> None:
    wait_ms = DEFAULT_RETRY_DELAYS_S[attempt - 1] * 1000
    got = after(attempt, random=lambda: random)
    assert got is not None
    assert wait_ms * 0.9 - 1 <= got <= wait_ms * 1.1 + 1


def test_jitter_uses_the_whole_range_and_is_drawn_once() -> None:
    assert after(2, random=lambda: 0.0) == 270_000
    assert after(2, random=lambda: 1.0) == 330_000
    draws = iter([0.25])
    assert after(2, random=lambda: next(draws)) == 285_000


@pytest.mark.parametrize("error", sorted(set(AttemptError) - {AttemptError.BLOCKED}))
def test_every_other_error_is_retried(error: AttemptError) -> None:
    assert after(1, error=error) == 5000


@pytest.mark.parametrize("status", [400, 401, 404, 409, 411, 429, 500, 502, 503])
def test_every_status_but_410_is_retried(status: int) -> None:
    assert after(1, error=AttemptError.STATUS, status=status) == 5000


def test_410_is_final_whatever_else_is_said() -> None:
    assert after(1, error=AttemptError.STATUS, status=410, retry_after_s=60) is None


def test_retry_after_may_only_lengthen_the_wait() -> None:
    assert after(1, retry_after_s=60) == 60_000
    assert after(2, retry_after_s=60) == 300_000
    assert after(1, retry_after_s=0) == 5000
    assert after(1, retry_after_s=-100.0) == 5000, "a date in the past"
    assert after(1, retry_after_s=7.5) == 7500


def test_retry_after_is_cut_at_a_day() -> None:
    assert after(1, retry_after_s=10 * DAY_S) == DAY_S * 1000
    assert after(1, retry_after_s=float("inf")) == DAY_S * 1000


def test_retry_after_gives_no_attempt_beyond_the_schedule() -> None:
    assert after(10, retry_after_s=60) is None


def test_a_blocked_address_is_tried_once_more_after_five_seconds() -> None:
    assert after(1, error=AttemptError.BLOCKED, random=lambda: 0.0) == 5000, "5 s apart, without jitter"
    assert after(2, error=AttemptError.BLOCKED, was_blocked=True) is None
    assert after(10, error=AttemptError.BLOCKED) == 5000, "final only when seen twice, even on the last attempt"
    assert after(2, error=AttemptError.CONNECT, was_blocked=True) == 300_000, "blocked, then something else"


@pytest.mark.parametrize(
    ("status", "delivered"),
    [(199, False), (200, True), (204, True), (300, True), (302, True), (303, True), (399, True), (400, False), (410, False),
     (301, False), (307, False), (308, False)],
)  # fmt: skip
def test_2xx_and_3xx_are_delivered_but_for_those_that_say_not_here(status: int, delivered: bool) -> None:
    assert is_delivered(status) is delivered
