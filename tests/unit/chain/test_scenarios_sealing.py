"""The scenarios of the executable model that fold, decide and the one reader decide alone; each test has its scenario's name.

Here: a callback that was answered 200 counts.
Those about snapshots, commits, restores and the order of a worker's doings are tested with the dispatcher.
"""

from hookline.chain.decide import Close, Complete, Halt, Post, Wait, decide
from hookline.chain.events import AttemptError, HaltReason, Verdict
from hookline.chain.state import UNCAUSED
from tests.unit.chain.logs import START, Logs, due, plan

LATER = START + 10 * 60_000
"""After every deadline here."""


def test_halt_race(logs: Logs) -> None:
    """delivery_failed against a callback: the intent is on the way when the verdict lands; the seal finds it."""
    (chain,) = logs.push(plan(2, delays_s=()))
    nothing_read = logs.read_to
    logs.callback(chain, 1)
    logs.failed(chain, 1, read_to=nothing_read)
    got = logs.chain(chain)
    assert got.being_closed(1), "503: whether the seal found it is not in the log yet"
    assert decide(got, LATER) == Post(2, 1)
    logs.delivered(chain, 2)
    assert not logs.chain(chain).being_closed(1), "now it is: the chain went on"


def test_timeout_race(logs: Logs) -> None:
    """The timeout against a callback: a closing is acted on whatever the clock says, and a verdict before its seal wins."""
    (chain,) = logs.push(plan(2))
    logs.delivered(chain, 1)
    assert due(logs, chain, START + 60_000) == Close(1)
    logs.closing(chain, 1)
    assert due(logs, chain, START) == Halt(1, HaltReason.CALLBACK_TIMEOUT)
    logs.callback(chain, 1)
    got = logs.chain(chain)
    assert got.being_closed(1), "before 'token expired' in the table: else the repeat of a 200 would be 400"
    assert decide(got, LATER) == Post(2, 1)


def test_timeout_race_halted(logs: Logs) -> None:
    """The same, the verdict after the seal: halted, and what lies in the log overrules nothing."""
    (chain,) = logs.push(plan(2))
    logs.delivered(chain, 1)
    logs.closing(chain, 1)
    logs.halted(chain, 1, HaltReason.CALLBACK_TIMEOUT)
    logs.callback(chain, 1)
    got = logs.chain(chain)
    assert not got.being_closed(1)
    assert got.ending is not None
    assert (got.ending.step, got.ending.reason) == (1, HaltReason.CALLBACK_TIMEOUT)


def test_late_token(logs: Logs) -> None:
    """A zombie's POST carries a later expiry than the deadline in the log: its verdict counts while nothing is sealed."""
    (chain,) = logs.push(plan())
    logs.delivered(chain, 1, expires_at=START + 1000)
    logs.closing(chain, 1)
    zombie = logs.token
    logs.fence("new owner")
    owner, logs.token = logs.token, zombie
    logs.delivered(chain, 1, expires_at=START + 50_000)
    logs.token = owner
    state = logs.chain(chain).step(1)
    assert state.expires_at == START + 1000, "the zombie's HookDelivered is void"
    logs.callback(chain, 1)
    assert due(logs, chain, LATER) == Complete(1)


def test_late_event(logs: Logs) -> None:
    """POST of step 1 still open while step 2 is sealed: its HookDelivered comes late and decides no intent of step 2."""
    (chain,) = logs.push(plan(2, delays_s=()))
    logs.callback(chain, 1)
    logs.failed(chain, 2)
    logs.callback(chain, 2)
    logs.delivered(chain, 1)
    assert logs.chain(chain).being_closed(2), "else the callback is answered 200 and the chain halts all the same"
    logs.halted(chain, 2, HaltReason.DELIVERY_FAILED)
    assert not logs.chain(chain).being_closed(2)


def test_gone(logs: Logs) -> None:
    """410: nothing but the halt ends the intent."""
    (chain,) = logs.push(plan())
    logs.failed(chain, 1, error=AttemptError.STATUS, status=410)
    assert due(logs, chain) == Halt(1, HaltReason.GONE)
    logs.callback(chain, 1)
    assert logs.chain(chain).being_closed(1)
    logs.halted(chain, 1, HaltReason.GONE)
    assert not logs.chain(chain).being_closed(1)


def test_own_400(logs: Logs) -> None:
    """The verdict that halts the chain was no mistake: it is the first of its step, and its halt is one that it caused."""
    (chain,) = logs.push(plan())
    logs.callback(chain, 1, Verdict.FAILURE)
    logs.halted(chain, 1, HaltReason.CALLBACK_FAILURE)
    logs.callback(chain, 1, Verdict.SUCCESS)
    got = logs.chain(chain)
    verdict, ending = got.step(1).verdict, got.ending
    assert verdict is not None
    assert verdict.state is Verdict.FAILURE
    assert ending is not None
    assert ending.reason not in UNCAUSED
    assert not got.being_closed(1)


def test_intent_503(logs: Logs) -> None:
    """Success was read, then the POST of step 1 fails for the last time: an intent that is none, although nothing follows."""
    (chain,) = logs.push(plan(2, delays_s=()))
    logs.callback(chain, 1)
    logs.delivered(chain, 2)
    logs.failed(chain, 1)
    got = logs.chain(chain)
    assert not got.being_closed(1), "else repeats of that success are 503 for as long as step 2 takes"
    assert decide(got, START) == Wait(2, START + 60_000)


def test_replicas(logs: Logs) -> None:
    """Three contradicting callbacks, appended by replicas with stale tails: the first is the verdict."""
    (chain,) = logs.push(plan())
    for verdict in (Verdict.ERROR, Verdict.SUCCESS, Verdict.FAILURE):
        logs.callback(chain, 1, verdict)
    assert due(logs, chain) == Halt(1, HaltReason.CALLBACK_ERROR)


def test_seal_cancel(logs: Logs) -> None:
    """A cancel against a sealed halt: the cancel needs no seal; with it the intent is over."""
    (chain,) = logs.push(plan(1, delays_s=()))
    logs.failed(chain, 1)
    logs.cancel(chain)
    action = due(logs, chain)
    assert action == Halt(1, HaltReason.CANCELLED)
    assert isinstance(action, Halt)
    assert not action.sealed
    logs.halted(chain, 1, HaltReason.CANCELLED)
    assert not logs.chain(chain).being_closed(1)


def test_seal_zombie(logs: Logs) -> None:
    """An intent of a zombie is void: nothing is being closed, and the step is due again, as the same attempt."""
    (chain,) = logs.push(plan(1, delays_s=()))
    zombie = logs.token
    owner = logs.fence("new owner")
    logs.token = zombie
    logs.failed(chain, 1)
    logs.token = owner
    assert not logs.chain(chain).being_closed(1)
    assert due(logs, chain) == Post(1, 1)
