"""Which plans a push gets, where its record lies, and what a 201 of the console is good for (design section 2)."""

import asyncio

from hookline.chain.events import PushReceived
from hookline.chain.ids import partition_of, push_id
from hookline.log.codec import encode_setting
from hookline.log.records import PIPELINES, Place, Topic
from tests.unit.ingress.conftest import LOG_ID, NOW, PARTITIONS, Ingress, pipeline, running

PUSH = '{"push_data":{"tag":"v1"},"repository":{"repo_name":"acme/app"}}'


async def push(ingress: Ingress, body: str = PUSH) -> PushReceived:
    await ingress.deliver("dockerhub", body)
    return max(ingress.pushes(), key=lambda event: event.received_at)


async def test_the_plan_of_every_matching_pipeline(ingress: Ingress) -> None:
    ingress.set_pipeline(pipeline("acme/app", name="second", created_at=20))
    ingress.set_pipeline(pipeline("acme/app", name="first", created_at=10, registry="docker.io"))
    ingress.set_pipeline(pipeline("acme/app", name="elsewhere", registry="ghcr.io"))
    ingress.set_pipeline(pipeline("acme/app", name="off", active=False))
    end = ingress.set_pipeline(pipeline("acme/other", name="other")) + 1
    event = await push(ingress)
    assert [(plan.n, plan.slug) for plan in event.plans] == [(0, "first"), (1, "second")]
    assert event.settings_offset == end


async def test_pipelines_of_a_glob_of_repositories_and_of_tags(ingress: Ingress) -> None:
    ingress.set_pipeline(pipeline("acme/*", name="all", created_at=1))
    ingress.set_pipeline(pipeline("acme/*", name="releases", tags="^1", created_at=2))
    ingress.set_pipeline(pipeline("acme/app", name="edge", tags=("edge", "nightly-*"), created_at=3))
    ingress.set_pipeline(pipeline("*", name="everything", registry="ghcr.io", created_at=4))
    ingress.set_pipeline(pipeline("acme/*", name="moved", created_at=5))
    ingress.set_pipeline(pipeline("other/*", name="moved", created_at=5))
    ingress.set_pipeline(pipeline("acme/*", name="deleted", created_at=6))
    ingress.cluster.append(encode_setting(None, now_ms=NOW, pipeline_id="id-deleted"))
    for tag, slugs in {"v1": ["all"], "v1.4.0": ["all", "releases"], "edge": ["all", "edge"]}.items():
        await ingress.deliver("dockerhub", PUSH.replace("v1", tag))
        (event,) = (event for event in ingress.pushes() if event.tag == tag)
        assert [plan.slug for plan in event.plans] == slugs
        assert [plan.n for plan in event.plans] == list(range(len(slugs)))


async def test_a_push_that_matches_nothing_is_recorded_all_the_same(ingress: Ingress) -> None:
    assert (await push(ingress)).plans == ()


async def test_a_pipeline_appended_before_the_push_begins_is_in_its_plans(ingress: Ingress) -> None:
    for n in range(20):
        name = f"acme/app{n}"
        offset = ingress.set_pipeline(pipeline(name, name=f"p{n}"))
        await ingress.deliver("dockerhub", PUSH.replace("acme/app", name))
        (event,) = (event for event in ingress.pushes() if event.repository == name)
        assert [plan.slug for plan in event.plans] == [f"p{n}"]
        assert event.settings_offset == offset + 1


async def test_a_deleted_pipeline_is_not(ingress: Ingress) -> None:
    ingress.set_pipeline(pipeline("acme/app"))
    ingress.cluster.append(encode_setting(None, now_ms=NOW, pipeline_id="id-ci"))
    assert (await push(ingress)).plans == ()


async def test_a_table_that_cannot_catch_up_is_503() -> None:
    async with running(answer_s=0.2) as ingress:
        unread = encode_setting(pipeline("acme/app"), now_ms=NOW)
        ingress.cluster.append(type(unread)(PIPELINES, b"x", b"{", unread.headers))
        answer = await ingress.post("dockerhub", PUSH)
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
        assert not ingress.pushes()


async def test_one_record_a_push_in_the_partition_of_its_id(ingress: Ingress) -> None:
    event = await push(ingress)
    assert event.push_id == push_id(LOG_ID, "dockerhub", None, PUSH.encode())
    place = Place(Topic.PUSHES, partition_of(event.push_id, PARTITIONS))
    (raw,) = ingress.cluster.log(place)
    assert raw.key == event.push_id.encode()
    assert raw.headers["ce_type"] == b"hookline.PushReceived.v1"
    assert raw.headers["ce_subject"] == event.push_id.encode()
    assert event.received_at == NOW


async def test_many_at_once_are_all_there(ingress: Ingress) -> None:
    bodies = [PUSH.replace("v1", f"v{n}") for n in range(100)]
    tallies = await asyncio.gather(*(ingress.deliver("dockerhub", body) for body in bodies))
    assert all(tally["accepted"] == 1 for tally in tallies)
    assert len({event.push_id for event in ingress.pushes()}) == 100
