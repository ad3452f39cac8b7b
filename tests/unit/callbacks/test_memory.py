"""What a replica keeps: bounded, without plans and payloads."""

from hookline.chain.events import HaltReason, Verdict
from hookline.chain.fold import Repeats, apply, start
from hookline.chain.state import Chain, FirstVerdict
from hookline.log.codec import Record, decode
from hookline.log.records import Place, Positions, Topic
from hookline.log.snapshots import Restored
from services.callbacks.replica_memory import KEEP_ENDED_S, EndedChains, PartitionMemory
from tests.kit.clocks import HandClock
from tests.kit.events import halted
from tests.unit.callbacks.world import World, push_event

PUSH = "00000000-0000-4000-8000-000000000000"


def ended_chain(number: int) -> Chain:
    (chain,) = start(push_event(PUSH, 1), number)
    return apply(chain, halted(chain.id, 1, HaltReason.CANCELLED), 0)


def records(world: World, topic: Topic) -> list[Record]:
    return [decode(raw) for raw in world.cluster.log(Place(topic, 0))]


def test_ended_chains_are_forgotten_after_an_hour_of_the_clock() -> None:
    clock = HandClock()
    ended = EndedChains(clock.monotonic)
    first, second = ended_chain(1), ended_chain(2)
    ended.add(first)
    clock.advance(KEEP_ENDED_S - 0.001)
    ended.add(second)
    assert ended.get(first.id) == first
    clock.advance(1 / 1000)
    assert ended.get(first.id) is None
    assert ended.get(second.id) == second
    ended.add(ended_chain(3))
    assert len(ended) == 2


def test_of_too_many_ended_chains_the_newest_are_kept() -> None:
    ended = EndedChains(HandClock().monotonic, limit=3)
    chains = [ended_chain(number) for number in range(10)]
    for chain in chains:
        ended.add(chain)
    assert [chain for chain in chains if ended.get(chain.id)] == chains[-3:]


def test_neither_plan_nor_payload_is_kept() -> None:
    world = World(partitions=1)
    chain = world.push()
    run = world.rerun(chain)
    world.verdict(chain, 1, "success")
    snapshot_chain = next(start(push_event(PUSH, 2), 77))
    memory = PartitionMemory(
        Restored(Positions(), -1, None, {snapshot_chain.id: snapshot_chain}, Repeats()),
        EndedChains(HandClock().monotonic),
    )
    for topic in (Topic.PUSHES, Topic.COMMANDS, Topic.CALLBACKS):
        for record in records(world, topic):
            memory.take(record)
    for chain_id in (str(chain), str(run), snapshot_chain.id):
        kept = memory.chain(chain_id)
        assert kept is not None
        assert len(kept.steps) == 2
        assert (kept.plan.hooks, kept.payload) == ((), b"")


def test_a_verdict_after_the_end_is_the_first_of_its_step_all_the_same() -> None:
    world = World(partitions=1)
    chain = world.push()
    world.cancel(chain)
    world.halted(chain, 1, HaltReason.CANCELLED)
    world.verdict(chain, 2, "error")
    world.verdict(chain, 2, "success")
    memory = PartitionMemory(Restored(Positions(), -1, None, {}, Repeats()), EndedChains(HandClock().monotonic))
    for topic in (Topic.PUSHES, Topic.COMMANDS, Topic.DELIVERIES, Topic.CALLBACKS):
        for record in records(world, topic):
            memory.take(record)
    kept = memory.chain(str(chain))
    assert kept is not None
    assert kept.ending is not None
    verdict = kept.step(2).verdict
    assert verdict is not None
    assert (verdict.state, verdict.offset) == (Verdict.ERROR, 0)


def test_a_seal_read_after_the_end_voids_the_verdicts_above_it_all_the_same() -> None:
    world = World(partitions=1)
    chain = world.push()
    intent, later = world.closing(chain, 1), world.failed(chain, 2)
    world.halted(chain, 1, HaltReason.CALLBACK_TIMEOUT)
    world.sealed(chain, 1, intent)
    world.verdict(chain, 1, "success")
    world.sealed(chain, 2, later + 1)  # names no intent
    world.verdict(chain, 2, "error")
    memory = PartitionMemory(Restored(Positions(), -1, None, {}, Repeats()), EndedChains(HandClock().monotonic))
    for topic in (Topic.PUSHES, Topic.DELIVERIES, Topic.CALLBACKS):
        for record in records(world, topic):
            memory.take(record)
    kept = memory.chain(str(chain))
    assert kept is not None
    assert kept.ending is not None
    assert (kept.step(1).seal, kept.step(1).verdict) == (0, None)
    assert (kept.step(2).seal, kept.step(2).verdict) == (None, FirstVerdict(Verdict.ERROR, 3))


def test_a_repeated_push_is_no_chain() -> None:
    world = World(partitions=1)
    first = world.push(push_id=PUSH)
    again = world.push(push_id=PUSH)
    memory = PartitionMemory(Restored(Positions(), -1, None, {}, Repeats()), EndedChains(HandClock().monotonic))
    for record in records(world, Topic.PUSHES):
        memory.take(record)
    assert memory.chain(str(first)) is not None
    assert memory.chain(str(again)) is None
