"""The rows of the table of answers that the log decides (design section 6), by the pure function: what happened, and what each verdict gets.

What a replica makes of these over HTTP, and of what it has not read yet, is in `test_rows_of_the_log.py`.
"""

from collections.abc import Callable
from typing import NamedTuple

import pytest

from hookline.chain.events import AttemptError, HaltReason, Verdict
from services.callbacks.answers import Answer, answer_to_appended, judge
from tests.kit.events import NOTHING_READ, plan
from tests.unit.chain.logs import Logs

OK, NO, LATE, APPEND = Answer.OK, Answer.NOT_ALLOWED, Answer.TOO_LATE, Answer.APPEND


class Row(NamedTuple):
    """What happened to a chain of three hooks, and the answers to a success and a failure of that step."""

    happened: Callable[[Logs, str], object]
    success: Answer
    failure: Answer
    step: int = 1


def sealed(logs: Logs, chain: str, intent: int, step: int = 1) -> None:
    logs.sealed(chain, step, intent)


def sealed_and_halted(logs: Logs, chain: str, intent: int, reason: HaltReason) -> None:
    sealed(logs, chain, intent)
    logs.halted(chain, 1, reason)


def closed_by_a_zombie(logs: Logs, chain: str) -> int:
    zombie = logs.token
    logs.fence("the owner")
    return logs.closing(chain, 1, fence=zombie)


def halted_by_a_zombie(logs: Logs, chain: str) -> None:
    zombie = logs.token
    logs.fence("the owner")
    logs.halted(chain, 1, HaltReason.CALLBACK_TIMEOUT, fence=zombie)


def verdict_below_a_seal(logs: Logs, chain: str) -> None:
    """Its worker had not read it."""
    intent = logs.closing(chain, 1)
    logs.verdict(chain, 1)
    sealed_and_halted(logs, chain, intent, HaltReason.CALLBACK_TIMEOUT)


def cancelled(logs: Logs, chain: str, step: int) -> None:
    logs.cancel(chain)
    logs.halted(chain, step, HaltReason.CANCELLED)


