"""`dedupe: digest`: a push that gives its tag the digest that it had starts no such pipeline, whoever took the earlier one."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

from hookline.chain.events import PushReceived
from hookline.chain.pipeline import Dedupe
from hookline.errors import AppendFailed, Undecodable
from hookline.log.codec import encode
from hookline.log.records import Draft, Place, Topic
from hookline.testing.memory import MemoryCluster
from services.ingress.delivery import Push
from services.ingress.digests import Digests, DigestTail, Tag, tag_of
from tests.kit.events import skip
from tests.unit.ingress.conftest import PARTITIONS, Ingress, pipeline, running

A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64
INDEX = "application/vnd.oci.image.index.v1+json"


def once(name: str = "once", repository: str = "acme/app", **more: Any) -> Any:
    return pipeline(repository, name=name, dedupe=Dedupe.DIGEST, **more)


def event(number: int | str, digest: str | None = A, tag: str = "v1", host: str = "r.example.com") -> dict[str, Any]:
    target = {"mediaType": INDEX, "repository": "acme/app", "tag": tag, "digest": digest or ""}
    return {"id": f"e{number}", "action": "push", "target": target, "request": {"host": host}}


def envelope(*events: dict[str, Any]) -> str:
    return json.dumps({"events": events})


async def send(ingress: Ingress, *events: dict[str, Any]) -> list[PushReceived]:
    """The records of these events that this delivery appended, in the order of the events."""
    before = len(ingress.pushes())
    assert (await ingress.deliver("distribution", envelope(*events)))["ignored"] == 0
    made = ingress.pushes()
    assert len(made) == before + len(events)
    return [max((p for p in made if p.producer_id == one["id"]), key=lambda p: p.received_at) for one in events]


def started(pushes: Sequence[PushReceived]) -> list[list[str]]:
    return [[plan.slug for plan in push.plans] for push in pushes]


async def test_the_same_digest_again_starts_nothing_more(ingress: Ingress) -> None:
    ingress.set_pipeline(once(created_at=1))
    ingress.set_pipeline(pipeline("acme/app", name="each", created_at=2))
    assert started(await send(ingress, event(1))) == [["once", "each"]]
    (again,) = await send(ingress, event(2))
    assert started([again]) == [["each"]]
    assert again.same_digest == ("id-once",)
    assert [plan.n for plan in again.plans] == [0]
    (third,) = await send(ingress, event(3))
    assert (started([third]), third.same_digest) == ([["each"]], ("id-once",))


async def test_another_digest_starts_it_and_so_does_going_back(ingress: Ingress) -> None:
    """The tag's digest changed: that the first image had run before does not mean that it is the one that runs."""
    ingress.set_pipeline(once())
    pushes = [await send(ingress, event(n, digest)) for n, digest in enumerate((A, B, B, A, A))]
    assert [started(push)[0] for push in pushes] == [["once"], ["once"], [], ["once"], []]


@pytest.mark.parametrize("other", [event(2, tag="v2"), event(2, host="other.example.com"), event(2, digest=None)])
async def test_another_tag_or_registry_or_no_digest_starts_it(ingress: Ingress, other: dict[str, Any]) -> None:
    ingress.set_pipeline(once())
    await send(ingress, event(1))
    assert started(await send(ingress, other)) == [["once"]]


async def test_without_a_digest_every_push_starts_it(ingress: Ingress) -> None:
    ingress.set_pipeline(once())
    for n in range(2):
        body = json.dumps({"push_data": {"tag": "v1", "pushed_at": n}, "repository": {"repo_name": "acme/app"}})
        await ingress.deliver("dockerhub", body)
    assert started(ingress.pushes()) == [["once"], ["once"]]


async def test_each_pipeline_has_a_memory_of_its_own(ingress: Ingress) -> None:
    ingress.set_pipeline(once("first"))
    await send(ingress, event(1))
    ingress.set_pipeline(once("second", created_at=2))
    assert started(await send(ingress, event(2))) == [["second"]]
    assert started(await send(ingress, event(3))) == [[]]


async def test_pushes_from_before_it_was_asked_for_count(ingress: Ingress) -> None:
    ingress.set_pipeline(once().model_copy(update={"dedupe": Dedupe.EVENT}))
    await send(ingress, event(1))
    ingress.set_pipeline(once())
    assert started(await send(ingress, event(2))) == [[]]
    ingress.set_pipeline(once().model_copy(update={"dedupe": Dedupe.EVENT}))
    assert started(await send(ingress, event(3))) == [["once"]]


async def test_a_repeat_of_the_first_after_the_second_changes_nothing(ingress: Ingress) -> None:
    """A late retry of the registry: the tag has the second digest all the same."""
    ingress.set_pipeline(once())
    for n, digest in ((1, A), (2, B)):
        await send(ingress, event(n, digest))
        ingress.clock.advance(1)
    assert (await ingress.deliver("distribution", envelope(event(1, A))))["duplicates"] == 1
    ingress.clock.advance(1)
    assert started(await send(ingress, event(3, B))) == [[]]
    ingress.clock.advance(1)
    assert started(await send(ingress, event(4, A))) == [["once"]]


