"""How a replica starts and goes on: the dispatcher group's commit, that snapshot, the tails (design section 6)."""

import asyncio
from typing import Literal
from uuid import uuid4

import pytest
from prometheus_client import generate_latest

from hookline.chain.events import CancelRequested, HaltReason
from hookline.chain.ids import ChainId, partition_of
from hookline.errors import ForeignLog
from hookline.log.cluster import Commit
from hookline.log.records import LOGS, Draft, Place, Topic
from hookline.log.snapshots import DISPATCHER_GROUP, Checkpoint
from services.callbacks.replica import Replica
from services.callbacks.tail import Tail
from tests.kit.waiting import until
from tests.unit.callbacks.checkpoints import beside, snapshot
from tests.unit.callbacks.scripted import ScriptedCluster
from tests.unit.callbacks.world import LOG_ID, World
from tests.unit.log.faulty_fold import fault_in_fold


def commit(world: World, chain: ChainId, checkpoint: Checkpoint) -> None:
    partition = partition_of(chain.push_id, world.partitions)
    world.cluster.membership(DISPATCHER_GROUP).commits.update(checkpoint.commits(partition))


async def checkpoint(world: World, chain: ChainId) -> None:
    commit(world, chain, await snapshot(world, chain))


async def test_open_chain_in_the_snapshot_with_its_verdicts_intents_and_seals() -> None:
    world = World()
    chain = world.push()
    closing, sealed = (world.push(push_id=beside(chain, world)) for _ in range(2))
    world.verdict(chain, 1, "success")
    intent = world.failed(closing, 1)
    world.sealed(sealed, 1, world.failed(sealed, 1))
    await checkpoint(world, chain)
    async with world.replica() as replica:
        assert replica.replica.tails[partition_of(chain.push_id, 3)].positions == world.positions(
            partition_of(chain.push_id, 3)
        )
        assert await replica.post(chain, 1, "failure") == 400
        assert await replica.post(chain, 1, "success") == 200
        assert await replica.post(chain, 2, "success") == 200
        assert await replica.post(sealed, 1, "success") == 400
        world.sealed(closing, 1, intent)  # of the snapshot, whose offset came with it
        await replica.caught_up()
        assert await replica.post(closing, 1, "success") == 400
        assert world.callbacks(closing) == []


async def test_snapshot_and_the_tail_behind_it() -> None:
    world = World()
    chain = world.push()
    await checkpoint(world, chain)
    world.verdict(chain, 1, "failure")
    world.halted(chain, 1, HaltReason.CALLBACK_FAILURE)
    async with world.replica() as replica:
        assert await replica.post(chain, 1, "failure") == 200
        assert await replica.post(chain, 1, "success") == 400


async def test_nothing_below_the_committed_positions_is_read_again() -> None:
    world = World()
    chain = world.push()
    world.verdict(chain, 1, "success")
    world.fence(of=chain)
    await checkpoint(world, chain)
    partition = partition_of(chain.push_id, world.partitions)
    for topic in LOGS:
        world.cluster.delete_below(Place(topic, partition), len(world.cluster.log(Place(topic, partition))))
    async with world.replica() as replica:
        assert await replica.post(chain, 2, "success") == 200
        assert await replica.post(chain, 1, "success") == 200


async def test_unknown_chain_below_the_committed_position_ended_and_was_forgotten() -> None:
    world = World()
    ended = world.push()
    world.verdict(ended, 1, "failure")
    world.halted(ended, 1, HaltReason.CALLBACK_FAILURE)
    await checkpoint(world, ended)
    async with world.replica() as replica:
        assert await replica.post(ended, 1, "failure") == 400
        assert await replica.post(ended, 2, "success") == 400
    assert len(world.callbacks(ended)) == 1


async def test_unknown_run_below_the_committed_position_of_commands() -> None:
    world = World()
    chain = world.push()
    run = world.rerun(chain)
    world.halted(run, 1, HaltReason.CANCELLED)
    await checkpoint(world, chain)
    async with world.replica() as replica:
        assert await replica.post(run, 1, "success") == 400
        assert await replica.post(chain, 1, "success") == 200


async def test_chain_above_the_committed_position_is_new() -> None:
    world = World()
    old = world.push()
    await checkpoint(world, old)
    new = world.push(push_id=beside(old, world))
    async with world.replica() as replica:
        assert await replica.post(new, 1, "success") == 200


