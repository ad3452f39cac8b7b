"""Fences, restores, snapshots and crashes (design section 4), named after the model's scenarios where one is the like."""

import asyncio
from collections.abc import Sequence

import pytest

from hookline.chain.events import (
    AttemptError,
    CallbackReceived,
    ChainCompleted,
    ChainHalted,
    Event,
    HaltReason,
    HookAttemptFailed,
    HookDelivered,
    StepClosing,
    StepSealed,
)
from hookline.chain.fold import PartitionFold
from hookline.chain.packer import ChainPacker
from hookline.errors import KeyMissing
from hookline.log.codec import Record, encode
from hookline.log.records import Draft, Place, RawRecord, Topic
from hookline.log.skips import LOOK_S
from hookline.log.snapshots import DISPATCHER_GROUP
from hookline.testing.faults import CommitFate, Faults
from hookline.testing.memory import MemoryCluster
from services.dispatcher import metrics
from services.dispatcher.partition import State
from services.dispatcher.sender import HookPost, Outcome
from tests.kit.events import fence, skip
from tests.kit.waiting import until
from tests.metric_values import halted, value_of
from tests.unit.dispatcher.harness import DELIVERED, World, kill, member_of, plan, snapshots, stop_polling, worker_of


@pytest.fixture
def world() -> World:
    return World(MemoryCluster(1), checkpoint_events=3)


def packed(fold: PartitionFold) -> list[bytes]:
    """Open chains and windows, byte for byte (I6); chain by chain, since what a record shares is up to its writer."""
    chains = sorted((c for c in fold.chains.values() if c.ending is None), key=lambda c: c.id)
    windows = dict(sorted(fold.repeats.until.items()))
    return [*(value for c in chains for value in ChainPacker().pack([c], {})), *ChainPacker().pack([], windows)]


def trimmed(world: World) -> bool:
    log = world.cluster.log(Place(Topic.SNAPSHOTS, 0))
    return bool(log) and log[0].offset > 0


def fold_of(dispatcher) -> PartitionFold:  # type: ignore[no-untyped-def]
    return worker_of(dispatcher).fold


async def test_a_crash_between_post_and_event_repeats_under_the_same_id(world: World) -> None:
    world.receivers.hold()
    async with world.running("a"):
        world.push(plan(1))
        await until(lambda: world.receivers.posts)
    world.receivers.answer = lambda post: DELIVERED
    async with world.running("b"):
        await until(lambda: world.decisions(HookDelivered))
        world.verdict(world.only_chain())
        await until(lambda: world.decisions(ChainCompleted))
    assert len(world.receivers.ids) == 2
    assert len(set(world.receivers.ids)) == 1


async def test_snapshot_and_tail_are_the_full_fold(world: World) -> None:
    """I6, over several checkpoints and restores, the last of which reads a snapshot."""
    for round_number in range(4):
        async with world.running(f"d{round_number}") as dispatcher:
            for _ in range(5):
                world.push(plan(2))
            await until(lambda n=round_number: len(world.decisions(HookDelivered)) >= 5 * (n + 1))
            open_chains = [c.id for c in world.full_fold().chains.values() if c.ending is None]
            world.verdict(open_chains[0], 1)
            await until(lambda: packed(fold_of(dispatcher)) == packed(world.full_fold()))
    assert snapshots(world) >= 2


async def test_a_restore_reads_the_snapshot_that_the_commit_names_and_older_ones_are_deleted(world: World) -> None:
    async with world.running("a"):
        while not trimmed(world):
            world.push(plan(1))
            pushes = len(world.cluster.log(Place(Topic.PUSHES, 0)))
            await until(lambda n=pushes: len(world.decisions(HookDelivered)) == n)
            assert pushes < 1000
    offsets = await world.cluster.offsets()
    commit = (await offsets.committed(DISPATCHER_GROUP, [Place(Topic.PUSHES, 0)]))[Place(Topic.PUSHES, 0)]
    first = world.cluster.log(Place(Topic.SNAPSHOTS, 0))[0].offset
    assert f'"snapshot": {first}' not in commit.metadata, "one more snapshot than needed is kept"
    async with world.running("b") as dispatcher:
        assert packed(fold_of(dispatcher)) == packed(world.full_fold())


