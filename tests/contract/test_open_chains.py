"""Every open chain, read once: with a checkpoint and without, in memory and over real Kafka."""

from uuid import UUID, uuid4

import pytest

from hookline.chain.fold import PartitionFold
from hookline.chain.state import Chain
from hookline.errors import AppendFailed, CommitRefused, ForeignLog
from hookline.kafka.epoch import read_log_id
from hookline.log.cluster import Cluster
from hookline.log.open_chains import OpenPartition, read_open_chains
from hookline.log.reader import PartitionReader
from hookline.log.records import LOGS, Positions
from hookline.log.snapshots import DISPATCHER_GROUP, Checkpoint, Snapshot, write_snapshot
from hookline.log.writer import Writer
from tests.contract.helpers import PARTITIONS, answered, is_faulty
from tests.contract.test_reading import fill, history
from tests.unit.chain.logs import PARTITION, Logs


def folded(logs: Logs, until: Positions | None = None) -> tuple[PartitionReader, PartitionFold]:
    """All of it, or each log up to there."""
    reader, fold = PartitionReader(PARTITION, Positions()), PartitionFold(keep_payload=False)
    for topic in LOGS:
        records = logs.records[topic]
        reader.offer(topic, records if until is None else records[: until.of(topic)])
    for record, valid in reader.read():
        if valid:
            fold.fold(record.event, record.offset, record.timestamp)
    return reader, fold


async def log_id(cluster: Cluster) -> UUID:
    found = await answered(lambda: read_log_id(cluster))
    assert found is not None
    return found


async def ask(cluster: Cluster) -> list[OpenPartition]:
    of_log = await log_id(cluster)
    return await answered(lambda: read_open_chains(cluster, of_log))


def by_id(found: list[OpenPartition]) -> dict[str, Chain]:
    return {chain.id: chain for one in found for chain in one.chains}


async def test_without_a_checkpoint_the_logs_are_folded_from_their_beginning(cluster: Cluster) -> None:
    logs = history()
    await fill(cluster, logs)
    found = await ask(cluster)
    assert [one.number for one in found] == list(range(PARTITIONS))
    assert by_id(found) == folded(logs)[1].chains
    assert len(by_id(found)) > 5
    assert [one.unread for one in found] == [sum(logs.ends) if n == PARTITION else 0 for n in range(PARTITIONS)]


async def test_from_a_checkpoint_only_what_came_later_is_read(cluster: Cluster) -> None:
    logs = history()
    await fill(cluster, logs)
    half = Positions(logs.ends.pushes, 0, logs.ends.commands, 0)
    reader, fold = folded(logs, half)
    assert reader.fence is not None
    await commit(cluster, Checkpoint(reader.positions, reader.fence, 0, await log_id(cluster)), fold)
    read: list[int] = []
    of_log = await log_id(cluster)
    found = await answered(lambda: read_open_chains(cluster, of_log, read.append))
    assert by_id(found) == folded(logs)[1].chains
    unread = sum(logs.ends) - sum(reader.positions)
    assert found[PARTITION].unread == unread
    assert is_faulty(cluster) or sum(read) == unread


async def test_a_commit_of_another_log_is_refused(cluster: Cluster) -> None:
    await commit(cluster, Checkpoint(Positions(), -1, 0, uuid4()), PartitionFold())
    with pytest.raises(ForeignLog):
        await ask(cluster)


async def commit(cluster: Cluster, checkpoint: Checkpoint, fold: PartitionFold) -> None:
    """As a dispatcher does."""
    writer = Writer(cluster)
    first = -1
    while first < 0:
        try:
            content = Snapshot(dict(fold.chains), dict(fold.repeats.until), fold.repeats.clock)
            first = await write_snapshot(writer, PARTITION, uuid4(), content)
        except AppendFailed:
            continue
    await writer.close()
    listener = Listener()
    group = await answered(lambda: cluster.group(DISPATCHER_GROUP, listener))
    while True:
        while PARTITION not in listener.partitions:
            await group.poll(0.2)
        named = Checkpoint(checkpoint.positions, checkpoint.fence, first, checkpoint.log_id)
        try:
            await group.commit(named.commits(PARTITION))
        except CommitRefused:
            await group.leave()
            continue
        break
    await group.close()


class Listener:
    """`hookline.log.cluster.GroupListener`."""

    def __init__(self) -> None:
        self.partitions: frozenset[int] = frozenset()

    def revoked(self) -> None:
        self.partitions = frozenset()

    def assigned(self, partitions: frozenset[int]) -> None:
        self.partitions = partitions
