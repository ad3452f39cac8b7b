"""The invariants of design section 5 that the pure core can keep or break, on generated histories."""

from collections import defaultdict
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.chain.decide import Close, Complete, Halt, Post, Seal, Wait, decide
from hookline.chain.events import (
    CallbackReceived,
    ChainCompleted,
    ChainHalted,
    Decision,
    Fence,
    HaltReason,
    HookAttemptFailed,
    HookDelivered,
    StepClosing,
    StepSealed,
    Verdict,
)
from hookline.chain.fold import PartitionFold, Repeats
from hookline.chain.ids import ChainId, webhook_id
from hookline.chain.packer import ChainPacker, ChainUnpacker
from hookline.chain.state import UNCAUSED, Chain
from hookline.log.reader import PartitionReader
from hookline.log.records import LOGS, Positions, Topic
from tests.unit.chain.histories import World, histories
from tests.unit.chain.logs import PARTITION, Logs, fold_reads
from tests.unit.chain.worker import is_intent

pytestmark = pytest.mark.timeout(400)  # a failure is shrunk for up to 300 s

TERMINAL = ChainHalted | ChainCompleted


# ---- I2


@given(histories())
def test_i2_no_step_is_posted_before_the_step_before_it_succeeded(world: World) -> None:
    for sent in world.sent:
        if sent.step == sent.chain.first_step:
            continue
        verdict = first_verdict(world.logs, sent.chain.id, sent.step - 1)
        assert verdict is not None
        assert verdict[1] is Verdict.SUCCESS
        assert verdict[0] < sent.ends.callbacks, "it was in the log before the POST"


@given(histories())
def test_i2_a_run_begins_at_its_own_step(world: World) -> None:
    for sent in world.sent:
        assert sent.step >= sent.chain.first_step
        if ChainId.parse(sent.chain.id).run == 0:
            assert sent.chain.first_step == 1


# ---- I3


@given(histories())
def test_i3_one_valid_terminal_event_a_chain_and_no_decision_after_it(world: World) -> None:
    ended: set[str] = set()
    for _, event in valid_decisions(world.logs):
        if event.chain_id in ended:
            assert isinstance(event, HookDelivered | HookAttemptFailed), "only a POST that was open may still speak"
        if isinstance(event, TERMINAL):
            ended.add(event.chain_id)


@given(histories())
def test_i3_the_fold_ends_a_chain_by_its_first_valid_terminal_event(world: World) -> None:
    first: dict[str, int] = {}
    for offset, event in valid_decisions(world.logs):
        if isinstance(event, TERMINAL):
            first.setdefault(event.chain_id, offset)
    chains = world.logs.fold(keep_ended=True).chains
    assert {chain.id: chain.ending.offset for chain in chains.values() if chain.ending} == first


@given(histories())
def test_i3_one_outcome_a_step(world: World) -> None:
    outcomes: dict[tuple[str, int], list[HookDelivered | HookAttemptFailed]] = defaultdict(list)
    for _, event in valid_decisions(world.logs):
        if isinstance(event, HookDelivered | HookAttemptFailed):
            outcomes[event.chain_id, event.step].append(event)
    for events in outcomes.values():
        assert [e.attempt for e in events] == list(range(1, len(events) + 1)), "each attempt has one outcome, in order"
        assert not any(isinstance(e, HookDelivered) for e in events[:-1]), "nothing is tried after a delivery"


@given(histories())
def test_i3_the_owner_posts_nothing_after_the_end(world: World) -> None:
    ends = {e.chain_id: offset for offset, e in reversed(valid_decisions(world.logs)) if isinstance(e, TERMINAL)}
    for sent in world.sent:
        if (end := ends.get(sent.chain.id)) is not None and sent.token == fence_at(world.logs, sent.ends.deliveries):
            assert sent.ends.deliveries <= end


# ---- I4: what the fold must give for a 200 to count


@given(histories())
def test_i4_a_200_is_the_first_verdict_and_no_uncaused_halt_overrules_it(world: World) -> None:
    world.settle()
    chains = world.logs.fold(keep_ended=True).chains
    for answer in world.answers:
        if answer.status != 200:
            continue
        verdict = first_verdict(world.logs, answer.chain_id, answer.step)
        assert verdict is not None
        assert verdict[1] is answer.state
        end = chains[answer.chain_id].ending
        assert end is not None
        assert not (end.step == answer.step and end.reason in UNCAUSED)


@given(histories())
def test_i4_a_repeat_of_a_200_is_never_400(world: World) -> None:
    good: set[tuple[str, int, Verdict]] = set()
    for chain_id, step, state, status in world.answers:
        if status == 200:
            good.add((chain_id, step, state))
        assert (chain_id, step, state) not in good or status == 200


