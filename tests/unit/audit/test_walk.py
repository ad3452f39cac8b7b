"""How an audit reads: what a decision had read comes before it, nothing is read far ahead, and where it cannot go on it says so."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.audit.history import PartitionHistory
from hookline.audit.order import in_step
from hookline.audit.walk import Walk, decision_of
from hookline.chain.events import HaltReason, Verdict
from hookline.log.codec import decode
from hookline.log.records import LOGS, Positions, Topic
from tests.unit.audit.script import Script
from tests.unit.audit.sources import TAKEN_AT, Records, judge, of_logs
from tests.unit.chain.histories import World, histories


async def partition(records: Records, chunk: int = 7):
    async for found in records.source(chunk).partitions():
        return found
    raise AssertionError("there is one")


def long_log(chains: int) -> Script:
    """One chain after the other, each from its push to its end."""
    script = Script()
    for n in range(chains):
        made = script.push(2)
        script.delivered(made)
        script.verdict(made)
        script.delivered(made, 2)
        script.verdict(made, 2, Verdict.FAILURE)
        script.halted(made, 2, HaltReason.CALLBACK_FAILURE)
        if n % 10 == 9:
            script.fence()
    return script


@given(histories(), st.integers(1, 20))
async def test_a_decision_is_handed_out_after_all_that_it_had_read(world: World, chunk: int) -> None:
    walk = Walk(await partition(of_logs(world.logs), chunk), taken_at=TAKEN_AT)
    seen = dict.fromkeys(LOGS, 0)
    async for reads in walk.reads():
        for read in reads:
            decision = decision_of(read.record)
            if decision is not None:
                read_to = decision.read_to
                assert seen[Topic.PUSHES] >= read_to.pushes
                assert seen[Topic.CALLBACKS] >= read_to.callbacks
                assert seen[Topic.COMMANDS] >= read_to.commands
            assert read.record.offset == seen[read.record.topic], "each log in its order, nothing left out"
            seen[read.record.topic] += 1
    assert Positions(*seen.values()) == world.logs.ends


@pytest.mark.parametrize("chains", [50, 500])
async def test_memory_does_not_grow_with_the_log(chains: int) -> None:
    walk, history = (
        Walk(await partition(long_log(chains).records, chunk=10), taken_at=TAKEN_AT),
        PartitionHistory(Positions(), kept_ended=5),
    )
    most = batch = 0
    async for reads in walk.reads():
        batch = max(batch, len(reads))
        for read in reads:
            history.take(read)
            most = max(most, len(history.chains))
            assert history.chains.keys() == history.facts.keys()
    assert most <= 5 + 1 + 2 * 10, "the open ones, those kept, and what one chunk of pushes is ahead"
    assert batch <= 4 * 10


async def test_chunks_come_in_an_order_in_which_a_bundle_is_read_again() -> None:
    """No log runs ahead of the decisions by more than a chunk."""
    ahead = dict.fromkeys(LOGS, 0)
    async for topic, records in in_step(await partition(long_log(100).records, chunk=10)):
        ahead[topic] += len(records)
        # A chain has three decisions, two callbacks and one push.
        assert ahead[Topic.PUSHES] <= ahead[Topic.DELIVERIES] / 3 + 2 * 10
        assert ahead[Topic.CALLBACKS] <= 2 * ahead[Topic.DELIVERIES] / 3 + 2 * 10


async def test_it_stops_at_a_record_that_cannot_be_decoded() -> None:
    script = long_log(3)
    line = script.records.of(Topic.CALLBACKS)
    line[2] = type(line[2])(line[2].place, 2, 0, None, b"{}", {"ce_type": b"hookline.CallbackReceived.v9"})
    walk = Walk(await partition(script.records), taken_at=TAKEN_AT)
    read = [len(reads) async for reads in walk.reads()]

    assert walk.stopped is not None
    assert (walk.stopped.topic, walk.stopped.offset) == (Topic.CALLBACKS, 2)
    assert "v9" in walk.stopped.said
    (finding,), _ = await judge(script.records)
    assert (finding.invariant, finding.topic, finding.offset) == ("I8", Topic.CALLBACKS, 2)
    assert f"{walk.left} records of the partition are not judged" in finding.said
    assert walk.left == sum(len(script.records.of(topic)) for topic in LOGS) - sum(read) > 0


async def test_it_stops_at_a_record_whose_cause_is_not_there() -> None:
    script = Script()
    made = script.push()
    script.delivered(made)
    script.records.places[script.records.of(Topic.PUSHES)[0].place].clear()
    walk = Walk(await partition(script.records), taken_at=TAKEN_AT)
    [reads async for reads in walk.reads()]

    assert walk.stopped is not None
    assert (walk.stopped.topic, walk.stopped.offset) == (Topic.DELIVERIES, 1)
    assert "cause" in walk.stopped.said


@pytest.mark.parametrize(("before_s", "is_found"), [(0, False), (59, False), (61, True)])
async def test_a_seal_whose_intent_came_after_the_ends_were_taken_ends_its_log_and_an_old_one_has_lost_it(
    before_s: int, is_found: bool
) -> None:
    script = Script(now=TAKEN_AT - 3_600_000)
    made, other = script.push(), script.push()
    script.delivered(made, expires_at=script.now + 1_000)
    script.delivered(other)
    script.now = script.records.now = TAKEN_AT - before_s * 1_000
    script.closing(made)
    script.sealed(made)
    script.verdict(other)  # behind the seal: not read, either
    script.records.of(Topic.DELIVERIES).pop()
    walk = Walk(await partition(script.records), taken_at=TAKEN_AT)
    read = [read.record.topic async for reads in walk.reads() for read in reads]
    findings, _ = await judge(script.records)

    assert Topic.CALLBACKS not in read
    assert (walk.stopped is not None) is is_found
    assert [(f.invariant, f.topic, f.offset) for f in findings if f.event == ""] == (
        [("I8", Topic.CALLBACKS, 0)] if is_found else []
    )


async def test_until_cuts_each_log_before_its_first_later_record() -> None:
    script = Script()
    made = script.push()
    script.delivered(made)
    script.verdict(made)
    script.completed(made)
    line = script.records.of(Topic.DELIVERIES)
    line[2] = type(line[2])(line[2].place, 2, line[2].timestamp + 1, line[2].key, line[2].value, line[2].headers)
    walk = Walk(await partition(script.records), taken_at=TAKEN_AT, until=line[1].timestamp)
    read = [
        read.record.offset async for reads in walk.reads() for read in reads if read.record.topic is Topic.DELIVERIES
    ]

    assert read == [0, 1]
    assert walk.stopped is None


async def test_what_is_said_of_a_chain_that_was_forgotten_is_no_accusation() -> None:
    script = long_log(30)
    history = PartitionHistory(Positions(), kept_ended=5)
    async for reads in Walk(await partition(script.records), taken_at=TAKEN_AT).reads():
        for read in reads:
            history.take(read)
    causes = [history.is_forgotten(decode(raw).event) for raw in script.records.of(Topic.CALLBACKS)]  # type: ignore[arg-type]

    assert causes == [True] * 50 + [False] * 10, "two callbacks of each; the last five are kept"
