"""What Kafka does not take or give, and topics that change below a replica that runs: said, and ended where only a restart mends it."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import pytest
from aiohttp import ClientSession
from prometheus_client import generate_latest
from structlog.testing import capture_logs

from hookline.chain.ids import ChainId, partition_of
from hookline.errors import ForeignLog, LogUnavailable, Refused, TopicsUnfit
from hookline.log import snapshots
from hookline.log.cluster import Consumer
from hookline.log.reader_status import READER_STOPPED
from hookline.log.records import Place, RawRecord, Topic
from hookline.log.snapshots import DISPATCHER_GROUP
from hookline.log.watch import LogState
from services.callbacks.service import CallbacksService
from tests.kit.clocks import HandClock
from tests.kit.waiting import until
from tests.unit.callbacks.checkpoints import beside, snapshot
from tests.unit.callbacks.world import KEYS, LOG_ID, World, serving


def made(partitions: int = 3) -> World:
    world = World(partitions=partitions)
    world.clock = HandClock(lambda seconds: seconds / 100)
    return world


class Found:
    """What looks at the topics find."""

    def __init__(self) -> None:
        self.next: LogState | Exception = LogState(LOG_ID)

    async def check(self) -> LogState:
        if isinstance(self.next, Exception):
            raise self.next
        return self.next


class Service:
    """A service that runs, and a client of it."""

    def __init__(self, world: World, service: CallbacksService, client: ClientSession) -> None:
        self.world, self.service, self.client = world, service, client

    async def post(self, chain: ChainId, step: int = 1) -> tuple[int, str | None, object]:
        self.world.clock.advance(1)  # not more often than a step may be called back
        async with self.client.post(self.world.path(chain, step), json={"state": "success"}) as answer:
            return answer.status, answer.headers.get("Retry-After"), await answer.json()

    async def ended(self) -> None:
        """Raises what ended it, as time goes by."""
        ending = asyncio.create_task(self.service.wait())
        await until(ending.done, pause_s=0.01, meanwhile=lambda: self.world.clock.advance(1))
        await ending


@asynccontextmanager
async def starting(world: World, found: Found | None = None) -> AsyncIterator[Service]:
    service = CallbacksService(KEYS, world.clock, world.cluster, (found or Found()).check)
    await service.start()
    try:
        async with serving(service.app) as client:
            yield Service(world, service, client)
    finally:
        await service.stop()


@asynccontextmanager
async def running(world: World, found: Found | None = None) -> AsyncIterator[Service]:
    """Once it is ready."""
    async with starting(world, found) as it:
        await until(lambda: it.service.ready().ok)
        yield it


async def test_a_verdict_that_its_topic_is_too_small_for_is_413_and_others_are_taken() -> None:
    world = made()
    chain, other = world.push(), world.push()
    async with running(world) as it:
        world.cluster.limits[Topic.CALLBACKS] = 1
        assert await it.post(chain) == (413, None, {"detail": "too large for Kafka's topic as configured"})
        assert world.callbacks(chain) == []
        del world.cluster.limits[Topic.CALLBACKS]
        assert (await it.post(other))[0] == 200
        assert (await it.post(chain))[0] == 200


async def test_a_right_that_is_missing_is_503_and_stands_in_readiness_until_it_is_given() -> None:
    world, found = made(), Found()
    chain = world.push()
    async with running(world, found) as it:
        world.cluster.denied.add(Topic.CALLBACKS)
        found.next = LogState(LOG_ID, denied=("Kafka does not let us write to x.callbacks",))
        status, again, body = await it.post(chain)
        assert (status, again) == (503, "5")
        assert "right" in str(body)
        await until(lambda: not it.service.ready().ok)
        assert it.service.ready().detail.startswith("Kafka does not let us write to x.callbacks; ")
        world.cluster.denied.clear()
        found.next = LogState(LOG_ID)
        await until(lambda: it.service.ready().ok)
        assert (await it.post(chain))[0] == 200


async def test_a_lowered_limit_is_said_and_leaves_it_ready() -> None:
    world, found = made(), Found()
    async with running(world, found) as it:
        found.next = LogState(LOG_ID, narrow=("x.callbacks has max.message.bytes=50000",))
        await until(lambda: "x.callbacks has max.message.bytes=50000" in it.service.ready().detail)
        assert it.service.ready().ok


@pytest.mark.parametrize("error", [TopicsUnfit("there is no topic x.callbacks"), ForeignLog("it was made anew")])
async def test_what_a_look_at_the_topics_finds_ends_it(error: Exception) -> None:
    world, found = made(), Found()
    async with running(world, found) as it:
        found.next = error
        with pytest.raises(type(error)):
            await it.ended()


@pytest.mark.parametrize("topic", [Topic.PUSHES, Topic.CALLBACKS, Topic.COMMANDS, Topic.DELIVERIES])
async def test_a_log_that_was_made_anew_is_read_anew(topic: Topic) -> None:
    """For ever "trying again" was no answer: nothing that it holds is of that log any more."""
    world = made(partitions=1)
    chain = world.push()
    world.cancel(world.push())
    world.delivered(chain, 1)
    world.verdict(chain, 1, "success")
    async with running(world) as it:
        with capture_logs() as lines:
            world.cluster.make_anew(topic)
            await until(lambda: any("has lost records" in line["event"] for line in lines))
        if topic is not Topic.PUSHES:  # the others rest on it: see below
            await until(lambda: it.service.ready().ok)
            assert (await it.post(world.push()))[0] == 200


@pytest.mark.parametrize("at_start", [True, False], ids=["at the start", "while it runs"])
async def test_a_record_whose_cause_is_lost_stops_its_partition_and_no_other_until_the_cause_is_there(
    *, at_start: bool
) -> None:
    world = made()
    chain, other = world.push(), world.push()
    while (partition := partition_of(chain.push_id, 3)) == partition_of(other.push_id, 3):
        other = world.push()
    pushes = Place(Topic.PUSHES, partition)
    lost = chain._replace(offset=world.cluster.end(pushes) + 1)

    def says(words: str) -> bool:
        world.clock.advance(1)
        return words in it.service.ready().detail

    with capture_logs() as lines:
        if at_start:
            world.verdict(lost, 1, "success")
        async with starting(world) as it:
            if not at_start:
                await until(lambda: it.service.ready().ok)
                world.verdict(lost, 1, "success")
            words = f"{pushes.topic}[{partition}]@{lost.offset}, and pushes[{partition}] ends at {lost.offset - 1}"
            await until(lambda: says(f"partition {partition}: stopped: callbacks[{partition}]@0 rests on {words}"))
            await until(lambda: it.service.ready().ok)  # the others are read and answered
            assert (await it.post(chain))[:2] == (503, "30")
            assert (await it.post(other))[0] == 200
            label = f'hookline_reader_stopped_offset{{partition="{partition}",reader="callbacks",topic="callbacks"}}'
            assert f"{label} 0.0" in generate_latest().decode()
            world.push(push_id=beside(chain, world))
            await until(lambda: says(f"ends at {lost.offset}"))
            assert (await it.post(chain))[0] == 503
            world.push(push_id=beside(chain, world))
            await until(lambda: says("3 of 3 partitions are current"))
            assert it.service.ready().ok
            assert (await it.post(chain))[0] == 200
            assert label not in generate_latest().decode()
    assert [line["event"] for line in lines if line["event"].startswith("partition ")] == [
        "partition stopped: the cause of a record is lost",
        "partition goes on",
    ]


async def test_who_waits_for_an_answer_in_a_partition_that_stops_is_answered_503_at_once() -> None:
    world = made(partitions=1)
    chain = world.push()
    async with running(world) as it:
        world.hold_up_callbacks(chain)
        asked = asyncio.create_task(it.post(chain))

        def is_answered() -> bool:
            world.clock.advance(1)
            return asked.done()

        await until(is_answered)
        assert asked.result()[:2] == (503, "30")
    READER_STOPPED.clear()  # it lacks its cause for good


async def test_a_commit_beyond_the_end_of_a_log_is_folded_anew_where_nothing_was_ever_deleted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the snapshot holds came of records that are gone, too."""
    monkeypatch.setattr(snapshots, "ASKED_AGAIN_S", 0)
    world = made(partitions=1)
    chain, lost = world.push(), world.push()
    saved = await snapshot(world, lost)
    world.cluster.membership(DISPATCHER_GROUP).commits.update(saved.commits(0))
    world.cluster.truncate(Place(Topic.PUSHES, 0), 1)
    with capture_logs() as lines:
        async with running(world) as it:
            assert (await it.post(chain))[0] == 200
    (line,) = [line for line in lines if "records were lost" in line["event"]]
    assert line["reason"] == "the group has read pushes to 2, and the log has 0 to 1"
    world.cluster.delete_below(Place(Topic.PUSHES, 0), 1)
    async with starting(world) as it:
        await until(lambda: "delete the group dispatcher" in it.service.ready().detail)
        assert not it.service.ready().ok, "chains that only the snapshot has would be forgotten"


@pytest.mark.parametrize("error", [LogUnavailable("no broker answers"), Refused("Kafka does not let us read x.pushes")])
async def test_a_replica_that_cannot_read_is_not_ready_however_current_it_was(error: LogUnavailable) -> None:
    world = made()
    chain = world.push()
    make = world.cluster.consumer
    trouble: list[LogUnavailable] = []

    async def consumer(gather_ms: int = 0) -> Consumer:
        made = await make(gather_ms)
        poll = made.poll

        async def in_trouble(timeout_s: float) -> Mapping[Place, Sequence[RawRecord]]:
            if trouble:
                raise trouble[0]
            return await poll(min(timeout_s, 0.01))

        made.poll = in_trouble  # type: ignore[method-assign]
        return made

    world.cluster.consumer = consumer  # type: ignore[method-assign]
    async with running(world) as it:
        trouble.append(error)
        await until(lambda: f"trying again: {error}" in it.service.ready().detail)
        assert not it.service.ready().ok
        trouble.clear()
        await until(lambda: it.service.ready().ok and "trying again" not in it.service.ready().detail)
        assert (await it.post(chain))[0] == 200