@given(histories())
def test_i4_an_uncaused_halt_follows_a_seal_that_its_worker_had_read_and_no_verdict_lies_below(world: World) -> None:
    world.settle()
    for _, event in valid_decisions(world.logs):
        if isinstance(event, ChainHalted) and event.reason in UNCAUSED:
            sealed = first_seal(world.logs, event.chain_id, event.step)
            assert sealed is not None
            assert sealed < event.read_to.callbacks
            assert first_verdict(world.logs, event.chain_id, event.step) is None


# ---- I5


@given(histories(), st.data())
def test_i5_the_fold_does_not_depend_on_the_interleaving(world: World, data: st.DataObject) -> None:
    got = read_in_pieces(world.logs, data, PartitionReader(PARTITION, Positions()), PartitionFold(), world.logs.ends)
    assert state(got) == state(world.logs.fold())


@given(histories(), st.data())
def test_i5_records_that_are_fetched_again_change_nothing(world: World, data: st.DataObject) -> None:
    reader = PartitionReader(PARTITION, Positions())
    got = read_in_pieces(world.logs, data, reader, PartitionFold(), world.logs.ends, again=True)
    assert state(got) == state(world.logs.fold())
    assert reader.positions == world.logs.ends


@given(histories())
def test_i5_each_event_folded_twice_is_folded_once(world: World) -> None:
    once, twice = PartitionFold(), PartitionFold()
    for read in world.logs.read():
        if read.valid:
            once.fold(read.record.event, read.record.offset, read.record.timestamp)
            twice.fold(read.record.event, read.record.offset, read.record.timestamp)
            twice.fold(read.record.event, read.record.offset, read.record.timestamp)
            assert state(once) == state(twice)


@given(histories(), st.data())
def test_i5_facts_folded_again_change_no_chain(world: World, data: st.DataObject) -> None:
    """Pushes are left out: whether one is a repeat is told once, by what lies below it; the reader delivers nothing twice."""
    fold = world.logs.fold(keep_ended=True)
    before = dict(fold.chains)
    reads = [read for read in world.logs.read() if read.valid and read.record.topic is not Topic.PUSHES]
    for read in reads[data.draw(st.integers(0, len(reads))) :]:
        fold.fold(read.record.event, read.record.offset, read.record.timestamp)
    assert fold.chains == before


# ---- I6, its pure part


@given(histories(), st.data())
def test_i6_snapshot_and_tail_are_the_full_fold(world: World, data: st.DataObject) -> None:
    logs = world.logs
    cut = Positions(*(data.draw(st.integers(0, logs.ends.of(topic))) for topic in LOGS))
    reader, prefix = PartitionReader(PARTITION, Positions()), PartitionFold()
    read_in_pieces(logs, data, reader, prefix, cut)

    unpacker = ChainUnpacker()
    for record in ChainPacker().pack(prefix.chains.values(), prefix.repeats.until):
        unpacker.add(record)
    assert unpacker.chains == prefix.chains
    restored = PartitionFold(unpacker.chains.values(), Repeats(unpacker.windows, prefix.repeats.clock))
    tail = PartitionReader(PARTITION, reader.positions, reader.fence)

    assert state(read_in_pieces(logs, data, tail, restored, logs.ends)) == state(logs.fold())


@given(histories(), st.data())
def test_i6_a_shallow_copy_stays_as_it_was_while_work_goes_on(world: World, data: st.DataObject) -> None:
    reads = [read for read in world.logs.read() if read.valid]
    at = data.draw(st.integers(0, len(reads)))
    fold = fold_reads(iter(reads[:at]), PartitionFold())
    copy, packed = dict(fold.chains), list(ChainPacker().pack(fold.chains.values(), fold.repeats.until))
    windows = dict(fold.repeats.until)
    fold_reads(iter(reads[at:]), fold)
    assert list(ChainPacker().pack(copy.values(), windows)) == packed


# ---- I7


@given(histories())
def test_i7_every_post_has_its_cause_in_the_log_and_one_webhook_id_a_step(world: World) -> None:
    names: dict[str, tuple[str, int]] = {}
    for sent in world.sent:
        made = ChainId.parse(sent.chain.id)
        assert made.cause < (sent.ends.commands if made.run else sent.ends.pushes)
        assert names.setdefault(webhook_id(sent.chain.id, sent.step), (sent.chain.id, sent.step)) == (
            sent.chain.id,
            sent.step,
        )


# ---- I8


@given(histories())
def test_i8_an_open_chain_always_has_something_due_or_a_finite_wait(world: World) -> None:
    for chain in states_on_the_way(world.logs):
        for now in (0, world.now, 2**47):
            match decide(chain, now):
                case Wait(step, until):
                    assert now < until < 2**47
                    after = decide(chain, until)
                    assert isinstance(after, Close | Post), "what was waited for happens when its time has come"
                    assert after.step == step
                case Post() | Close() | Halt() | Complete():
                    pass