async def test_a_fence_above_the_token_ends_the_incarnation_and_a_new_one_restores(world: World) -> None:
    """Scenario fence-late: whoever wrote it, our own earlier self too."""
    async with world.running("a") as dispatcher:
        token = worker_of(dispatcher).token
        world.push(plan(1))
        await until(lambda: world.decisions(HookDelivered))
        world.append(fence("a"))
        await until(lambda: (w := dispatcher.partitions[0].worker) is not None and w.token > token)
        await until(lambda: dispatcher.ready().ok)
        world.verdict(world.only_chain())
        await until(lambda: world.decisions(ChainCompleted))


async def test_a_commit_whose_fence_is_above_the_token_stops_the_restore(world: World) -> None:
    """Scenario com-fence."""
    async with world.running("a"):
        for _ in range(3):
            world.push(plan(1))
        await until(lambda: snapshots(world))
    membership = world.cluster.membership(DISPATCHER_GROUP)
    place = Place(Topic.PUSHES, 0)
    await until(lambda: place in membership.commits)
    commit = membership.commits[place]
    membership.commits[place] = commit._replace(metadata=commit.metadata.replace('"fence": 0', '"fence": 9'))
    dispatcher = world.dispatcher("b")
    await dispatcher.start()
    await until(lambda: dispatcher.ready().ok)
    assert worker_of(dispatcher).token >= 9
    await kill(dispatcher)


async def test_a_zombie_decides_nothing_that_counts(world: World) -> None:
    """Another member takes the partition; what the first still appends is void (I10)."""
    slow = world.receivers.hold(lambda post: len(world.receivers.posts) == 1)
    async with world.running("a") as zombie:
        world.push(plan(1))
        await until(lambda: world.receivers.posts)
        chain_id = world.only_chain()
        await stop_polling(world, zombie)
        world.cluster.membership(DISPATCHER_GROUP).dissolve()
        async with world.running("b"):
            await until(lambda: world.decisions(HookDelivered))
            slow.set()
            world.verdict(chain_id)
            await until(lambda: world.decisions(ChainCompleted))
    assert len(set(world.receivers.ids)) == 1
    assert len(world.decisions(ChainCompleted)) == 1


async def die_between_intent_and_halt(world: World) -> None:
    """A dispatcher whose last attempt failed, and whose StepSealed and ChainHalted never land."""
    append = world.cluster.append

    def lose_halts(draft: Draft) -> int:
        if draft.headers["ce_type"] in (b"hookline.StepSealed.v1", b"hookline.ChainHalted.v1"):
            raise RuntimeError("crash")
        return append(draft)

    world.cluster.append = lose_halts  # type: ignore[method-assign]
    async with world.running("a"):
        world.push(plan(1, delays=()))
        await until(lambda: world.decisions(HookAttemptFailed))
    world.cluster.append = append  # type: ignore[method-assign]


async def test_a_closing_found_by_a_restore_is_acted_on_at_once(world: World) -> None:
    """seal, crash between the intent and the halt; this worker's clock does not matter."""
    world.receivers.answer = lambda post: Outcome(1, 500, AttemptError.STATUS)
    await die_between_intent_and_halt(world)
    async with world.running("b"):
        await until(lambda: world.decisions(ChainHalted))
    assert len(world.receivers.posts) == 1


async def test_a_verdict_found_by_a_restore_goes_before_the_closing(world: World) -> None:
    """Scenario halt-race: the intent is in the log, then a verdict landed, then the worker died."""
    world.receivers.answer = lambda post: Outcome(1, 500, AttemptError.STATUS)
    await die_between_intent_and_halt(world)
    world.verdict(world.only_chain())
    async with world.running("b"):
        await until(lambda: world.decisions(ChainCompleted))
    assert not world.decisions(ChainHalted)


