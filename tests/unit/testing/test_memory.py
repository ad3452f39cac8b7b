"""What the in-memory cluster can do beyond the contract: its faults, and that they repeat themselves from their seed."""

import asyncio
from collections import Counter

import pytest

from hookline.errors import AppendFailed, CommitRefused, LogUnavailable
from hookline.log.cluster import Commit, Producer
from hookline.log.records import LOGS, Draft, Place, Topic
from hookline.testing.faults import Faults
from hookline.testing.memory import MemoryCluster
from hookline.testing.memory_group import MemoryGroup

HERE = Place(Topic.PUSHES, 1)
THERE = Place(Topic.CALLBACKS, 1)


def draft(n: int, place: Place = HERE) -> Draft:
    return Draft(place, None, str(n).encode())


def values(cluster: MemoryCluster, place: Place = HERE) -> list[int]:
    return [int(record.value or b"") for record in cluster.log(place)]


async def try_append(producer: Producer, n: int, place: Place = HERE) -> int | None:
    try:
        return await producer.append(draft(n, place))
    except AppendFailed:
        return None


async def many(cluster: MemoryCluster, count: int = 100) -> list[int | None]:
    """Append one after the other, with a new producer after each failure; the offset of each that was acked."""
    producer, acks = await cluster.producer(), []
    for n in range(count):
        if producer.broken:
            producer = await cluster.producer()
        acks.append(await try_append(producer, n))
    await cluster.land_all()
    return acks


async def test_the_same_seed_gives_the_same_run() -> None:
    first, again, other = (MemoryCluster(2, faults=Faults(seed)) for seed in (7, 7, 8))
    assert await many(first) == await many(again)
    assert values(first) == values(again)
    await many(other)
    assert values(other) != values(first)


@pytest.mark.parametrize("seed", range(10))
async def test_faults_reach_every_fate_of_an_append_and_an_ack_is_never_wrong(seed: int) -> None:
    cluster = MemoryCluster(2, faults=Faults(seed, late=0.2, refused=0.2))
    acks = await many(cluster, 200)
    landed = values(cluster)
    fates = Counter(("acked" if ack is not None else "failed", n in landed) for n, ack in enumerate(acks))
    assert fates["acked", False] == 0
    assert min(fates["acked", True], fates["failed", True], fates["failed", False]) > 0
    assert all(landed[ack] == n for n, ack in enumerate(acks) if ack is not None)
    assert max(Counter(landed).values()) == 1, "an idempotent producer repeats nothing"


@pytest.mark.parametrize("seed", range(20))
async def test_one_producers_appends_land_in_order_and_with_no_hole(seed: int) -> None:
    """What lands of those that were under way together is a beginning of them: nothing lands behind one that did not."""
    cluster = MemoryCluster(2, faults=Faults(seed, late=0.1, refused=0.1))
    producer = await cluster.producer()
    await asyncio.gather(*(try_append(producer, n) for n in range(30)))
    await cluster.land_all()
    assert values(cluster) == list(range(len(values(cluster))))


async def test_a_late_record_lands_behind_what_others_wrote_meanwhile() -> None:
    for seed in range(200):
        cluster = MemoryCluster(2, faults=Faults(seed, held=0, late=0.5, refused=0, budget=1))
        acks = await many(cluster, 5)
        if values(cluster) != sorted(values(cluster)):
            late = next(n for n, ack in enumerate(acks) if ack is None)
            assert values(cluster).index(late) > late
            return
    pytest.fail("no record of 200 runs landed late")


async def test_when_a_producer_breaks_all_that_it_has_under_way_fails() -> None:
    cluster = MemoryCluster(2, faults=Faults(1, held=1, late=0, refused=0))
    producer = await cluster.producer()
    sends = [asyncio.create_task(try_append(producer, n, place)) for n in range(5) for place in (HERE, THERE)]
    await asyncio.sleep(0)
    await producer.close()
    assert await asyncio.gather(*sends) == [None] * 10
    assert producer.broken
    with pytest.raises(AppendFailed):
        await producer.append(draft(9))


async def test_of_what_a_broken_producer_had_under_way_a_beginning_may_still_land() -> None:
    landed = set()
    for seed in range(30):
        cluster = MemoryCluster(2, faults=Faults(seed, held=1, late=0, refused=0))
        producer = await cluster.producer()
        sends = [asyncio.create_task(try_append(producer, n)) for n in range(4)]
        await asyncio.sleep(0)
        await producer.close()
        await asyncio.gather(*sends)
        await cluster.land_all()
        landed.add(tuple(values(cluster)))
    assert landed >= {(), (0,), (0, 1)}
    assert all(record == tuple(range(len(record))) for record in landed)


