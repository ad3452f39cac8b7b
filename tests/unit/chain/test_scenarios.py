"""The scenarios of the executable model that fold, decide and the one reader decide alone; each test has its scenario's name.

Those about snapshots, commits, restores and the order of a worker's doings are tested with the dispatcher.
"""

from collections.abc import Iterator

import pytest

from hookline.chain.decide import Action, Close, Complete, Halt, Post, Wait, decide
from hookline.chain.events import AttemptError, HaltReason, ReadTo, Verdict
from hookline.chain.fold import PartitionFold
from hookline.chain.state import UNCAUSED
from hookline.log.reader import PartitionReader, Read
from hookline.log.records import LOGS, Positions, Topic
from tests.unit.chain.logs import PARTITION, START, Logs, fold_reads, plan

LATER = START + 10 * 60_000
"""After every deadline here."""


@pytest.fixture
def logs() -> Logs:
    logs = Logs()
    logs.fence()
    return logs


def due(logs: Logs, chain: str, now: int = START) -> Action:
    return decide(logs.fold().chains[chain], now)


# ---- the chain


def test_early_callback(logs: Logs) -> None:
    """A receiver calls back before it answers: the verdict proves delivery, ends retries and opens the next step."""
    (chain,) = logs.push(plan(2))
    logs.failed(chain, 1, again_at=START + 5000, error=AttemptError.TIMEOUT)
    logs.callback(chain, 1)
    assert due(logs, chain) == Post(2, 1)
    logs.delivered(chain, 1)
    assert due(logs, chain) == Post(2, 1), "the HookDelivered that comes after only adds to the history"


def test_two_steps(logs: Logs) -> None:
    (chain,) = logs.push(plan(2))
    assert due(logs, chain) == Post(1, 1)
    logs.delivered(chain, 1)
    assert due(logs, chain) == Wait(1, START + 60_000)
    logs.callback(chain, 1)
    assert due(logs, chain) == Post(2, 1)
    logs.delivered(chain, 2, expires_at=START + 90_000)
    assert due(logs, chain) == Wait(2, START + 90_000)
    logs.callback(chain, 2)
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
    logs.failed(chain, 1, again_at=START)
    logs.callback(chain, 1, verdict)
    logs.callback(chain, 1, Verdict.SUCCESS)
    logs.cancel(chain)
    assert due(logs, chain) == Halt(1, reason)


def test_retries(logs: Logs) -> None:
    (chain,) = logs.push(plan(1, delays_s=(5,)))
    logs.failed(chain, 1, again_at=START + 5000)
    assert due(logs, chain) == Wait(1, START + 5000)
    assert due(logs, chain, START + 5000) == Post(1, 2)
    logs.failed(chain, 1, attempt=2)
    assert due(logs, chain) == Halt(1, HaltReason.DELIVERY_FAILED)
    logs.callback(chain, 1)
    assert due(logs, chain) == Complete(1), "the POST that seemed to fail had arrived"


def test_two_chains(logs: Logs) -> None:
    """Two chains of one push: one ends and is forgotten, the other goes on as if alone."""
    first, second = logs.push(plan(1), plan(2, n=1))
    logs.callback(first, 1)
    logs.delivered(second, 1)
    logs.completed(first, 1)
    assert list(logs.fold().chains) == [second]
    logs.callback(first, 1, Verdict.FAILURE)
    assert due(logs, second) == Wait(1, START + 60_000)
    logs.callback(second, 1)
    assert due(logs, second) == Post(2, 1)


def test_over(logs: Logs) -> None:
    """Cancelled, then the POST that was still open fails for the last time: a chain that is over has no intent."""
    (chain,) = logs.push(plan(1, delays_s=()))
    logs.cancel(chain)
    logs.callback(chain, 1)
    logs.halted(chain, 1, HaltReason.CANCELLED)
    logs.failed(chain, 1, read_to=ReadTo(pushes=1, callbacks=0, commands=1))
    got = logs.chain(chain)
    assert not got.being_closed(1), "else a repeat of its callback would be 503 for ever"
    assert got.step(1).verdict is not None
    assert got.ending is not None
    assert got.ending.reason not in UNCAUSED, "so a repeat of the first verdict is still 200"