async def test_decisions_behind_a_snapshot_are_judged_by_the_fence_that_its_commit_names() -> None:
    world = World()
    chain = world.push()
    zombie = world.fence(of=chain)
    world.fence(of=chain)
    await checkpoint(world, chain)
    world.halted(chain, 1, HaltReason.CALLBACK_TIMEOUT, fence=zombie)
    async with world.replica() as replica:
        assert await replica.post(chain, 1, "success") == 200
        world.halted(chain, 2, HaltReason.CALLBACK_TIMEOUT)
        assert await replica.post(chain, 2, "success") == 400


async def test_a_commit_that_moves_on_while_we_run_changes_nothing() -> None:
    world = World()
    chain = world.push()
    await checkpoint(world, chain)
    async with world.replica() as replica:
        assert await replica.post(chain, 1, "failure") == 200
        world.halted(chain, 1, HaltReason.CALLBACK_FAILURE)
        await checkpoint(world, chain)
        assert await replica.post(chain, 1, "failure") == 200
    async with world.replica() as replica:
        assert await replica.post(chain, 1, "failure") == 400  # for a new replica it ended before


async def test_foreign_log_is_refused() -> None:
    world = World()
    chain = world.push()
    other = (await snapshot(world, chain)).commits(partition_of(chain.push_id, world.partitions))
    world.cluster.membership(DISPATCHER_GROUP).commits.update(
        {place: Commit(offset, said.replace(str(LOG_ID), str(uuid4()))) for place, (offset, said) in other.items()}
    )
    replica = Replica(world.cluster, world.partitions, LOG_ID, world.clock)
    with pytest.raises(ForeignLog):
        await replica.run()


@pytest.mark.parametrize("partitions", [1, 3])
async def test_a_snapshot_that_is_gone_is_looked_for_again_at_the_newest_commit(partitions: int) -> None:
    world = World(partitions=partitions)
    chain = world.push()
    partition = partition_of(chain.push_id, partitions)
    lost = await snapshot(world, chain)
    commit(world, chain, lost)
    world.cluster.delete_below(Place(Topic.SNAPSHOTS, partition), lost.snapshot + 1)
    async with world.replica(wait=False) as replica:
        await until(lambda: f"snapshots[{partition}]@{lost.snapshot}" in replica.replica.progress())
        assert await replica.post(chain, 1, "success") == 503
        await checkpoint(world, chain)

        def is_current() -> bool:
            world.clock.advance(100 / 1000)
            return replica.replica.current

        await until(is_current)
        assert await replica.post(chain, 1, "success") == 200


async def test_a_snapshot_that_is_gone_holds_up_no_other_partition() -> None:
    world = World()
    chain, elsewhere = world.push(), world.push()
    while partition_of(elsewhere.push_id, 3) == partition_of(chain.push_id, 3):
        elsewhere = world.push()
    lost = await snapshot(world, chain)
    commit(world, chain, lost)
    world.cluster.delete_below(Place(Topic.SNAPSHOTS, partition_of(chain.push_id, 3)), lost.snapshot + 1)
    async with world.replica(wait=False) as replica:
        await until(lambda: replica.replica.tails[partition_of(elsewhere.push_id, 3)].current)
        assert await replica.post(elsewhere, 1, "success") == 200
        assert await replica.post(chain, 1, "success") == 503
        assert not replica.replica.current


async def test_a_snapshot_that_cannot_be_read_stops_its_partition() -> None:
    world = World()
    chain, elsewhere = world.push(), world.push()
    while partition_of(elsewhere.push_id, 3) == partition_of(chain.push_id, 3):
        elsewhere = world.push()
    partition = partition_of(chain.push_id, world.partitions)
    good = await snapshot(world, chain)
    headers = {"ce_type": b"hookline.Snapshot.v1", "snapshot": b"x"}
    offset = world.cluster.append(Draft(Place(Topic.SNAPSHOTS, partition), b"x", b"\xc1", headers))
    commit(world, chain, Checkpoint(good.positions, good.fence, offset, LOG_ID))
    async with world.replica() as replica:
        assert await replica.post(chain, 1, "success") == 503
        assert await replica.post(elsewhere, 1, "success") == 200
        assert f"snapshots[{partition}]@{offset}" in replica.replica.tails[partition].progress()