ROWS = {
    # ---- that step's first in `callbacks` is a verdict
    "a success": Row(lambda log, c: log.verdict(c), OK, NO),
    "a failure": Row(lambda log, c: log.verdict(c, 1, Verdict.FAILURE), NO, OK),
    "an error": Row(lambda log, c: log.verdict(c, 1, Verdict.ERROR), NO, NO),
    "a success, then a failure": Row(lambda log, c: (log.verdict(c), log.verdict(c, 1, Verdict.FAILURE)), OK, NO),
    "the failure that halted the chain": Row(
        lambda log, c: (log.verdict(c, 1, Verdict.FAILURE), log.halted(c, 1, HaltReason.CALLBACK_FAILURE)), NO, OK
    ),
    "a success, and a user cancelled it": Row(lambda log, c: (log.verdict(c), cancelled(log, c, 1)), OK, NO),
    "a success below a seal": Row(verdict_below_a_seal, OK, NO),
    "a success, and halted at a later step": Row(
        lambda log, c: (log.verdict(c), log.halted(c, 2, HaltReason.DELIVERY_FAILED)), OK, NO
    ),
    "a success, and completed": Row(lambda log, c: (log.verdict(c), log.completed(c, 3)), OK, NO),
    # ---- or a valid StepSealed
    "sealed for a timeout": Row(lambda log, c: sealed(log, c, log.closing(c)), NO, NO),
    "halted by a timeout": Row(
        lambda log, c: sealed_and_halted(log, c, log.closing(c), HaltReason.CALLBACK_TIMEOUT), NO, NO
    ),
    "sealed as failed": Row(lambda log, c: sealed(log, c, log.failed(c, last=True)), NO, NO),
    "halted as failed": Row(
        lambda log, c: sealed_and_halted(log, c, log.failed(c, last=True), HaltReason.DELIVERY_FAILED), NO, NO
    ),
    "sealed as gone": Row(lambda log, c: sealed(log, c, log.failed(c, last=True, status=410)), NO, NO),
    "sealed as blocked": Row(
        lambda log, c: sealed(log, c, log.failed(c, last=True, error=AttemptError.BLOCKED, status=None)), NO, NO
    ),
    "a success above a seal": Row(lambda log, c: (sealed(log, c, log.closing(c)), log.verdict(c)), NO, NO),
    "a seal of another step": Row(lambda log, c: sealed(log, c, log.closing(c, 2), step=2), APPEND, APPEND),
    # ---- which names the first intent of its step: whoever may write `callbacks` cannot void verdicts by any other
    "a seal of no intent": Row(lambda log, c: sealed(log, c, log.fence("another")), APPEND, APPEND),
    "a seal of a void intent": Row(lambda log, c: sealed(log, c, closed_by_a_zombie(log, c)), APPEND, APPEND),
    "a seal of another step's intent": Row(lambda log, c: sealed(log, c, log.closing(c, 2)), APPEND, APPEND),
    "a seal of another chain's intent": Row(
        lambda log, c: sealed(log, c, log.closing(log.push(plan(), name="other")[0])), APPEND, APPEND
    ),
    "a seal of a later intent": Row(
        lambda log, c: (log.closing(c), sealed(log, c, log.failed(c, last=True))), APPEND, APPEND
    ),
    # ---- nothing of that step is read: the chain is over
    "cancelled": Row(lambda log, c: cancelled(log, c, 1), LATE, LATE),
    "halted at a later step": Row(lambda log, c: log.halted(c, 2, HaltReason.CALLBACK_TIMEOUT), LATE, LATE),
    "completed without it": Row(lambda log, c: (log.verdict(c), log.completed(c, 3)), LATE, LATE, step=3),
    "a step that it does not have": Row(lambda log, c: None, NO, NO, step=4),
    # ---- else
    "nothing yet": Row(lambda log, c: None, APPEND, APPEND),
    "delivered": Row(lambda log, c: log.delivered(c), APPEND, APPEND),
    "nothing yet of a later step": Row(lambda log, c: log.delivered(c), APPEND, APPEND, step=2),
    "a failure that is tried again": Row(lambda log, c: log.failed(c, last=False), APPEND, APPEND),
    "an intent after a timeout that is not sealed": Row(lambda log, c: log.closing(c), APPEND, APPEND),
    "an intent after a failure that is not sealed": Row(lambda log, c: log.failed(c, last=True), APPEND, APPEND),
    "a halt by a zombie": Row(halted_by_a_zombie, APPEND, APPEND),
}


@pytest.fixture
def logs() -> Logs:
    logs = Logs()
    logs.read_to_of = lambda partition: NOTHING_READ  # type: ignore[method-assign] # its worker had not read what lies there
    logs.fence()
    return logs


@pytest.mark.parametrize("state", [Verdict.SUCCESS, Verdict.FAILURE])
@pytest.mark.parametrize("name", ROWS)
def test_what_is_answered(logs: Logs, name: str, state: Verdict) -> None:
    row = ROWS[name]
    (chain,) = logs.push(plan(3))
    row.happened(logs, chain)
    wanted = row.success if state is Verdict.SUCCESS else row.failure
    assert judge(logs.chain(chain), row.step, state, expired=False) is wanted
    late = LATE if wanted is APPEND else wanted  # what lies first stays first, whatever the time
    assert judge(logs.chain(chain), row.step, state, expired=True) is late


@pytest.mark.parametrize("state", [Verdict.SUCCESS, Verdict.FAILURE])
@pytest.mark.parametrize("name", ROWS)
def test_what_was_appended_is_answered_by_what_lies_below_it_alone(logs: Logs, name: str, state: Verdict) -> None:
    """By a replica that had not read what happened. The end of a chain, and an intent that is not sealed, say nothing about it."""
    row = ROWS[name]
    (chain,) = logs.push(plan(3))
    row.happened(logs, chain)
    wanted = row.success if state is Verdict.SUCCESS else row.failure
    logs.verdict(chain, row.step, state)
    assert answer_to_appended(logs.chain(chain), row.step, state) is (NO if wanted is NO else OK)


def test_a_chain_that_is_not_read_or_was_forgotten() -> None:
    for expired in (False, True):
        assert judge(None, 1, Verdict.SUCCESS, expired=expired) is LATE
    assert answer_to_appended(None, 1, Verdict.SUCCESS) is NO