async def test_many_at_once_start_it_once(ingress: Ingress) -> None:
    ingress.set_pipeline(once())
    await asyncio.gather(*(ingress.deliver("distribution", envelope(event(n))) for n in range(20)))
    assert sorted(started(ingress.pushes())) == [*([[]] * 19), ["once"]]


async def test_envelopes_with_the_same_tags_do_not_wait_for_each_other_for_ever(ingress: Ingress) -> None:
    ingress.set_pipeline(once())
    tags = [f"v{n}" for n in range(4)]
    envelopes = [envelope(*(event(f"{n}-{tag}", tag=tag) for tag in (tags if n % 2 else tags[::-1]))) for n in range(6)]
    await asyncio.gather(*(ingress.deliver("distribution", one) for one in envelopes))
    assert sum(push.plans != () for push in ingress.pushes()) == len(tags)


async def test_several_in_one_envelope(ingress: Ingress) -> None:
    ingress.set_pipeline(once())
    events = [event(n, digest) for n, digest in enumerate((A, A, B, A))]
    assert (await ingress.deliver("distribution", envelope(*events, {"action": "pull"})))["accepted"] == 4
    by_id = {push.producer_id: push for push in ingress.pushes()}
    assert started([by_id[f"e{n}"] for n in range(4)]) == [["once"], [], ["once"], ["once"]]


async def test_one_is_left_out_only_when_the_one_that_it_repeats_is_acked(ingress: Ingress) -> None:
    """In one envelope too: a push that never landed must not keep another from starting."""
    ingress.set_pipeline(once())
    append = ingress.appender.append

    async def fails(draft: Draft) -> int:
        if b"e0" in (draft.value or b""):
            raise AppendFailed("refused")
        return await append(draft)

    ingress.appender.append = fails  # type: ignore[method-assign]
    assert (await ingress.post("distribution", envelope(event(0), event(1)))).status == 503
    assert ingress.pushes() == []
    ingress.appender.append = append  # type: ignore[method-assign]
    assert (await ingress.deliver("distribution", envelope(event(0), event(1))))["accepted"] == 2
    assert sorted(started(ingress.pushes())) == [[], ["once"]]


async def test_a_push_that_did_not_land_does_not_count(ingress: Ingress) -> None:
    ingress.set_pipeline(once())
    append = ingress.appender.append

    async def fails(draft: Draft) -> int:
        raise AppendFailed("refused")

    ingress.appender.append = fails  # type: ignore[method-assign]
    assert (await ingress.post("distribution", envelope(event(1)))).status == 503
    ingress.appender.append = append  # type: ignore[method-assign]
    assert started(await send(ingress, event(2))) == [["once"]]


async def test_one_that_landed_without_an_ack_counts_once(ingress: Ingress) -> None:
    """Its retry is a repeat: whatever is in it starts nothing, and another event of that digest does not either."""
    ingress.set_pipeline(once())
    append = ingress.appender.append

    async def lost(draft: Draft) -> int:
        await append(draft)
        raise AppendFailed("no ack")

    ingress.appender.append = lost  # type: ignore[method-assign]
    assert (await ingress.post("distribution", envelope(event(1)))).status == 503
    ingress.appender.append = append  # type: ignore[method-assign]
    await ingress.deliver("distribution", envelope(event(1)))
    assert len({push.push_id for push in ingress.pushes()}) == 1
    assert started([ingress.pushes()[0]]) == [["once"]]
    assert started(await send(ingress, event(2))) == [[]]


async def test_another_replica_and_a_restart_know_it() -> None:
    async with running() as first:
        first.set_pipeline(once())
        async with running(first.cluster) as second:
            assert started(await send(first, event(1))) == [["once"]]
            assert started(await send(second, event(2))) == [[]]
            second.clock.advance(1)
            assert started(await send(second, event(3, B))) == [["once"]]
            first.clock.advance(2)
            assert started(await send(first, event(4, B))) == [[]]
        async with running(first.cluster) as restarted:
            restarted.clock.advance(3)
            assert started(await send(restarted, event(5, B))) == [[]]
            restarted.clock.advance(4)
            assert started(await send(restarted, event(6, A))) == [["once"]]


async def test_kafka_away_is_503_and_goes_on(ingress: Ingress) -> None:
    ingress.set_pipeline(once())
    await send(ingress, event(1))
    ingress.cluster.down = True
    assert (await ingress.post("distribution", envelope(event(2)))).status == 503
    ingress.cluster.down = False
    assert started(await send(ingress, event(3))) == [[]]