async def test_a_record_that_cannot_be_read_stops_its_partition_and_only_that_one() -> None:
    world = World()
    chain, elsewhere = world.push(), world.push()
    while partition_of(elsewhere.push_id, 3) == partition_of(chain.push_id, 3):
        elsewhere = world.push()
    partition = partition_of(chain.push_id, world.partitions)
    async with world.replica() as replica:
        assert await replica.post(chain, 1, "success") == 200
        place = Place(Topic.DELIVERIES, partition)
        offset = world.cluster.append(Draft(place, None, b"{}", {"ce_type": b"hookline.NewThing.v1"}))
        await until(lambda: replica.replica.tails[partition].stopped is not None)
        assert await replica.post(chain, 1, "success") == 503
        assert await replica.post(elsewhere, 1, "success") == 200
        assert await replica.post(elsewhere, 1, "failure") == 400
        assert f"deliveries[{partition}]@{offset}" in replica.replica.tails[partition].progress()


async def go_on_past(
    topic: Literal["callbacks", "commands"], offset: int, tail: Tail, world: World, chain: ChainId
) -> None:
    """An operator skips the record that the tail has stopped at."""
    world.skip(topic, offset, partition_of(chain.push_id, world.partitions))
    world.clock.advance(6)
    await until(lambda: tail.stopped is None)


async def test_a_skipped_record_is_passed_over_by_who_is_stopped_and_by_who_starts_later() -> None:
    world = World()
    chain = world.push()
    partition = partition_of(chain.push_id, world.partitions)
    async with world.replica() as replica:
        tail = replica.replica.tails[partition]
        bad = world.cluster.append(Draft(Place(Topic.CALLBACKS, partition), None, b"{}", {"ce_type": b"hookline.Bad"}))
        await until(lambda: tail.stopped is not None)
        assert await replica.post(chain, 1, "success") == 503
        later = world.push(push_id=beside(chain, world))
        await go_on_past("callbacks", bad, tail, world, chain)
        assert await replica.post(chain, 1, "success") == 200
        assert await replica.post(later, 1, "failure") == 200
        assert f'stopped_offset{{partition="{partition}",topic="callbacks"' not in generate_latest().decode()
    async with world.replica() as replica:
        assert await replica.post(chain, 1, "success") == 200


async def test_a_record_that_cannot_be_folded_stops_its_partition_with_its_own_place_until_it_is_skipped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    chain = world.push()
    partition = partition_of(chain.push_id, world.partitions)
    raised = fault_in_fold(monkeypatch, lambda event: isinstance(event, CancelRequested))
    async with world.replica() as replica:
        tail = replica.replica.tails[partition]
        bad = world.cancel(chain)
        await until(lambda: tail.stopped is not None)
        assert str(tail.stopped).startswith(f"commands[{partition}]@{bad}: it can be read but not folded")
        later = world.push(push_id=beside(chain, world))
        await go_on_past("commands", bad, tail, world, chain)
        assert await replica.post(chain, 1, "success") == 200
        assert await replica.post(later, 1, "failure") == 200
    assert raised


async def test_callbacks_that_wait_when_a_partition_stops_are_told_at_once() -> None:
    world = World()
    chain = world.push()
    partition = partition_of(chain.push_id, world.partitions)
    async with world.replica() as replica:
        # Held at a cause that is nowhere, so that the append is never read back.
        world.hold_up_callbacks(chain)
        posting = asyncio.create_task(replica.post(chain, 1, "success"))
        await until(lambda: len(world.callbacks(chain)) == 1)
        bad = Draft(Place(Topic.PUSHES, partition), None, b"{}", {"ce_type": b"hookline.NewThing.v1"})
        world.cluster.append(bad)
        assert await posting == 503
        assert replica.replica.tails[partition].stopped is not None


async def test_a_consumer_that_gives_up_is_replaced_and_reads_on_from_where_it_was() -> None:
    cluster = ScriptedCluster()
    world = World(cluster)
    chain = world.push()
    async with world.replica() as replica:
        assert await replica.post(chain, 1, "success") == 200
        cluster.consumers[-1].gives_up = True
        await until(lambda: len(cluster.consumers) > 1)
        await until(lambda: replica.replica.trouble is None)
        assert await replica.post(chain, 2, "failure") == 200
        assert await replica.post(chain, 1, "success") == 200
        partition = partition_of(chain.push_id, world.partitions)
        assert replica.replica.tails[partition].positions == world.positions(partition)


async def test_a_replica_that_starts_before_kafka_is_there() -> None:
    world = World()
    chain = world.push()
    world.cluster.down = True
    async with world.replica(wait=False) as replica:
        await until(lambda: replica.replica.trouble is not None)
        assert await replica.post(chain, 1, "success") == 503
        world.cluster.down = False
        await until(lambda: replica.replica.current)
        assert await replica.post(chain, 1, "success") == 200
