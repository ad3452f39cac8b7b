"""Pushes whose record Kafka does not take: kept in quarantine where that can be, else refused in words; never 503 forever."""

import asyncio
import json

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from hookline.errors import ForeignLog, Refused, TopicsUnfit
from hookline.log.cluster import Consumer
from hookline.log.records import Topic
from hookline.log.watch import LogState
from hookline.testing.memory import MemoryCluster
from services.ingress.metrics import TOO_LARGE
from tests.metric_values import value_of
from tests.unit.ingress.conftest import LOG_ID, Ingress
from tests.unit.ingress.test_digests import envelope, event, once
from tests.unit.ingress.test_service import cluster, serving

__all__ = ["cluster"]  # a fixture

LIMIT = 20_000


def body(tag: str, size: int = 0) -> str:
    """A push of Docker Hub with so much beside what counts."""
    sent = {"push_data": {"tag": tag}, "repository": {"repo_name": "acme/app", "full_description": "x" * size}}
    return json.dumps(sent)


def refused(source: str) -> float:
    return REGISTRY.get_sample_value("hookline_ingress_refused_total", {"source": source, "reason": "too_large"}) or 0


async def test_one_that_its_topic_is_too_small_for_goes_to_quarantine_and_is_202(ingress: Ingress) -> None:
    ingress.cluster.limits[Topic.PUSHES] = LIMIT
    sent = body("large", 3 * LIMIT)
    before = value_of(TOO_LARGE.labels("dockerhub"))
    tally = await ingress.deliver("dockerhub", sent)
    assert (tally["accepted"], tally["quarantined"]) == (0, 1)
    assert tally["reason"].startswith("Kafka refused the record of this push: ")
    assert value_of(TOO_LARGE.labels("dockerhub")) == before + 1
    (kept,) = ingress.quarantine()
    assert kept.raw == sent
    assert kept.reason.startswith("Kafka refused the record of this push: pushes does not take a record of ")
    assert ingress.pushes() == []


async def test_others_that_come_with_it_are_taken(ingress: Ingress) -> None:
    ingress.cluster.limits[Topic.PUSHES] = LIMIT
    sizes = [0, 3 * LIMIT, 0, 0, 3 * LIMIT, 0]
    tallies = await asyncio.gather(*(ingress.deliver("dockerhub", body(f"v{n}", size)) for n, size in enumerate(sizes)))
    assert [tally["accepted"] for tally in tallies] == [1, 0, 1, 1, 0, 1]
    assert {push.tag for push in ingress.pushes()} == {"v0", "v2", "v3", "v5"}
    assert len(ingress.quarantine()) == 2


async def test_one_that_quarantine_is_too_small_for_is_413_in_words(ingress: Ingress) -> None:
    for topic in (Topic.PUSHES, Topic.QUARANTINE):
        ingress.cluster.limits[topic] = LIMIT
    before = refused("dockerhub")
    answer = await ingress.post("dockerhub", body("large", 3 * LIMIT))
    assert answer.status == 413
    assert await answer.json() == {"detail": "too large for Kafka's topic as configured"}
    assert "Retry-After" not in answer.headers
    assert refused("dockerhub") == before + 1
    assert await ingress.deliver("dockerhub", body("small")) == {
        "accepted": 1,
        "duplicates": 0,
        "ignored": 0,
        "quarantined": 0,
    }


async def test_a_body_that_cannot_be_read_and_is_too_large_for_quarantine_is_413(ingress: Ingress) -> None:
    ingress.cluster.limits[Topic.QUARANTINE] = LIMIT
    assert (await ingress.post("dockerhub", "{" + "x" * 3 * LIMIT)).status == 413


async def test_once_the_limit_is_raised_the_same_push_is_taken(ingress: Ingress) -> None:
    """What was quarantined is no push: its registry, or an operator, may send it again."""
    ingress.cluster.limits[Topic.PUSHES] = LIMIT
    await ingress.deliver("dockerhub", body("large", 3 * LIMIT))
    del ingress.cluster.limits[Topic.PUSHES]
    assert (await ingress.deliver("dockerhub", body("large", 3 * LIMIT)))["accepted"] == 1


