"""The scenarios of the executable model that fold, decide and the one reader decide alone; each test has its scenario's name.

Here: fences and causal reading.
Those about snapshots, commits, restores and the order of a worker's doings are tested with the dispatcher.
"""

from collections.abc import Iterator

from hookline.chain.decide import Complete, Wait, decide
from hookline.chain.events import HaltReason, Verdict
from hookline.chain.fold import PartitionFold
from hookline.log.reader import PartitionReader, Read
from hookline.log.records import LOGS, Positions, Topic
from tests.kit.events import START, plan
from tests.unit.chain.logs import PARTITION, Logs, due, fold_reads

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
    logs.failed(chain, 1, next_attempt_at=START)
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
    """Facts that are fetched before their cause wait for it, and the positions stay where they were delivered."""
    (chain,) = logs.push(plan(2))
    logs.verdict(chain, 1)
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
    run = logs.rerun(chain, plan())
    logs.verdict(run, 1)
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
    logs.failed(chain, 1, last=True)
    logs.verdict(chain, 1)
    run = logs.rerun(chain, plan(2), from_step=2)
    logs.cancel(chain)
    logs.verdict(run, 2, Verdict.FAILURE)
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


def deliveries(logs: Logs) -> list[Read]:
    return [read for read in logs.read() if read.record.topic is Topic.DELIVERIES]


def interleavings(counts: tuple[int, ...]) -> Iterator[tuple[Topic, ...]]:
    if not any(counts):
        yield ()
    for at, count in enumerate(counts):
        if count:
            for rest in interleavings((*counts[:at], count - 1, *counts[at + 1 :])):
                yield (LOGS[at], *rest)
