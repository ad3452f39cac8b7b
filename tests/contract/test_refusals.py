"""Records that Kafka refuses for what they are: each is named, is not in the log, and costs nobody else anything."""

import asyncio
from random import Random

import pytest

from hookline.errors import AppendFailed, RecordRefused, RecordTooLarge
from hookline.kafka.kafka_cluster import KafkaCluster
from hookline.log.cluster import Cluster, Producer
from hookline.log.records import MAX_RECORD_BYTES, PIPELINES, Draft, Place, Topic
from hookline.log.writer import Writer
from tests.contract.helpers import HERE, THERE, append, append_draft, is_faulty, read_log, values
from tests.contract.operators import change, set_limit

LIMIT = 20_000
TOO_LARGE = 2 * LIMIT
ELSEWHERE = Place(Topic.PUSHES, 1)


def noise(seed: int, size: int) -> bytes:
    """Bytes that no compression makes smaller."""
    return Random(seed).randbytes(size)


async def outcome(producer: Producer | Writer, draft: Draft) -> int | type[AppendFailed]:
    """The offset, or what went wrong."""
    try:
        return await producer.append(draft)
    except AppendFailed as error:
        return type(error)


async def begun(cluster: Cluster, *places: Place) -> Producer:
    """A producer that has appended to each place: its first batch may have been sent to a broker that did not lead it yet."""
    while True:
        producer = await cluster.producer()
        begins = [await outcome(producer, Draft(place, b"k", b"first")) for place in places]
        if all(isinstance(offset, int) for offset in begins):
            return producer
        await producer.close()


async def test_a_record_above_a_lowered_limit_is_refused_and_the_producer_goes_on(cluster: Cluster) -> None:
    producer = await begun(cluster, HERE)
    await set_limit(cluster, HERE.topic, LIMIT)
    got = await outcome(producer, Draft(HERE, b"k", noise(1, TOO_LARGE)))
    if not is_faulty(cluster):
        assert got is RecordTooLarge
        assert not producer.broken
        assert await producer.append(Draft(HERE, b"k", b"fits")) == 1
    await producer.close()
    assert noise(1, TOO_LARGE) not in values(await read_log(cluster, HERE))


async def test_one_above_what_any_topic_takes_is_refused_before_it_is_sent(cluster: Cluster) -> None:
    producer = await begun(cluster, HERE)
    with pytest.raises(RecordTooLarge, match="callbacks"):
        await producer.append(Draft(HERE, b"k", b"x" * (MAX_RECORD_BYTES + 1)))
    assert not producer.broken
    await producer.close()


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_is_refused_all_others_under_way_are_acked_in_their_order(cluster: Cluster, seed: int) -> None:
    """Those of the same place, which share batches with it or wait behind it, and those of other places."""
    random = Random(seed)
    producer = await begun(cluster, HERE, THERE, ELSEWHERE)
    await set_limit(cluster, HERE.topic, LIMIT)
    sizes = [random.choice([10, 600, LIMIT // 2, TOO_LARGE]) for _ in range(120)]
    drafts = [Draft((HERE, HERE, THERE, ELSEWHERE)[n % 4], b"k", noise(n, size)) for n, size in enumerate(sizes)]
    outcomes = await asyncio.gather(*(outcome(producer, draft) for draft in drafts))
    await producer.close()
    sent = list(zip(drafts, outcomes, strict=True))
    for draft, got in sent:
        fits = draft.place == ELSEWHERE or len(draft.value or b"") <= LIMIT
        if is_faulty(cluster):
            assert isinstance(got, int) <= fits
            assert (got is RecordTooLarge) <= (not fits)
        else:
            assert isinstance(got, int) == fits, f"{len(draft.value or b'')} bytes: {got}"
            assert (got is RecordTooLarge) == (not fits)
    for place in (HERE, THERE, ELSEWHERE):
        log = await read_log(cluster, place)
        mine = [(draft, got) for draft, got in sent if draft.place == place]
        assert all(log[got].value == draft.value for draft, got in mine if isinstance(got, int))
        fitting = [draft.value for draft, got in mine if got is not RecordTooLarge and draft.value is not None]
        landed = [value for value in values(log) if value != b"first"]
        assert landed == [value for value in fitting if value in set(landed)], "in the order of the calls"
        if not is_faulty(cluster):
            assert len(landed) == len([got for _, got in mine if isinstance(got, int)])


async def test_records_that_fit_one_by_one_are_taken_also_where_a_batch_of_them_would_not_fit(cluster: Cluster) -> None:
    producer = await begun(cluster, HERE)
    await set_limit(cluster, HERE.topic, LIMIT)
    drafts = [Draft(HERE, b"k", noise(n, LIMIT // 4)) for n in range(40)]
    outcomes = await asyncio.gather(*(outcome(producer, draft) for draft in drafts))
    await producer.close()
    if not is_faulty(cluster):
        assert outcomes == list(range(1, 41))
    assert RecordTooLarge not in outcomes


async def test_a_record_that_its_topic_does_not_take_is_refused_for_that(cluster: Cluster) -> None:
    """A compacted topic takes none without a key."""
    producer = await begun(cluster, PIPELINES)
    drafts = [Draft(PIPELINES, None if n == 3 else b"k%d" % n, b"v%d" % n) for n in range(6)]
    outcomes = await asyncio.gather(*(outcome(producer, draft) for draft in drafts))
    await producer.close()
    if not is_faulty(cluster):
        assert outcomes[3] is RecordRefused
        assert all(isinstance(got, int) for n, got in enumerate(outcomes) if n != 3)
    assert b"v3" not in values(await read_log(cluster, PIPELINES))


async def test_a_writer_keeps_its_producer_when_a_record_is_refused(cluster: Cluster) -> None:
    writer = Writer(cluster)
    await append(writer, HERE, b"first")
    await set_limit(cluster, HERE.topic, LIMIT)
    large = Draft(HERE, b"k", noise(1, TOO_LARGE))
    drafts = [Draft(HERE, b"k", b"%d" % n) for n in range(20)]
    outcomes = await asyncio.gather(*(outcome(writer, draft) for draft in [*drafts[:10], large, *drafts[10:]]))
    if not is_faulty(cluster):
        assert outcomes.pop(10) is RecordTooLarge
        assert all(isinstance(got, int) for got in outcomes)
        assert writer.ready, "it needed no other producer"
    await set_limit(cluster, HERE.topic)
    assert isinstance(await append_draft(writer, large), int)
    await writer.close()


async def test_a_record_larger_than_a_segment_is_refused(kafka_cluster: KafkaCluster) -> None:
    """RECORD_LIST_TOO_LARGE: only a real broker has segments."""
    producer = await begun(kafka_cluster, Place(Topic.SNAPSHOTS, 1))
    await change(kafka_cluster, Topic.SNAPSHOTS, "segment.bytes", 1024 * 1024)
    with pytest.raises(RecordTooLarge):
        await producer.append(Draft(Place(Topic.SNAPSHOTS, 1), b"k", noise(1, 1024 * 1024 + 500_000)))
    assert await producer.append(Draft(Place(Topic.SNAPSHOTS, 1), b"k", b"fits")) == 1
    await producer.close()
