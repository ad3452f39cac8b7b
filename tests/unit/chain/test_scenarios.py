"""The scenarios of the executable model that fold, decide and the one reader decide alone; each test has its scenario's name.

Here: the chain, its runs, and repeats.
Those about snapshots, commits, restores and the order of a worker's doings are tested with the dispatcher.
"""

import pytest

from hookline.chain.decide import Complete, Halt, Post, Seal, Wait, decide
from hookline.chain.events import AttemptError, HaltReason, ReadTo, Verdict
from hookline.chain.state import UNCAUSED
from tests.kit.events import START, plan, push
from tests.unit.chain.logs import Logs, due

DAY_MS = 86_400_000

# ---- the chain


def test_early_callback(logs: Logs) -> None:
    """A receiver calls back before it answers: the verdict proves delivery, ends retries and opens the next step."""
    (chain,) = logs.push(plan(2))
    logs.failed(chain, 1, next_attempt_at=START + 5000, error=AttemptError.TIMEOUT)
    logs.verdict(chain, 1)
    assert due(logs, chain) == Post(2, 1)
    logs.delivered(chain, 1)
    assert due(logs, chain) == Post(2, 1), "the HookDelivered that comes after only adds to the history"


def test_two_steps(logs: Logs) -> None:
    (chain,) = logs.push(plan(2))
    assert due(logs, chain) == Post(1, 1)
    logs.delivered(chain, 1)
    assert due(logs, chain) == Wait(1, START + 60_000)
    logs.verdict(chain, 1)
    assert due(logs, chain) == Post(2, 1)
    logs.delivered(chain, 2, expires_at=START + 90_000)
    assert due(logs, chain) == Wait(2, START + 90_000)
    logs.verdict(chain, 2)
    assert due(logs, chain) == Complete(2)
    logs.completed(chain, 2)
    assert logs.fold().chains == {}


@pytest.mark.parametrize(
    ("verdict", "reason"),
    [(Verdict.FAILURE, HaltReason.CALLBACK_FAILURE), (Verdict.ERROR, HaltReason.CALLBACK_ERROR)],
)
def test_two_steps_1w(logs: Logs, verdict: Verdict, reason: HaltReason) -> None:
    """Contradicting callbacks, a failed POST, a cancel: the first verdict decides, and the cancel comes too late."""
    (chain,) = logs.push(plan(2))
    logs.failed(chain, 1, next_attempt_at=START)
    logs.verdict(chain, 1, verdict)
    logs.verdict(chain, 1, Verdict.SUCCESS)
    logs.cancel(chain)
    assert due(logs, chain) == Halt(1, reason)


def test_retries(logs: Logs) -> None:
    (chain,) = logs.push(plan(1, delays_s=(5,)))
    logs.failed(chain, 1, next_attempt_at=START + 5000)
    assert due(logs, chain) == Wait(1, START + 5000)
    assert due(logs, chain, START + 5000) == Post(1, 2)
    intent = logs.failed(chain, 1, attempt=2, last=True)
    assert due(logs, chain) == Seal(1, intent)
    logs.verdict(chain, 1)
    assert due(logs, chain) == Complete(1), "the POST that seemed to fail had arrived"


def test_two_chains(logs: Logs) -> None:
    """Two chains of one push: one ends and is forgotten, the other goes on as if alone."""
    first, second = logs.push(plan(1), plan(2, n=1))
    logs.verdict(first, 1)
    logs.delivered(second, 1)
    logs.completed(first, 1)
    assert list(logs.fold().chains) == [second]
    logs.verdict(first, 1, Verdict.FAILURE)
    assert due(logs, second) == Wait(1, START + 60_000)
    logs.verdict(second, 1)
    assert due(logs, second) == Post(2, 1)


def test_over(logs: Logs) -> None:
    """Cancelled, then the POST that was still open fails for the last time: a chain that is over has no intent."""
    (chain,) = logs.push(plan(1, delays_s=()))
    logs.cancel(chain)
    logs.verdict(chain, 1)
    logs.halted(chain, 1, HaltReason.CANCELLED)
    logs.failed(chain, 1, read_to=ReadTo(pushes=1, callbacks=0, commands=1), last=True)
    got = logs.chain(chain)
    assert got.step(1).verdict is not None
    assert got.ending is not None
    assert got.ending.reason not in UNCAUSED, "so a repeat of the first verdict is still 200"