@pytest.mark.parametrize("topic", [Topic.PUSHES, Topic.QUARANTINE])
async def test_what_we_may_not_write_is_503_and_quarantined_nowhere(ingress: Ingress, topic: Topic) -> None:
    ingress.cluster.denied.add(topic)
    answer = await ingress.post("dockerhub", body("v1") if topic is Topic.PUSHES else "{")
    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) >= 1
    assert "right" in (await answer.json())["detail"]
    assert ingress.quarantine() == []
    ingress.cluster.denied.clear()
    assert (await ingress.deliver("dockerhub", body("v1")))["accepted"] == 1


async def test_a_push_in_turn_by_its_digest_is_quarantined_as_any_other(ingress: Ingress) -> None:
    ingress.set_pipeline(once())
    ingress.cluster.limits[Topic.PUSHES] = 1
    assert (await ingress.deliver("distribution", envelope(event(1))))["accepted"] == 0
    assert len(ingress.quarantine()) == 1
    del ingress.cluster.limits[Topic.PUSHES]
    assert (await ingress.deliver("distribution", envelope(event(2))))["accepted"] == 1
    assert [plan.slug for push in ingress.pushes() for plan in push.plans] == ["once"], "the first one was no push"


# ---- the service


async def test_readiness_says_which_right_is_missing_until_it_is_given(cluster: MemoryCluster) -> None:
    found = LogState(LOG_ID)

    async def check() -> LogState:
        return found

    async with serving(cluster, check) as it:
        await it.until(True)
        cluster.denied.add(Topic.PUSHES)
        found = LogState(LOG_ID, denied=("Kafka does not let us write to x.pushes",))
        with capture_logs() as lines:
            for _ in range(3):
                assert await it.push() == 503
            await it.until(False, "Kafka does not let us write to x.pushes")
        said = [line for line in lines if line["event"] == "Kafka refuses a record"]
        assert len(said) == 1, "once, not for each push"
        cluster.denied.clear()
        found = LogState(LOG_ID)
        await it.until(True)
        assert await it.push() == 202


async def test_a_lowered_limit_is_said_and_leaves_it_ready(cluster: MemoryCluster) -> None:
    found = LogState(LOG_ID)

    async def check() -> LogState:
        return found

    async with serving(cluster, check) as it:
        await it.until(True)
        found = LogState(LOG_ID, narrow=("x.pushes has max.message.bytes=5",))
        await it.until(True, "x.pushes has max.message.bytes=5")
        assert await it.push() == 202


@pytest.mark.parametrize("error", [TopicsUnfit("there is no topic x.pushes"), ForeignLog("x.pushes was made anew")])
async def test_what_only_a_restart_mends_ends_it(cluster: MemoryCluster, error: Exception) -> None:
    found: list[Exception] = []

    async def check() -> LogState:
        if found:
            raise found[0]
        return LogState(LOG_ID)

    async with serving(cluster, check) as it:
        await it.until(True)
        found.append(error)
        with pytest.raises(type(error)):
            await asyncio.wait_for(it.service.wait(), 10)


async def test_pipelines_that_lost_records_are_read_anew(cluster: MemoryCluster) -> None:
    """What is in the table came from records that are gone; read on from there, it would never hear of new ones."""
    async with serving(cluster) as it:
        await it.until(True)
        with capture_logs() as lines:
            cluster.make_anew(Topic.PIPELINES)
            await it.until(True, "pipelines read to 0")
    assert [line["then"] for line in lines if "has lost records" in line["event"]] == ["pipelines are read anew"]


async def test_a_topic_that_we_may_not_read_is_named_in_readiness(cluster: MemoryCluster) -> None:
    make, hidden = cluster.consumer, True

    async def consumer(gather_ms: int = 0) -> Consumer:
        if hidden:
            raise Refused("Kafka does not let us read x.pipelines")
        return await make(gather_ms)

    cluster.consumer = consumer  # type: ignore[method-assign]
    with capture_logs() as lines:
        async with serving(cluster) as it:
            await it.until(False, "pipelines is not read: Kafka does not let us read x.pipelines")
            await asyncio.sleep(0.05)  # it is tried again all the time
            hidden = False
            await it.until(True)
            assert await it.push() == 202
    assert len([line for line in lines if line["event"] == "a topic is read again"]) == 1