async def test_a_record_that_cannot_be_read_stops_its_partition_and_only_that() -> None:
    world = World(MemoryCluster(2))
    async with world.running("a") as dispatcher:
        draft = encode(world.push(plan(1), partition=1), 1, now_ms=1)
        world.cluster.append(Draft(draft.place, draft.key, b"{", draft.headers))
        await until(lambda: dispatcher.partitions[1].state is State.STOPPED)
        assert not dispatcher.ready().ok
        assert "pushes[1]@1" in dispatcher.ready().detail
        world.push(plan(1), partition=0)
        await until(lambda: world.decisions(HookDelivered, partition=0))


async def test_a_skipped_record_is_passed_over_by_who_is_stopped_and_by_who_starts_later(world: World) -> None:
    async with world.running() as dispatcher:
        bad = world.cluster.append(Draft(Place(Topic.PUSHES, 0), None, b"{}", {"ce_type": b"hookline.Broken"}))
        world.push(plan(1))
        await until(lambda: dispatcher.partitions[0].state is State.STOPPED)
        assert halted("dispatcher") == 1
        assert not world.receivers.posts
        world.append(skip("pushes", bad))

        def goes_on() -> bool:
            world.clock.advance(LOOK_S)
            return bool(world.receivers.posts)

        await until(goes_on)
        assert halted("dispatcher") == 0
    world.push(plan(1))
    async with world.running("b"):
        await until(lambda: len(set(world.receivers.ids)) == 2)


