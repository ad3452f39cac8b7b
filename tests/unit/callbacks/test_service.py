"""callbacks as a service: what its probes say, what ends it, and that nothing secret is said (I11)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest
from prometheus_client import generate_latest

from hookline.chain.ids import partition_of
from hookline.errors import ForeignLog, LogUnavailable, TopicsUnfit
from hookline.log.records import Draft, Place, Topic
from hookline.log.snapshots import DISPATCHER_GROUP, Checkpoint
from hookline.log.watch import LogState
from hookline.testing.manual_clock import ManualClock
from hookline.testing.memory import MemoryCluster
from hookline.web.log_service import DEAD_LOOP_S
from services.callbacks.service import CallbacksService
from tests.kit.waiting import until
from tests.unit.callbacks.world import HOUR_MS, KEYS, LOG_ID, World, serving


async def log_id() -> LogState:
    return LogState(LOG_ID)


@asynccontextmanager
async def started(service: CallbacksService) -> AsyncIterator[CallbacksService]:
    await service.start()
    try:
        yield service
    finally:
        await service.stop()


def made(world: World, cluster: MemoryCluster | None = None) -> CallbacksService:
    return CallbacksService(KEYS, world.clock, cluster or world.cluster, log_id)


async def test_ready_when_every_partition_is_restored() -> None:
    world = World()
    chain = world.push()
    service = made(world)
    assert not service.ready().ok
    async with started(service), serving(service.app) as client:
        await until(lambda: service.ready().ok)
        assert service.ready().detail == "3 of 3 partitions are current"
        async with client.post(world.path(chain, 1), json={"state": "success"}) as answer:
            assert answer.status == 200


async def test_readiness_says_how_far_the_restore_is() -> None:
    world = World(partitions=1)
    chain = world.push()
    for _ in range(3):
        world.verdict(chain, 1, "success")
    world.hold_up_callbacks(chain)
    service = made(world)
    async with started(service), serving(service.app) as client:
        await until(lambda: "events read" in service.ready().detail and "0 of" not in service.ready().detail[40:])
        assert not service.ready().ok
        assert service.ready().detail == "0 of 1 partitions are current; partition 0: 4 of 5 events read"
        async with client.post(world.path(chain, 1), json={"state": "success"}) as answer:
            assert answer.status == 503


async def test_a_stopped_partition_is_said_and_does_not_make_the_replica_unready() -> None:
    world = World()
    bad = world.cluster.append(Draft(Place(Topic.COMMANDS, 1), None, b"{}", {"ce_type": b"hookline.NewThing.v1"}))
    service = made(world)
    async with started(service):
        await until(lambda: service.ready().ok)
        assert f"partition 1: stopped: commands[1]@{bad}" in service.ready().detail
    metrics = generate_latest().decode()
    assert f'hookline_reader_stopped_offset{{partition="1",reader="callbacks",topic="commands"}} {bad:.1f}' in metrics


async def test_a_replica_of_which_every_partition_has_stopped_is_not_ready() -> None:
    world = World(partitions=1)
    world.cluster.append(Draft(Place(Topic.COMMANDS, 0), None, b"{}", {"ce_type": b"hookline.NewThing.v1"}))
    service = made(world)
    async with started(service):
        await until(lambda: "stopped" in service.ready().detail)
        assert not service.ready().ok


async def test_kafka_away_at_first() -> None:
    world = World()
    chain = world.push()
    world.cluster.down = True

    async def check_log() -> LogState:
        await world.cluster.reach()
        return LogState(LOG_ID)

    service = CallbacksService(KEYS, world.clock, world.cluster, check_log)
    async with started(service), serving(service.app) as client:
        await until(lambda: "no broker answers" in service.ready().detail)
        async with client.post(world.path(chain, 1), json={"state": "success"}) as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
        world.cluster.down = False
        await until(lambda: service.ready().ok)


async def test_kafka_away_later_is_said_and_it_is_not_ready_meanwhile() -> None:
    world = World()
    chain = world.push()
    service = made(world)
    async with started(service), serving(service.app) as client:
        await until(lambda: service.ready().ok)
        world.cluster.down = True
        async with client.post(world.path(chain, 1), json={"state": "success"}) as answer:
            assert answer.status == 503
        await until(lambda: not service.ready().ok and "trying again: no broker answers" in service.ready().detail)
        world.cluster.down = False
        await until(lambda: service.ready().ok)

        async def answered() -> bool:
            world.clock.advance(100 / 1000)  # not more often than a step may be called back
            async with client.post(world.path(chain, 1), json={"state": "success"}) as answer:
                return answer.status == 200

        await until(answered)


async def test_no_verdict_is_refused_as_too_late_by_a_clock_that_may_be_wrong() -> None:
    world = World()
    chain, brokers = world.push(), ManualClock(world.now)
    world.cluster.clock = brokers
    service = made(world)

    async def post(expires_in_ms: int) -> int:
        world.clock.advance(100 / 1000)  # not more often than a step may be called back
        async with client.post(world.path(chain, 1, expires_in_ms=expires_in_ms), json={"state": "error"}) as answer:
            return answer.status

    async with started(service), serving(service.app) as client:
        await until(lambda: service.ready().ok)
        assert await post(-1) == 503, "nothing was appended yet: nobody has told what time it is"
        assert "this clock has not been compared" in service.ready().detail
        world.clock.advance((HOUR_MS) / 1000)
        other, chain = chain, world.push()
        assert await post(HOUR_MS) == 200
        assert "this clock is 3600 s ahead of the brokers'" in service.ready().detail
        assert service.ready().ok, "others are no better placed to answer what is not late"
        chain = other
        assert await post(-1) == 503
        brokers.advance(3600)
        chain = world.push()
        assert await post(HOUR_MS) == 200
        assert "clock" not in service.ready().detail
        chain = other
        assert await post(-1) == 400


async def test_liveness_is_the_age_of_the_last_poll_and_not_whether_kafka_answers() -> None:
    world = World()

    async def never() -> LogState:
        await asyncio.Event().wait()
        raise AssertionError

    service = CallbacksService(KEYS, world.clock, world.cluster, never)
    async with started(service):
        assert service.live().ok
        world.clock.advance(DEAD_LOOP_S)
        assert not service.live().ok

    async def away() -> LogState:
        raise LogUnavailable("no broker answers")

    service = CallbacksService(KEYS, world.clock, world.cluster, away)
    async with started(service):
        world.clock.advance(DEAD_LOOP_S)
        await until(lambda: service.live().ok)

    service = made(world)
    async with started(service):
        await until(lambda: service.ready().ok)
        world.cluster.down = True
        world.clock.advance(DEAD_LOOP_S)
        await until(lambda: service.live().ok)


async def test_topics_that_do_not_fit_end_it() -> None:
    async def unfit() -> LogState:
        raise TopicsUnfit("there is no topic hookline.pushes: run `hookline topics create`")

    world = World()
    async with started(CallbacksService(KEYS, world.clock, world.cluster, unfit)) as service:
        with pytest.raises(TopicsUnfit):
            await service.wait()


async def test_a_foreign_log_ends_it() -> None:
    world = World()
    chain = world.push()
    partition = partition_of(chain.push_id, 3)
    foreign = Checkpoint(world.positions(partition), -1, 0, uuid4())
    world.cluster.membership(DISPATCHER_GROUP).commits.update(foreign.commits(partition))
    async with started(made(world)) as service:
        with pytest.raises(ForeignLog):
            await service.wait()


async def test_the_wait_of_a_service_that_is_told_to_stop_does_not_stop_it() -> None:
    """HTTP drains first: requests under way still need the tails."""
    world = World()
    chain = world.push()
    async with started(made(world)) as service, serving(service.app) as client:
        await until(lambda: service.ready().ok)
        waiting = asyncio.create_task(service.wait())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        async with client.post(world.path(chain, 1), json={"state": "success"}) as answer:
            assert answer.status == 200


async def test_no_token_is_logged_or_counted(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level("DEBUG")
    world = World()
    chain = world.push()
    paths = [world.path(chain, 1), world.path(chain, 2).rstrip("/"), world.path(chain, 1, repository="library/nginx")]
    async with started(made(world)) as service, serving(service.app) as client:
        await until(lambda: service.ready().ok)
        for path in paths:
            for body in (b'{"state": "success"}', b"x", b"x" * 70_000):
                async with client.post(path, data=body) as answer:
                    assert answer.status in (200, 400, 413)
            async with client.get(path) as answer:
                assert answer.status == 405
            async with client.post(path.replace("/hook/", "/hook/x"), data=b"{}") as answer:
                assert answer.status == 404
    said = caplog.text + "".join(capsys.readouterr()) + generate_latest().decode()
    assert "/u/{repository}/hook/{token}" in said
    for path in paths:
        token = path.rstrip("/").rsplit("/", 1)[1]
        assert token[:20] not in said
        assert token[-20:] not in said
        assert "acme" not in said