def test_cancel_against_callback(logs: Logs) -> None:
    """What decides is what is there when the chain is looked at, not which came first: they lie in different topics."""
    (chain,) = logs.push(plan(2))
    logs.cancel(chain)
    logs.verdict(chain, 1)
    assert due(logs, chain) == Halt(2, HaltReason.CANCELLED)
    logs.verdict(chain, 2)
    assert due(logs, chain) == Complete(2)


def test_final(logs: Logs) -> None:
    """No final callback expected: an early failure of the last step proves delivery and decides nothing."""
    (chain,) = logs.push(plan(1, expect_final_callback=False))
    assert due(logs, chain) == Post(1, 1)
    logs.verdict(chain, 1, Verdict.FAILURE)
    assert due(logs, chain) == Complete(1)
    logs.completed(chain, 1)
    logs.delivered(chain, 1)
    got = logs.chain(chain)
    assert got.ending is not None
    assert got.ending.reason is None


# ---- runs


def test_redo(logs: Logs) -> None:
    """A request at offset 0 is no name of the first run, and the first run may be over and forgotten."""
    (chain,) = logs.push(plan(2))
    logs.halted(chain, 1, HaltReason.CANCELLED)
    run = logs.rerun(chain, plan(2))
    assert run != chain
    chains = logs.fold().chains
    assert list(chains) == [run]
    assert decide(chains[run], START) == Post(1, 1)
    ending = logs.chain(chain).ending
    assert ending is not None, "it never reopens a chain"


def test_redo_2(logs: Logs) -> None:
    """Two runs from step 2 beside the first run: three chains, each with its own verdicts."""
    (chain,) = logs.push(plan(2))
    one, two = logs.rerun(chain, plan(2), from_step=2), logs.rerun(chain, plan(2), from_step=2)
    logs.verdict(one, 2)
    assert (due(logs, chain), due(logs, one), due(logs, two)) == (Post(1, 1), Complete(2), Post(2, 1))


# ---- repeats


def test_repeat(logs: Logs) -> None:
    """Within the window a repeat starts nothing, also when the chain is over; after it, it is a new push."""
    (chain,) = logs.push(plan(), at=START)
    logs.push(plan(), at=START + 59_999)
    assert list(logs.fold().chains) == [chain]
    logs.completed(chain, 1)
    assert logs.fold().chains == {}
    (new,) = logs.push(plan(), at=START + 60_000)
    assert list(logs.fold().chains) == [new], "the window is that of the first, and its repeats open none"


def test_repeat_id(logs: Logs) -> None:
    """Its offset makes a new chain id: callbacks of the old chain are none of the new one."""
    (old,) = logs.push(plan(), at=START)
    (new,) = logs.push(plan(), at=START + 60_000)
    assert old[:36] == new[:36]
    assert old != new
    logs.verdict(old, 1)
    assert (due(logs, old), due(logs, new)) == (Complete(1), Post(1, 1))


def test_repeat_clock(logs: Logs) -> None:
    """Two brokers whose clocks differ: time in the log only goes forward, so what was dropped was rightly dropped."""
    logs.push(plan(), name="a", at=START)
    logs.push(plan(), name="b", at=START + 60_000)
    (again,) = logs.push(plan(), name="a", at=START + 1)
    fold = logs.fold()
    assert again in fold.chains
    assert fold.repeats.clock == START + 60_000


def test_repeat_wrong(logs: Logs) -> None:
    """An ingress whose clock was once ahead by a year: no later push is taken for a repeat by it."""
    logs.append(push(plan(), name="b", received_at=START + 365 * DAY_MS))
    started = [name for at in range(3) for name in logs.push(plan(), at=START + at * 60_000)]
    assert list(logs.fold().chains)[1:] == started


def test_repeat_series(logs: Logs) -> None:
    """Pushes closer together than their window: the first of them starts, and the first when its window is over."""
    started = [logs.push(plan(), at=START + 50_000 * n)[0] for n in range(7)]
    assert list(logs.fold().chains) == [started[0], started[2], started[4], started[6]]


def test_repeat_broker(logs: Logs) -> None:
    """A broker whose clock was once ahead by a year."""
    (first,) = logs.push(plan(), name="a", at=START + 365 * DAY_MS)
    (again,) = logs.push(plan(), name="a", at=START)
    logs.push(plan(), name="a", at=START + 1)
    assert list(logs.fold().chains) == [first, again]
    assert logs.fold().repeats.clock == START + 1
