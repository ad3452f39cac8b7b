"""What only reading over a real broker can show: sessions that it forgets, places read at their own pace, polls with a bound."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from hookline.kafka.consumer import POLL_RECORDS, KafkaConsumer
from hookline.kafka.kafka_cluster import KafkaCluster
from hookline.log.records import Draft, Place, Topic
from hookline.log.writer import Writer
from tests.contract.helpers import HERE, THERE, append, kafka_with_topics, read, read_each, values

GATHERED = Place(Topic.DELIVERIES, 1)
AN_HOUR_MS = 3_600_000


@asynccontextmanager
async def reading(cluster: KafkaCluster, *at_once: Topic, gather_ms: int = 0) -> AsyncIterator[KafkaConsumer]:
    consumer = KafkaConsumer(cluster.connection, gather_ms, at_once)
    await consumer.start()
    yield consumer
    await consumer.close()


@asynccontextmanager
async def writing(cluster: KafkaCluster) -> AsyncIterator[Writer]:
    writer = Writer(cluster)
    yield writer
    await writer.close()


async def test_what_is_gathered_does_not_hold_up_what_is_read_at_once(kafka: str, topic_prefix: str) -> None:
    cluster = await kafka_with_topics(kafka, topic_prefix)
    async with writing(cluster) as writer, reading(cluster, Topic.CALLBACKS, gather_ms=AN_HOUR_MS) as consumer:
        await append(writer, GATHERED, b"first")
        consumer.assign({HERE: 0, GATHERED: 0})
        assert values(await read(consumer, GATHERED, 1)) == [b"first"]
        await append(writer, GATHERED, b"second")
        for value in (b"a", b"b", b"c"):
            await append(writer, HERE, value)
            while HERE not in (fetched := await consumer.poll(0.5)):
                assert not fetched
            assert GATHERED not in fetched


async def test_a_broker_that_forgets_the_session_is_asked_anew(kafka: str, topic_prefix: str) -> None:
    cluster = await kafka_with_topics(kafka, topic_prefix)
    async with writing(cluster) as writer, reading(cluster) as consumer:
        await append(writer, HERE, b"a")
        consumer.assign({HERE: 0, THERE: 0})
        await read(consumer, HERE, 1)
        (lane,) = consumer.lanes.values()
        while lane.fetching is not None:  # its answer would name the session again
            await asyncio.wait({lane.fetching})
        before, lane.session.id = lane.session.id, 12_345_678
        assert before != 0, "this broker gives sessions"
        await append(writer, THERE, b"b")
        await append(writer, HERE, b"c")
        got = await read_each(consumer, {HERE: 1, THERE: 1})  # they may come together
        assert (values(got[HERE]), values(got[THERE])) == ([b"c"], [b"b"])
        assert lane.session.id not in (0, 12_345_678)


async def test_more_than_one_poll_takes_is_kept_also_while_its_place_is_paused(kafka: str, topic_prefix: str) -> None:
    cluster = await kafka_with_topics(kafka, topic_prefix)
    count = POLL_RECORDS + 500
    async with writing(cluster) as writer, reading(cluster) as consumer:
        await asyncio.gather(*(writer.append(Draft(HERE, None, b"%d" % n)) for n in range(count)))
        consumer.assign({HERE: 0, THERE: 0})
        first: list[int] = []
        while len(first) < POLL_RECORDS:
            records = (await consumer.poll(0.5)).get(HERE, ())
            assert len(records) <= POLL_RECORDS
            first += [record.offset for record in records]
        consumer.pause(HERE)
        await append(writer, THERE, b"x")
        assert values(await read(consumer, THERE, 1)) == [b"x"]
        consumer.resume(HERE)
        rest = await read(consumer, HERE, count - len(first)) if len(first) < count else []
        assert first + [record.offset for record in rest] == list(range(count))


async def test_an_answer_that_was_asked_for_before_a_seek_does_not_count(kafka: str, topic_prefix: str) -> None:
    """It would pass over what lies between."""
    cluster = await kafka_with_topics(kafka, topic_prefix)
    async with writing(cluster) as writer, reading(cluster) as consumer:
        await append(writer, HERE, *(b"%d" % n for n in range(10)))
        consumer.assign({HERE: 8})
        while not any(lane.fetching for lane in consumer.lanes.values()):
            assert await consumer.poll(0) == {}
        consumer.seek(HERE, 2)
        assert values(await read(consumer, HERE, 1))[0] == b"2"


async def test_that_nothing_is_at_a_position_is_asked_again_before_it_is_believed(
    kafka: str, topic_prefix: str
) -> None:
    """A leader that was deposed, and does not know it yet, says so of what the next one took."""
    cluster = await kafka_with_topics(kafka, topic_prefix)
    async with writing(cluster) as writer, reading(cluster) as consumer:
        await append(writer, HERE, b"a")
        consumer.assign({HERE: 2, THERE: 0})
        for n in range(5):  # asked for meanwhile, and told that there is nothing
            await append(writer, THERE, b"%d" % n)
            assert values(await read(consumer, THERE, 1)) == [b"%d" % n]
        await append(writer, HERE, b"b", b"c")
        assert values(await read(consumer, HERE, 1)) == [b"c"]
