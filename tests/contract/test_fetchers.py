"""Our own fetcher and aiokafka's consumer read one log: every record is the same, field by field."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple

from aiokafka import AIOKafkaProducer

from hookline.kafka.kafka_cluster import Fetcher, KafkaCluster
from hookline.log.records import PIPELINES, Place, RawRecord, Topic
from tests.contract.helpers import HERE, PARTITIONS, THERE, answered, kafka_with_topics, read_each

CODECS = (None, "gzip", "snappy", "lz4", "zstd")
GONE = 3
"""So many records at the beginning of HERE are deleted."""
PLACES = (HERE, THERE, Place(Topic.DELIVERIES, PARTITIONS - 1))


class Written(NamedTuple):
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, bytes] = {}


ODD = [
    Written(b"key", b"value", {"ce_id": b"1", "content-type": b"application/json"}),
    Written(None, b"no key"),
    Written(b"", b"", {"empty": b""}),
    Written(b"tombstone", None, {"who": b"console"}),
    Written(b"\x00\xff", bytes(range(256)) * 300, {"kü": "ä".encode()}),
]


@asynccontextmanager
async def producer(cluster: KafkaCluster, **options: object) -> AsyncIterator[AIOKafkaProducer]:
    made = AIOKafkaProducer(bootstrap_servers=list(cluster.connection.bootstrap_servers), **options)
    await made.start()
    yield made
    await made.stop()


async def append(cluster: KafkaCluster, by: AIOKafkaProducer, place: Place, records: list[Written]) -> None:
    tp = cluster.connection.of(place)
    acks = [
        await by.send(tp.topic, one.value, one.key, partition=tp.partition, headers=list(one.headers.items()))
        for one in records
    ]
    for ack in acks:
        await ack


async def fill(cluster: KafkaCluster) -> dict[Place, list[Written]]:
    """Batches of every codec in several places; what lies there in the end, of `pipelines` behind the log's id.

    Offsets that nothing lies at any more, as compaction leaves them, are in `pipelines`: there the mark that ends a transaction.
    """
    lies: dict[Place, list[Written]] = {place: [] for place in PLACES}
    for codec in CODECS:
        async with producer(cluster, compression_type=codec, linger_ms=20) as by:
            for place, records in lies.items():
                new = [*ODD, *(Written(b"%d" % n, f"{codec} {n} {place}".encode()) for n in range(50))]
                await append(cluster, by, place, new)
                records += new
    lies[PIPELINES] = [Written(b"pipeline-%d" % n, b"{}") for n in range(3)]
    async with producer(cluster, transactional_id=cluster.connection.topic_prefix) as by:
        for one in lies[PIPELINES]:
            async with by.transaction():
                await append(cluster, by, PIPELINES, [one])
    offsets = await answered(cluster.offsets)
    await answered(lambda: offsets.delete_below(HERE, GONE))
    await offsets.close()
    del lies[HERE][:GONE]
    return lies


async def read_by(
    fetcher: Fetcher, servers: str, prefix: str, counts: Mapping[Place, int]
) -> dict[Place, list[RawRecord]]:
    cluster = KafkaCluster(servers, prefix, client_id=fetcher, fetcher=fetcher)
    offsets, consumer = await answered(cluster.offsets), await answered(cluster.consumer)
    try:
        consumer.assign(await answered(lambda: offsets.starts(counts)))
        return await read_each(consumer, counts)
    finally:
        await consumer.close()
        await offsets.close()


async def test_both_read_every_record_alike(kafka: str, topic_prefix: str) -> None:
    lies = await fill(await kafka_with_topics(kafka, topic_prefix))
    counts = {place: len(records) + (place == PIPELINES) for place, records in lies.items()}
    own = await read_by("own", kafka, topic_prefix, counts)
    fallback = await read_by("aiokafka", kafka, topic_prefix, counts)

    for place, records in lies.items():
        assert [Written(raw.key, raw.value, raw.headers) for raw in own[place][-len(records) :]] == records
        assert own[place] == fallback[place]
    assert [raw.offset for raw in own[HERE][:2]] == [GONE, GONE + 1]
    assert [raw.offset for raw in own[PIPELINES]] == [0, 1, 3, 5], "there are gaps"