async def test_a_master_key_that_is_missing_sets_its_chains_aside_and_uses_up_no_attempt(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its operator must put it back; chains of other keys go on, and those of this one after a restart."""

    def answer(post: HookPost) -> Outcome:
        if post.hook.key == "k0":
            raise KeyMissing("k0")
        return DELIVERED

    world.receivers.answer = answer
    made = plan(1)
    lost = made.model_copy(update={"hooks": (made.hooks[0].model_copy(update={"key": "k0"}),)})
    async with world.running() as dispatcher:
        token = worker_of(dispatcher).token
        push = world.push(lost)
        await until(lambda: dispatcher.ready().troubles)
        (said,) = dispatcher.ready().troubles
        assert push.push_id in said
        assert "the master key k0 is not in HOOKLINE_MASTER_KEYS" in said
        world.push(plan(1))
        await until(lambda: world.decisions(HookDelivered))
        assert worker_of(dispatcher).token == token
    assert not world.decisions(HookAttemptFailed)
    said = "".join(capsys.readouterr())
    assert "the master key k0 is not in HOOKLINE_MASTER_KEYS" in said
    assert "Traceback" not in said
    world.receivers.answer = lambda post: DELIVERED  # it was put back, and the dispatcher started again
    async with world.running("b"):
        await until(lambda: len(world.decisions(HookDelivered)) == 2)


async def test_a_record_that_does_not_fit_its_chain_is_void_and_named(world: World) -> None:
    """Of a step that its plan does not have: the chain goes on, and so does everything else."""
    async with world.running("a") as dispatcher:
        token = worker_of(dispatcher).token
        world.push(plan(1))
        await until(lambda: world.decisions(HookDelivered))
        before = value_of(metrics.MISFITS.labels("callbacks"))
        at = world.verdict(world.only_chain(), step=9)
        await until(lambda: dispatcher.ready().troubles)
        assert dispatcher.ready() == (
            True, "running 1 partitions", (f"callbacks[0]@{at} is void: it names step 9 of a chain with 1",)
        )  # fmt: skip
        assert value_of(metrics.MISFITS.labels("callbacks")) == before + 1
        world.verdict(world.only_chain())
        await until(lambda: world.decisions(ChainCompleted))
        assert worker_of(dispatcher).token == token


async def test_a_record_that_cannot_be_folded_stops_its_partition_with_its_own_place_until_it_is_skipped(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a fault of ours: the rule of a record that cannot be read."""
    fold = PartitionFold.fold

    def faulty(self: PartitionFold, event: Event, offset: int, at: int) -> tuple[str, ...]:
        if isinstance(event, CallbackReceived):
            raise ZeroDivisionError
        return fold(self, event, offset, at)

    monkeypatch.setattr(PartitionFold, "fold", faulty)
    async with world.running() as dispatcher:
        push = world.push(plan(1))
        await until(lambda: world.decisions(HookDelivered))
        at = world.verdict(f"{push.push_id}-0-0-0")
        world.push(plan(1))
        await until(lambda: dispatcher.partitions[0].state is State.STOPPED)
        assert f"callbacks[0]@{at}: it can be read but not folded: ZeroDivisionError" in dispatcher.ready().detail
        world.append(skip("callbacks", at))

        def goes_on() -> bool:
            world.clock.advance(LOOK_S)
            return len(world.receivers.posts) == 2

        await until(goes_on)


async def test_the_broker_goes_and_comes_back(world: World) -> None:
    async with world.running("a") as dispatcher:
        world.push(plan(2))
        await until(lambda: world.decisions(HookDelivered))
        world.cluster.down = True
        await asyncio.sleep(0.05)
        assert dispatcher.live().ok
        world.cluster.down = False
        world.verdict(world.only_chain(), 1)
        await until(lambda: len(world.decisions(HookDelivered)) == 2)


async def test_two_dispatchers_share_the_partitions_and_the_rest_moves_when_one_goes() -> None:
    world = World(MemoryCluster(4))
    async with world.running("a") as first:
        async with world.running("b") as second:
            await until(
                lambda: len(first.partitions) == len(second.partitions) == 2 and first.ready().ok and second.ready().ok
            )
            for p in range(4):
                world.push(plan(1), partition=p)
            await until(lambda: all(world.decisions(HookDelivered, p) for p in range(4)))
        await until(lambda: len(first.partitions) == 4 and first.ready().ok, 20)
        for p in range(4):
            (chain_id,) = world.full_fold(p).chains
            world.verdict(chain_id, partition=p)
        await until(lambda: all(world.decisions(ChainCompleted, p) for p in range(4)))
    assert len(world.receivers.posts) == 4


async def test_sigterm_lets_open_posts_end_and_begins_no_other(world: World) -> None:
    answered = world.receivers.hold()
    dispatcher = world.dispatcher("a")
    await dispatcher.start()
    await until(lambda: dispatcher.ready().ok)
    world.push(plan(2))
    await until(lambda: world.receivers.posts)
    world.verdict(world.only_chain(), 1)  # step 2 is due, but not begun any more
    stopping = asyncio.create_task(dispatcher.stop())
    await asyncio.sleep(0.02)
    assert not stopping.done()
    answered.set()
    await stopping
    assert len(world.decisions(HookDelivered)) == len(world.receivers.posts)
    assert snapshots(world) == 1


async def test_no_halt_before_callbacks_was_read_to_its_step_sealed(world: World) -> None:
    """The verdict is in the log, the worker has not read it, and the intent is read back."""
    async with world.running("a") as dispatcher:
        world.push(plan(1, deadline_s=60))
        await until(lambda: world.decisions(HookDelivered))
        behind = Place(Topic.CALLBACKS, 0)
        member_of(world, dispatcher).pause(behind)
        world.verdict(world.only_chain())
        world.clock.advance(60)
        await until(lambda: world.decisions(StepClosing))
        await asyncio.sleep(20 * world.pace.poll_s)
        assert not world.decisions(ChainHalted)
        member_of(world, dispatcher).resume(behind)
        await until(lambda: world.decisions(ChainCompleted))


async def test_an_intent_is_sealed_once_and_the_halt_follows_its_seal(world: World) -> None:
    async with world.running("a"):
        world.push(plan(1, deadline_s=60))
        await until(lambda: world.decisions(HookDelivered))
        world.clock.advance(60)
        (halted,) = await until(lambda: world.decisions(ChainHalted))
    (intent,) = world.decisions(StepClosing)
    (sealed,) = seals(world)
    assert sealed.event.intent == intent.offset  # type: ignore[union-attr]
    assert halted.event.read_to.callbacks == sealed.offset + 1  # type: ignore[union-attr]


async def test_an_intent_that_was_restored_is_sealed_by_its_new_owner(world: World) -> None:
    """It has no other seal: the ends that its restore went by may be old ones."""
    async with world.running("a"):
        world.push(plan(1, deadline_s=60))
        await until(lambda: world.decisions(HookDelivered))
        world.cluster.denied.add(Topic.CALLBACKS)  # between the intent and its seal
        world.clock.advance(60)
        await until(lambda: world.decisions(StepClosing))
        assert not seals(world)
    world.cluster.denied.clear()
    async with world.running("b"):
        (halted,) = await until(lambda: world.decisions(ChainHalted))
    assert [r.event.intent for r in seals(world)] == [r.offset for r in world.decisions(StepClosing)]  # type: ignore[union-attr]
    assert halted.event.reason is HaltReason.CALLBACK_TIMEOUT  # type: ignore[union-attr]


async def test_a_restore_reads_deliveries_to_its_own_fence_whatever_its_end_is_told_to_be(world: World) -> None:
    """A deposed leader tells old ends: what workers before it decided lies below its Fence."""
    async with world.running("a"):
        world.push(plan(1))
        await until(lambda: world.decisions(HookDelivered))
    broker, held = world.cluster, [True]
    end, records = broker.end, broker.records

    def end_or_old(place: Place) -> int:
        return 0 if place.topic is Topic.DELIVERIES else end(place)

    def records_or_none(place: Place, offset: int, most: int) -> Sequence[RawRecord]:
        return () if held[0] and most > 1 and place.topic is Topic.DELIVERIES else records(place, offset, most)

    broker.end, broker.records = end_or_old, records_or_none  # type: ignore[method-assign]
    dispatcher = world.dispatcher("b")
    await dispatcher.start()
    await until(lambda: "events to read" in dispatcher.ready().detail)
    await asyncio.sleep(10 * world.pace.poll_s)
    assert "0: restoring" in dispatcher.ready().detail
    held[0] = False
    broker.notify()
    await until(lambda: dispatcher.ready().ok)
    await dispatcher.stop()


def seals(world: World) -> list[Record]:
    return [r.record for r in world.reads() if isinstance(r.record.event, StepSealed)]


@pytest.mark.parametrize("meanwhile", ["cancel", "verdict"])
async def test_a_post_that_waits_for_a_place_is_looked_at_again_before_it_begins(world: World, meanwhile: str) -> None:
    """Cancelled; or judged already, since a zombie had POSTed it: nobody needs it any more."""
    answered = world.receivers.hold()
    async with world.running("a") as dispatcher:
        for _ in range(32):
            world.push(plan(1))
        await until(lambda: len(world.receivers.posts) == 32)
        waiting = world.push(plan(2))
        await until(lambda: dispatcher.slots.waiting == 1)
        (chain_id,) = (c for c in world.full_fold().chains if c.startswith(waiting.push_id))
        if meanwhile == "cancel":
            world.cancel(chain_id)
            await until(lambda: world.ending(chain_id))
        else:
            world.verdict(chain_id)
            await until(lambda: f"{chain_id}-2" in world.receivers.ids)
        answered.set()
        await until(lambda: len(world.decisions(HookDelivered)) >= 32)
        await asyncio.sleep(10 * world.pace.poll_s)
    assert f"{chain_id}-1" not in world.receivers.ids


class OneLateCommit(Faults):
    """The first commit gets no answer and lands much later, if the group still lets it; all else goes well."""

    def commit(self) -> CommitFate:
        if self.budget:
            self.budget -= 1
            return CommitFate(answered=False, lands_after=100_000, gives_up_after=1)
        return CommitFate()


async def test_a_commit_without_an_answer_cannot_land_behind_a_later_one() -> None:
    """Scenario commit-late: its member leaves, so that a late commit is of an old generation."""
    none = {"held": 0, "late": 0, "refused": 0, "unanswered": 0, "split": 0}
    world = World(MemoryCluster(1, faults=OneLateCommit(0, budget=1, **none)), checkpoint_events=3)
    membership = world.cluster.membership(DISPATCHER_GROUP)
    async with world.running("a"):
        while not trimmed(world):
            world.push(plan(1))
            pushes = len(world.cluster.log(Place(Topic.PUSHES, 0)))
            await until(lambda n=pushes: len(world.decisions(HookDelivered)) == n)
        before = membership.commits[Place(Topic.PUSHES, 0)]
        await world.cluster.land_all()
        after = membership.commits[Place(Topic.PUSHES, 0)]
    assert after.offset >= before.offset, "the late one was refused"