async def test_nothing_is_read_until_somebody_asks() -> None:
    cluster = MemoryCluster(PARTITIONS)
    consumers, make = 0, cluster.consumer

    async def counted() -> Any:
        nonlocal consumers
        consumers += 1
        return await make()

    cluster.consumer = counted  # type: ignore[method-assign]
    tail = DigestTail(cluster, PARTITIONS)
    running_tail = asyncio.create_task(tail.run())
    for _ in range(20):
        await asyncio.sleep(0)
    assert consumers == 0
    pushed = Push("acme/app", tag="v1", digest=A)
    async with tail.turn([tag_of(pushed)]) as turn:
        assert consumers == 1
        assert not turn.same([once()], pushed)
    running_tail.cancel()
    await asyncio.gather(running_tail, return_exceptions=True)


async def test_a_record_of_a_newer_version_stops_it(ingress: Ingress) -> None:
    ingress.set_pipeline(once())
    await send(ingress, event(1))
    (raw,) = ingress.raw_pushes()
    headers = {**raw.headers, "ce_type": b"hookline.PushReceived.v2"}
    ingress.cluster.append(Draft(Place(Topic.PUSHES, 3), b"x", raw.value, headers))
    tail = DigestTail(ingress.cluster, PARTITIONS)
    reading = asyncio.create_task(tail.run())
    asking = asyncio.create_task(tail.turn([Tag(None, "acme/app", "v1")]).__aenter__())
    with pytest.raises(Undecodable, match=r"pushes\[3\]@\d+: not a PushReceived of a known version"):
        await reading
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)


async def test_a_skipped_record_is_passed_over(ingress: Ingress) -> None:
    ingress.set_pipeline(once())
    await send(ingress, event(1))
    bad = ingress.cluster.append(Draft(Place(Topic.PUSHES, 3), b"x", b"{}", {"ce_type": b"hookline.Bad"}))
    ingress.cluster.append(encode(skip("pushes", bad), 3, now_ms=1))
    tail = DigestTail(ingress.cluster, PARTITIONS)
    reading = asyncio.create_task(tail.run())
    async with tail.turn([Tag("r.example.com", "acme/app", "v1")]):
        assert not reading.done()
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)


async def test_what_lies_below_the_horizon_is_not_read(ingress: Ingress) -> None:
    ingress.set_pipeline(once())
    (push,) = await send(ingress, event(1))
    for partition in range(PARTITIONS):
        for n in range(3):
            other = push.model_copy(update={"push_id": f"{n}", "repository": "acme/other"})
            ingress.cluster.append(encode(other, partition, now_ms=1))
    for horizon, known in ((4, True), (3, False)):
        tail = DigestTail(ingress.cluster, PARTITIONS, horizon=horizon)
        reading = asyncio.create_task(tail.run())
        pushed = Push("acme/app", registry="r.example.com", tag="v1", digest=A)
        async with tail.turn([tag_of(pushed)]) as turn:
            assert bool(turn.same([once()], pushed)) is known
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


async def test_a_push_that_started_nothing_keeps_its_digest_in_mind(ingress: Ingress) -> None:
    """Where the one that started it was forgotten, or lies below the horizon."""
    ingress.set_pipeline(once())
    await send(ingress, event(1))
    (left_out,) = await send(ingress, event(2))
    cluster = MemoryCluster(PARTITIONS)
    cluster.append(encode(left_out, 0, now_ms=1))
    tail = DigestTail(cluster, PARTITIONS)
    reading = asyncio.create_task(tail.run())
    pushed = Push("acme/app", registry="r.example.com", tag="v1", digest=A)
    async with tail.turn([tag_of(pushed)]) as turn:
        assert turn.same([once()], pushed)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)


async def test_what_was_there_is_taken_in_the_order_of_its_times(ingress: Ingress) -> None:
    """Partitions are read one after the other; the tag has the digest that came last."""
    ingress.set_pipeline(once())
    times = list(range(12))
    for n in times:
        ingress.clock.advance(1)
        await send(ingress, event(n, A if n % 2 else B))
    tail = DigestTail(ingress.cluster, PARTITIONS)
    reading = asyncio.create_task(tail.run())
    pushed = Push("acme/app", registry="r.example.com", tag="v1", digest=A)
    async with tail.turn([tag_of(pushed)]) as turn:
        assert turn.same([once()], pushed)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)


def test_the_memory_is_bounded_and_forgets_the_oldest() -> None:
    from services.ingress.digests import _Plan, _Seen

    digests = Digests(capacity=2)
    for n, tag in enumerate(("a", "b", "a", "c")):
        plans = (_Plan(pipeline_id="id-once"),)
        digests.see(
            _Seen(push_id=f"{n}", received_at=n, dedupe_window_s=1, repository="r", tag=tag, digest=A, plans=plans)
        )
    known = {tag: digests.last(once(), Push("r", tag=tag, digest=A)) for tag in "abc"}
    assert known == {"a": A, "b": None, "c": A}
