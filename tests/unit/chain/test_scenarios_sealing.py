"""The scenarios of the executable model that fold, decide and the one reader decide alone; each test has its scenario's name.

Here: a callback that was answered 200 counts.
Those about snapshots, commits, restores and the order of a worker's doings are tested with the dispatcher.
"""

from hookline.chain.decide import Close, Complete, Halt, Post, Seal, Wait, decide
from hookline.chain.events import AttemptError, HaltReason, Verdict
from hookline.chain.fold import Misfit, PartitionFold
from hookline.chain.state import UNCAUSED
from hookline.log import reader as log_reader
from hookline.log.reader import PartitionReader
from hookline.log.records import Positions, Topic
from tests.kit.events import START, plan
from tests.unit.chain.logs import PARTITION, Logs, due, fold_reads

LATER = START + 10 * 60_000
"""After every deadline here."""


def test_halt_race(logs: Logs) -> None:
    """delivery_failed against a callback: the intent is on the way when the verdict lands, below the seal."""
    (chain,) = logs.push(plan(2, delays_s=()))
    logs.verdict(chain, 1)
    intent = logs.failed(chain, 1, last=True)
    logs.sealed(chain, 1, intent)
    assert logs.chain(chain).step(1).seal is None, "a verdict lies below it"
    assert due(logs, chain, LATER) == Post(2, 1)


def test_timeout_race(logs: Logs) -> None:
    """The timeout against a callback: a closing is acted on whatever the clock says, and a verdict below its seal wins."""
    (chain,) = logs.push(plan(2))
    logs.delivered(chain, 1)
    assert due(logs, chain, START + 60_000) == Close(1)
    intent = logs.closing(chain, 1)
    assert due(logs, chain, START) == Seal(1, intent)
    logs.verdict(chain, 1)
    assert due(logs, chain, LATER) == Post(2, 1)
    logs.sealed(chain, 1, intent)
    assert due(logs, chain, LATER) == Post(2, 1)


def test_timeout_race_halted(logs: Logs) -> None:
    """The same, the verdict above the seal: void for every reader, before the halt and after it."""
    (chain,) = logs.push(plan(2))
    logs.delivered(chain, 1)
    offset = logs.sealed(chain, 1, logs.closing(chain, 1))
    logs.verdict(chain, 1)
    assert due(logs, chain, START) == Halt(1, HaltReason.CALLBACK_TIMEOUT)
    logs.halted(chain, 1, HaltReason.CALLBACK_TIMEOUT)
    logs.verdict(chain, 1)
    got = logs.chain(chain)
    assert (got.step(1).verdict, got.step(1).seal) == (None, offset)
    assert got.ending is not None
    assert (got.ending.step, got.ending.reason) == (1, HaltReason.CALLBACK_TIMEOUT)


def test_seal_stale(logs: Logs) -> None:
    """Two workers seal the same intent: the first is final, and a verdict between them is void."""
    (chain,) = logs.push(plan(1, delays_s=()))
    intent = logs.failed(chain, 1, last=True)
    first = logs.sealed(chain, 1, intent)
    logs.verdict(chain, 1)
    logs.sealed(chain, 1, intent)
    assert logs.chain(chain).step(1).seal == first
    assert due(logs, chain) == Halt(1, HaltReason.DELIVERY_FAILED)


def test_seal_forged(logs: Logs) -> None:
    """One that names no valid intent of its step seals nothing, and is told: a Fence, another step's, a zombie's, a later one."""
    (chain,) = logs.push(plan(2, delays_s=()))
    zombie = logs.token
    logs.fence("new owner")
    owner, logs.token = logs.token, zombie
    void = logs.failed(chain, 1, last=True)
    logs.token = owner
    other = logs.failed(chain, 2, last=True)
    for intent in (zombie, owner, void, other):
        logs.sealed(chain, 1, intent)
    first = logs.failed(chain, 1, last=True)
    logs.sealed(chain, 1, logs.closing(chain, 1))
    told: list[Misfit] = []
    fold = fold_reads(logs.read(), PartitionFold(on_misfit=told.append))
    assert [misfit.offset for misfit in told] == [0, 1, 2, 3, 4]
    assert all("is not the first intent to halt at step 1" in misfit.said for misfit in told)
    assert decide(fold.chains[chain], START) == Seal(1, first)
    logs.verdict(chain, 1)
    assert logs.chain(chain).step(1).verdict is not None