def test_cancel_against_callback(logs: Logs) -> None:
    """What decides is what is there when the chain is looked at, not which came first: they lie in different topics."""
    (chain,) = logs.push(plan(2))
    logs.cancel(chain)
    logs.callback(chain, 1)
    assert due(logs, chain) == Halt(2, HaltReason.CANCELLED)
    logs.callback(chain, 2)
    assert due(logs, chain) == Complete(2)


def test_final(logs: Logs) -> None:
    """No final callback expected: an early failure of the last step proves delivery and decides nothing."""
    (chain,) = logs.push(plan(1, expect_final_callback=False))
    assert due(logs, chain) == Post(1, 1)
    logs.callback(chain, 1, Verdict.FAILURE)
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
    run = logs.redeliver(chain, plan(2))
    assert run != chain
    chains = logs.fold().chains
    assert list(chains) == [run]
    assert decide(chains[run], START) == Post(1, 1)
    ending = logs.chain(chain).ending
    assert ending is not None, "it never reopens a chain"


def test_redo_2(logs: Logs) -> None:
    """Two runs from step 2 beside the first run: three chains, each with its own verdicts."""
    (chain,) = logs.push(plan(2))
    one, two = logs.redeliver(chain, plan(2), from_step=2), logs.redeliver(chain, plan(2), from_step=2)
    logs.callback(one, 2)
    assert (due(logs, chain), due(logs, one), due(logs, two)) == (Post(1, 1), Complete(2), Post(2, 1))


# ---- repeats


def test_repeat(logs: Logs) -> None:
    """Within the window a repeat starts nothing, also when the chain is over; after it, it is a new push."""
    (chain,) = logs.push(plan(), received_at=START)
    logs.push(plan(), received_at=START + 59_999)
    assert list(logs.fold().chains) == [chain]
    logs.completed(chain, 1)
    assert logs.fold().chains == {}
    (new,) = logs.push(plan(), received_at=START + 59_999 + 60_000)
    assert list(logs.fold().chains) == [new]


def test_repeat_id(logs: Logs) -> None:
    """Its offset makes a new chain id: callbacks of the old chain are none of the new one."""
    (old,) = logs.push(plan(), received_at=START)
    (new,) = logs.push(plan(), received_at=START + 60_000)
    assert old[:36] == new[:36]
    assert old != new
    logs.callback(old, 1)
    assert (due(logs, old), due(logs, new)) == (Complete(1), Post(1, 1))


def test_repeat_clock(logs: Logs) -> None:
    """Two ingress replicas whose clocks differ: time in the log only goes forward, so what was dropped was rightly dropped."""
    logs.push(plan(), name="a", received_at=START)
    logs.push(plan(), name="b", received_at=START + 60_000)
    (again,) = logs.push(plan(), name="a", received_at=START + 1)
    fold = logs.fold()
    assert again in fold.chains
    assert fold.repeats.clock == START + 60_000


# ---- fences


def test_fence_late(logs: Logs) -> None:
    """A Fence that got no answer lands after the next one: any Fence voids what comes after it with another token."""
    (chain,) = logs.push(plan())
    logs.delivered(chain, 1)
    mine = logs.token
    logs.fence("w0 again, given up")
    logs.token = mine
    logs.halted(chain, 1, HaltReason.CANCELLED)
    assert [read.valid for read in deliveries(logs)] == [True, True, True, False]
    assert due(logs, chain) == Wait(1, START + 60_000)


def test_fence_inverted() -> None:
    """The older member's Fence lands after the younger's: its token counts, in the order of the log."""
    logs = Logs()
    (chain,) = logs.push(plan())
    younger = logs.fence("younger")
    older = logs.fence("older")
    logs.token = younger
    logs.halted(chain, 1, HaltReason.CANCELLED)
    logs.token = older
    logs.delivered(chain, 1)
    assert [read.valid for read in deliveries(logs)] == [True, True, False, True]


def test_a_decision_before_any_fence_is_void() -> None:
    logs = Logs()
    (chain,) = logs.push(plan())
    logs.token = 0
    logs.halted(chain, 1, HaltReason.CANCELLED)
    assert chain in logs.fold().chains


