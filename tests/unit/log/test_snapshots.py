"""Snapshots that are not there, or not whole: said at once, and never taken for a whole one."""

from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from hookline.errors import SnapshotLost
from hookline.log.records import Place, Positions, RawRecord, Topic
from hookline.log.snapshots import Checkpoint, Snapshot, read_checkpoint, write_snapshot
from hookline.testing.memory import MemoryCluster

LOG_ID = UUID("6f1c9c3e-0000-4000-8000-000000000001")
WINDOWS = {f"0000000{n}-0000-4000-8000-000000000001": n for n in range(3)}
HERE = Place(Topic.SNAPSHOTS, 0)


async def written(cluster: MemoryCluster) -> int:
    """Where a snapshot begins: a record, and the one that closes it."""
    producer = await cluster.producer()
    return await write_snapshot(producer, 0, uuid4(), Snapshot({}, WINDOWS, 7))


async def restored(cluster: MemoryCluster, first: int) -> dict[str, int]:
    checkpoint = Checkpoint(Positions(), -1, first, LOG_ID)
    return (await read_checkpoint(cluster, await cluster.offsets(), 0, checkpoint)).repeats.until


@pytest.mark.timeout(5)
async def test_one_whose_last_record_is_missing_at_the_logs_end_is_lost() -> None:
    cluster = MemoryCluster(1)
    first = await written(cluster)
    cluster.rewrite(HERE, list.pop)
    with pytest.raises(SnapshotLost, match="not whole"):
        await restored(cluster, first)


@pytest.mark.timeout(5)
async def test_one_whose_last_record_is_missing_before_another_is_lost() -> None:
    """The closing record of another one is not its own."""
    cluster = MemoryCluster(1)
    first = await written(cluster)
    cluster.rewrite(HERE, list.pop)
    await written(cluster)
    with pytest.raises(SnapshotLost, match="not whole"):
        await restored(cluster, first)


async def test_one_that_was_deleted_is_lost() -> None:
    cluster = MemoryCluster(1)
    first = await written(cluster)
    await written(cluster)
    cluster.delete_below(HERE, first + 2)
    with pytest.raises(SnapshotLost, match="not in the log"):
        await restored(cluster, first)


async def test_records_of_others_between_its_own_are_passed_over() -> None:
    cluster = MemoryCluster(1)
    first = await written(cluster)
    await written(cluster)

    def swap(records: list[RawRecord]) -> None:
        records[1], records[2] = replace(records[2], offset=1), replace(records[1], offset=2)

    cluster.rewrite(HERE, swap)
    assert await restored(cluster, first) == WINDOWS