def test_seal_causal(logs: Logs) -> None:
    """It is delivered after the intent that it names, in whatever order they are fetched."""
    (chain,) = logs.push(plan(1, delays_s=()))
    logs.sealed(chain, 1, logs.failed(chain, 1, last=True))
    reader = PartitionReader(PARTITION, Positions())
    reader.offer(Topic.CALLBACKS, logs.records[Topic.CALLBACKS])
    reader.offer(Topic.PUSHES, logs.records[Topic.PUSHES])
    assert [read.record.topic for read in reader.read()] == [Topic.PUSHES]
    assert reader.waits == [
        log_reader.Wait(Topic.CALLBACKS, 0, Topic.DELIVERIES, 1, logs.records[Topic.CALLBACKS][0].timestamp)
    ]
    reader.offer(Topic.DELIVERIES, logs.records[Topic.DELIVERIES])
    assert [read.record.topic for read in reader.read()] == [Topic.DELIVERIES, Topic.DELIVERIES, Topic.CALLBACKS]


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
    logs.verdict(chain, 1)
    assert due(logs, chain, LATER) == Complete(1)


def test_late_event(logs: Logs) -> None:
    """POST of step 1 still open while step 2 is sealed: its HookDelivered comes late and changes nothing about step 2."""
    (chain,) = logs.push(plan(2, delays_s=()))
    logs.verdict(chain, 1)
    intent = logs.failed(chain, 2, last=True)
    logs.delivered(chain, 1)
    assert due(logs, chain) == Seal(2, intent)
    logs.sealed(chain, 2, intent)
    assert due(logs, chain) == Halt(2, HaltReason.DELIVERY_FAILED)


def test_gone(logs: Logs) -> None:
    """410 is an intent as any."""
    (chain,) = logs.push(plan())
    intent = logs.failed(chain, 1, error=AttemptError.STATUS, status=410, last=True)
    assert due(logs, chain) == Seal(1, intent)
    logs.sealed(chain, 1, intent)
    assert due(logs, chain) == Halt(1, HaltReason.GONE)


def test_own_400(logs: Logs) -> None:
    """The verdict that halts the chain was no mistake: it is the first of its step, and its halt is one that it caused."""
    (chain,) = logs.push(plan())
    logs.verdict(chain, 1, Verdict.FAILURE)
    logs.halted(chain, 1, HaltReason.CALLBACK_FAILURE)
    logs.verdict(chain, 1, Verdict.SUCCESS)
    got = logs.chain(chain)
    verdict, ending = got.step(1).verdict, got.ending
    assert verdict is not None
    assert verdict.state is Verdict.FAILURE
    assert ending is not None
    assert ending.reason not in UNCAUSED


def test_intent_503(logs: Logs) -> None:
    """Success was read, then the POST of step 1 fails for the last time: an intent that nobody seals."""
    (chain,) = logs.push(plan(2, delays_s=()))
    logs.verdict(chain, 1)
    logs.delivered(chain, 2)
    logs.failed(chain, 1, last=True)
    assert due(logs, chain, START) == Wait(2, START + 60_000)


def test_replicas(logs: Logs) -> None:
    """Three contradicting callbacks, appended by replicas with stale tails: the first is the verdict."""
    (chain,) = logs.push(plan())
    for verdict in (Verdict.ERROR, Verdict.SUCCESS, Verdict.FAILURE):
        logs.verdict(chain, 1, verdict)
    assert due(logs, chain) == Halt(1, HaltReason.CALLBACK_ERROR)


def test_seal_cancel(logs: Logs) -> None:
    """A cancel against a sealed halt: the cancel needs no seal; with it the intent is over."""
    (chain,) = logs.push(plan(1, delays_s=()))
    logs.failed(chain, 1, last=True)
    logs.cancel(chain)
    assert due(logs, chain) == Halt(1, HaltReason.CANCELLED)


def test_seal_zombie(logs: Logs) -> None:
    """An intent of a zombie is void: nothing is being closed, and the step is due again, as the same attempt."""
    (chain,) = logs.push(plan(1, delays_s=()))
    zombie = logs.token
    owner = logs.fence("new owner")
    logs.token = zombie
    logs.failed(chain, 1, last=True)
    logs.token = owner
    assert due(logs, chain) == Post(1, 1)