def test_midlog() -> None:
    """A reader that starts anywhere goes back to the token of the first decision it meets, and judges as all do."""
    logs = Logs()
    (chain,) = logs.push(plan())
    old = logs.fence("old")
    logs.failed(chain, 1, again_at=START)
    new = logs.fence("new")
    logs.token = old
    logs.halted(chain, 1, HaltReason.CANCELLED)
    logs.token = new
    logs.delivered(chain, 1)
    expected = {read.record.offset: read.valid for read in deliveries(logs)}
    assert expected == {0: True, 1: True, 2: True, 3: False, 4: True}
    for start in range(5):
        reader = PartitionReader(PARTITION, logs.ends._replace(deliveries=start), fence=None)
        got: dict[int, bool] = {}
        for _ in range(2):
            reader.offer(Topic.DELIVERIES, logs.records[Topic.DELIVERIES][reader.next_fetch(Topic.DELIVERIES) :])
            got |= {read.record.offset: read.valid for read in reader.read()}
            reader.rewound()
        assert {o: v for o, v in got.items() if o >= start} == {o: v for o, v in expected.items() if o >= start}


# ---- causal reading


def test_causal(logs: Logs) -> None:
    """Facts that are fetched before their cause wait for it, and the positions stay where they were handed out."""
    (chain,) = logs.push(plan(2))
    logs.callback(chain, 1)
    logs.cancel(chain)
    logs.delivered(chain, 1)
    reader, fold = PartitionReader(PARTITION, Positions()), PartitionFold()
    for topic in (Topic.DELIVERIES, Topic.COMMANDS, Topic.CALLBACKS):
        reader.offer(topic, logs.records[topic])
        fold_reads(reader.read(), fold)
    assert fold.chains == {}
    assert reader.positions == Positions(deliveries=1), "the Fence has no cause"
    reader.offer(Topic.PUSHES, logs.records[Topic.PUSHES])
    fold_reads(reader.read(), fold)
    assert fold.chains == logs.fold().chains
    assert reader.positions == logs.ends


def test_causal_2(logs: Logs) -> None:
    """A run waits for its push, and facts about the run for the request in commands."""
    (chain,) = logs.push(plan())
    run = logs.redeliver(chain, plan())
    logs.callback(run, 1)
    reader, fold = PartitionReader(PARTITION, Positions()), PartitionFold()
    reader.offer(Topic.CALLBACKS, logs.records[Topic.CALLBACKS])
    reader.offer(Topic.COMMANDS, logs.records[Topic.COMMANDS])
    assert list(reader.read()) == []
    reader.offer(Topic.PUSHES, logs.records[Topic.PUSHES])
    fold_reads(reader.read(), fold)
    assert fold.chains == logs.fold().chains
    assert decide(fold.chains[run], START) == Complete(1)


def test_order(logs: Logs) -> None:
    """Every order in which one record after the other may arrive folds to the same."""
    (chain,) = logs.push(plan(2))
    logs.failed(chain, 1)
    logs.callback(chain, 1)
    run = logs.redeliver(chain, plan(2), from_step=2)
    logs.cancel(chain)
    logs.callback(run, 2, Verdict.FAILURE)
    logs.halted(run, 2, HaltReason.CALLBACK_FAILURE)
    expected = logs.fold()
    orders = 0
    for order in interleavings(tuple(logs.ends)):
        reader, fold, at = PartitionReader(PARTITION, Positions()), PartitionFold(), dict.fromkeys(LOGS, 0)
        for topic in order:
            reader.offer(topic, logs.records[topic][at[topic] : at[topic] + 1])
            at[topic] += 1
            fold_reads(reader.read(), fold)
        assert fold.chains == expected.chains
        assert reader.positions == logs.ends
        orders += 1
    assert orders == 1680, "8! / (1! 2! 2! 3!)"


# ---- a 200 counts: intents and seals


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


def deliveries(logs: Logs) -> list[Read]:
    return [read for read in logs.read() if read.record.topic is Topic.DELIVERIES]


def interleavings(counts: tuple[int, ...]) -> Iterator[tuple[Topic, ...]]:
    if not any(counts):
        yield ()
    for at, count in enumerate(counts):
        if count:
            for rest in interleavings((*counts[:at], count - 1, *counts[at + 1 :])):
                yield (LOGS[at], *rest)
