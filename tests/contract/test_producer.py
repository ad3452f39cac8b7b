"""Appends: acks, order, what a producer is after a failure."""

import asyncio

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from hookline.errors import AppendFailed
from hookline.kafka.kafka_cluster import KafkaCluster
from hookline.log.cluster import Ack, Cluster, Producer
from hookline.log.records import MAX_RECORD_BYTES, Draft, Place, Topic
from tests.contract.helpers import HERE, THERE, is_faulty, read_log, values


async def acked(producer: Producer, draft: Draft) -> int | None:
    try:
        return await producer.append(draft)
    except AppendFailed:
        return None


async def test_an_ack_says_where_the_record_lies_and_order_is_kept_in_each_place(cluster: Cluster) -> None:
    producer = await cluster.producer()
    drafts = [Draft((HERE, THERE)[n % 2], None, str(n).encode()) for n in range(200)]
    offsets = await asyncio.gather(*(acked(producer, draft) for draft in drafts))
    assert producer.broken == (None in offsets)
    assert is_faulty(cluster) or not producer.broken
    await producer.close()
    for place in (HERE, THERE):
        log = await read_log(cluster, place)
        mine = [(draft, offset) for draft, offset in zip(drafts, offsets, strict=True) if draft.place == place]
        assert all(log[offset].value == draft.value for draft, offset in mine if offset is not None)
        assert values(log) == [draft.value for draft, _ in mine][: len(log)], (
            "in the order of the calls, without a hole"
        )


@pytest.mark.parametrize("turns", range(8))
async def test_whenever_the_next_is_appended_all_are_acked_once_and_in_order(cluster: Cluster, turns: int) -> None:
    """So many turns of the event loop later: while the one before it waits, is being sent, is at the broker, or is answered."""
    producer = await cluster.producer()
    outcomes = [await acked(producer, Draft(HERE, None, b"first"))]  # from then on it knows who leads

    async def append(n: int) -> None:
        outcomes.append(await acked(producer, Draft(HERE, None, str(n).encode())))

    for n in range(0, 60, 2):  # nothing comes behind the two that would cover up for what was forgotten
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(append(n))
            for _ in range(turns):
                await asyncio.sleep(0)
            tasks.create_task(append(n + 1))
    if not is_faulty(cluster):
        assert sorted(n for n in outcomes if n is not None) == list(range(61))
        assert not producer.broken
    await producer.close()
    log = values(await read_log(cluster, HERE))
    assert log == [b"first", *(str(n).encode() for n in range(60))][: len(log)]


async def test_a_record_comes_back_as_it_was_sent(cluster: Cluster) -> None:
    sent = Draft(HERE, b"key", b"value", {"ce_type": b"hookline.Test.v1", "empty": b""})
    tombstone = Draft(HERE, b"key", None)
    for draft in (sent, tombstone):
        while True:
            producer = await cluster.producer()
            offset = await acked(producer, draft)
            await producer.close()
            if offset is not None:
                break
        record = (await read_log(cluster, HERE))[offset]
        assert (record.key, record.value, record.headers) == (draft.key, draft.value, draft.headers)
        assert (record.place, record.offset) == (HERE, offset)
        assert record.timestamp > 1_600_000_000_000, "Unix ms"


async def test_an_ack_tells_when_the_broker_appended(cluster: Cluster) -> None:
    """It is the time that the record has: topics are made with LogAppendTime."""
    producer = await cluster.producer()
    sends = (producer.send(Draft(HERE, None, str(n).encode())) for n in range(20))
    acks = [ack for ack in await asyncio.gather(*sends, return_exceptions=True) if isinstance(ack, Ack)]
    await producer.close()
    log = await read_log(cluster, HERE)
    assert is_faulty(cluster) or len(acks) == 20
    assert [ack.stamped_at for ack in acks] == [log[ack.offset].timestamp for ack in acks]


async def test_where_a_topic_keeps_the_producers_time_an_ack_tells_none(
    kafka: str, kafka_cluster: KafkaCluster
) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    name = kafka_cluster.connection.name(HERE.topic)
    config = {"message.timestamp.type": "CreateTime"}
    await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, config)])
    await admin.close()
    producer = await kafka_cluster.producer()

    async def told() -> bool:
        return (await producer.send(Draft(HERE, None, b"x"))).stamped_at is not None

    async with asyncio.timeout(30):  # the broker takes a moment to go by it
        while await told():
            pass
    await producer.close()


async def test_two_producers_write_side_by_side(cluster: Cluster) -> None:
    first, second = await cluster.producer(), await cluster.producer()
    sends = [acked((first, second)[n % 2], Draft(HERE, None, str(n).encode())) for n in range(100)]
    offsets = await asyncio.gather(*sends)
    await first.close()
    await second.close()
    log = await read_log(cluster, HERE)
    assert all(log[offset].value == str(n).encode() for n, offset in enumerate(offsets) if offset is not None)
    assert is_faulty(cluster) or len(log) == 100
    for mine in (0, 1):
        numbers = [int(value or b"") for value in values(log) if int(value or b"") % 2 == mine]
        assert numbers == sorted(set(numbers))


async def test_a_record_of_the_largest_size_fits(cluster: Cluster) -> None:
    producer = await cluster.producer()
    offset = await acked(producer, Draft(HERE, None, b"x" * (MAX_RECORD_BYTES - 1024)))
    await producer.close()
    assert is_faulty(cluster) or offset == 0


async def test_after_one_failure_a_producer_is_broken_for_good(cluster: Cluster) -> None:
    producer = await cluster.producer()
    assert not producer.broken
    with pytest.raises(AppendFailed):
        await producer.append(Draft(Place(Topic.CALLBACKS, 99), None, b"x"))
    assert producer.broken
    with pytest.raises(AppendFailed):
        await producer.append(Draft(HERE, None, b"x"))
    await producer.close()
    assert await read_log(cluster, HERE) == []


async def test_a_closed_producer_appends_nothing_and_may_be_closed_again(cluster: Cluster) -> None:
    producer = await cluster.producer()
    await producer.close()
    await producer.close()
    with pytest.raises(AppendFailed):
        await producer.append(Draft(HERE, None, b"x"))


async def test_a_caller_that_goes_away_takes_back_its_wait_and_not_the_record(cluster: Cluster) -> None:
    producer = await cluster.producer()
    impatient = asyncio.create_task(producer.append(Draft(HERE, None, b"left alone")))
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.wait({impatient})
    after = await acked(producer, Draft(HERE, None, b"next"))
    await producer.close()
    if after is not None:
        assert values(await read_log(cluster, HERE))[-1] == b"next"