@given(histories())
def test_i8_with_everything_working_every_chain_ends(world: World) -> None:
    world.settle()
    assert world.logs.fold().chains == {}


# ---- I9


@given(histories())
def test_i9_no_callback_timeout_while_a_verdict_lies_below_its_read_to(world: World) -> None:
    for _, event in valid_decisions(world.logs):
        if isinstance(event, ChainHalted) and event.reason is HaltReason.CALLBACK_TIMEOUT:
            verdict = first_verdict(world.logs, event.chain_id, event.step)
            assert verdict is None


@given(histories())
def test_i9_a_verdict_that_was_read_leaves_nothing_to_post_close_or_time_out(world: World) -> None:
    for chain in states_on_the_way(world.logs):
        action = decide(chain, 2**47)
        if isinstance(action, Post | Close | Seal) or (isinstance(action, Halt) and action.reason in UNCAUSED):
            assert chain.step(action.step).verdict is None


# ---- I10


@given(histories())
def test_i10_a_reader_that_starts_anywhere_judges_every_decision_as_all_do(world: World) -> None:
    logs = world.logs
    deliveries = logs.records[Topic.DELIVERIES]
    good = {offset for offset, _ in valid_decisions(logs)}
    for start in range(len(deliveries)):
        reader = PartitionReader(PARTITION, logs.ends._replace(deliveries=start), fence=None)
        got: dict[int, bool] = {}
        for _ in range(2):  # the second time after going back to the Fence
            reader.offer(Topic.DELIVERIES, deliveries[reader.next_fetch(Topic.DELIVERIES) :])
            got |= {read.record.offset: read.valid for read in reader.read()}
            reader.rewound()
        for offset in range(start, len(deliveries)):
            assert got[offset] == (offset in good or isinstance(logs.events[Topic.DELIVERIES][offset][0], Fence))


# ---- helpers: the logs as they are, without the code under test


def first_verdict(logs: Logs, chain_id: str, step: int) -> tuple[int, Verdict] | None:
    """None where a seal lies below it, too."""
    sealed = first_seal(logs, chain_id, step)
    for offset, (event, _) in enumerate(logs.events[Topic.CALLBACKS]):
        if isinstance(event, CallbackReceived) and (event.chain_id, event.step) == (chain_id, step):
            return None if sealed is not None and sealed < offset else (offset, event.state)
    return None


def first_seal(logs: Logs, chain_id: str, step: int) -> int | None:
    """Of the first valid intent of that step."""
    intents = [o for o, e in valid_decisions(logs) if is_intent(e) and (e.chain_id, e.step) == (chain_id, step)]
    for offset, (event, _) in enumerate(logs.events[Topic.CALLBACKS]):
        is_its = isinstance(event, StepSealed) and (event.chain_id, event.step) == (chain_id, step)
        if is_its and intents and event.intent == intents[0]:
            return offset
    return None


def fence_at(logs: Logs, end: int) -> int:
    """The last Fence below that end."""
    events = logs.events[Topic.DELIVERIES][:end]
    return max(offset for offset, (event, _) in enumerate(events) if isinstance(event, Fence))


def valid_decisions(logs: Logs) -> list[tuple[int, Decision]]:
    out, token = [], None
    for offset, (event, fence) in enumerate(logs.events[Topic.DELIVERIES]):
        if isinstance(event, Fence):
            token = offset
        elif fence == token:
            assert isinstance(event, HookAttemptFailed | HookDelivered | StepClosing | ChainHalted | ChainCompleted)
            out.append((offset, event))
    return out


def states_on_the_way(logs: Logs) -> Iterator[Chain]:
    """Each open chain as it was after each event that touched it."""
    fold = PartitionFold()
    for read in logs.read():
        if read.valid:
            for name in fold.fold(read.record.event, read.record.offset, read.record.timestamp):
                if name in fold.chains:
                    yield fold.chains[name]


def read_in_pieces(
    logs: Logs,
    data: st.DataObject,
    reader: PartitionReader,
    fold: PartitionFold,
    ends: Positions,
    *,
    again: bool = False,
) -> PartitionFold:
    """Offer each log up to those ends in pieces of any size and in any order (again: some of it once more), and fold."""
    while waiting := [topic for topic in LOGS if reader.next_fetch(topic) < ends.of(topic)]:
        topic = data.draw(st.sampled_from(waiting))
        at = reader.next_fetch(topic)
        back = data.draw(st.integers(0, at)) if again else 0
        count = data.draw(st.integers(1, ends.of(topic) - at))
        reader.offer(topic, logs.records[topic][at - back : at + count])
        fold_reads(reader.read(), fold)
    return fold


def state(fold: PartitionFold) -> tuple[dict[str, Chain], dict[str, int], int]:
    return dict(fold.chains), dict(fold.repeats.until), fold.repeats.clock