async def test_a_cluster_that_is_down_answers_nothing_and_goes_on() -> None:
    cluster = MemoryCluster(2)
    producer, consumer, offsets = await cluster.producer(), await cluster.consumer(), await cluster.offsets()
    consumer.assign({HERE: 0})
    await producer.append(draft(0))
    cluster.down = True
    assert await try_append(producer, 1) is None
    assert await consumer.poll(0.01) == {}
    for ask in (offsets.ends([HERE]), offsets.starts([HERE]), offsets.committed("g", [HERE]), cluster.producer()):
        with pytest.raises(LogUnavailable):
            await ask
    cluster.down = False
    assert [r.value for r in (await consumer.poll(1))[HERE]] == [b"0"]
    assert await offsets.ends([HERE]) == {HERE: 1}
    assert await try_append(await cluster.producer(), 2) == 1


@pytest.mark.parametrize("seed", range(5))
async def test_an_end_offset_is_one_that_stood_after_the_question(seed: int) -> None:
    cluster = MemoryCluster(2, faults=Faults(seed, held=1, unanswered=0))
    offsets = await cluster.offsets()
    for n in range(20):
        asking = asyncio.create_task(offsets.ends([HERE]))
        await asyncio.sleep(0)
        cluster.append(draft(n))
        assert n <= (await asking)[HERE] <= n + 1


class Told:
    def __init__(self) -> None:
        self.partitions: frozenset[int] | None = None

    def revoked(self) -> None:
        self.partitions = None

    async def settled(self) -> None: ...

    def assigned(self, partitions: frozenset[int]) -> None:
        self.partitions = partitions


async def member(cluster: MemoryCluster) -> tuple[MemoryGroup, Told]:
    told = Told()
    group = await cluster.group("g", told)
    assert isinstance(group, MemoryGroup)
    await group.poll(0)
    return group, told


def everywhere(offset: int) -> dict[Place, Commit]:
    return {Place(topic, 0): Commit(offset, "") for topic in LOGS}


async def test_a_late_commit_lands_only_if_its_generation_still_fits() -> None:
    landed = set()
    for seed in range(40):
        cluster = MemoryCluster(1, faults=Faults(seed, late=1, refused=0, unanswered=0, budget=1))
        group, _ = await member(cluster)
        with pytest.raises(CommitRefused):
            await group.commit(everywhere(5))
        before = dict(cluster.membership("g").commits)
        await group.leave()
        await cluster.land_all()
        assert cluster.membership("g").commits == before, "it was of an old generation"
        landed.add(bool(before))
    assert landed == {True, False}


async def test_a_member_whose_session_is_over_learns_it_at_its_next_poll() -> None:
    cluster = MemoryCluster(2)
    first, first_told = await member(cluster)
    second, second_told = await member(cluster)
    first.expire()
    with pytest.raises(CommitRefused):
        await first.commit(everywhere(1))
    await second.poll(0)
    assert second_told.partitions == {0, 1}
    assert first_told.partitions == {0, 1}, "a zombie believes what it was told"
    await first.poll(0)
    await second.poll(0)
    assert {*(first_told.partitions or ()), *(second_told.partitions or ())} == {0, 1}
    assert not (first_told.partitions or frozenset()) & (second_told.partitions or frozenset())


async def test_a_stale_end_is_one_that_the_log_had_and_is_counted() -> None:
    """As a deposed leader tells. Never one to come, never one below the start; with no such fault every end is the end."""
    faults = Faults(3, held=0, unanswered=0, stale=0.5)
    cluster = MemoryCluster(1, faults=faults)
    offsets = await cluster.offsets()
    place = Place(Topic.CALLBACKS, 0)
    told = set()
    for n in range(200):
        if n % 20 == 0:
            cluster.append(Draft(place, b"k", b"v", {}))
        if n == 100:
            cluster.delete_below(place, 3)
        (end,) = (await offsets.ends([place])).values()
        assert cluster.start(place) <= end <= cluster.end(place)
        told.add(cluster.end(place) - end)
        if faults.counts["end stale"] == 0:
            assert told == {0}
    assert faults.counts["end stale"] > 50
    assert len(told) > 3
    faults.stale = 0
    before = faults.counts.copy()
    assert await offsets.ends([place]) == {place: cluster.end(place)}
    assert faults.counts == before
