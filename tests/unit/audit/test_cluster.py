"""An audit of a cluster reads, and does nothing else (I12); it reads what was there when it began, and little at a time."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from uuid import UUID

import pytest

from hookline.audit.cluster_source import CHUNK, HELD, open_cluster
from hookline.audit.export import export
from hookline.audit.findings import Finding
from hookline.audit.replay import Run, replay, stood
from hookline.audit.story import Selection
from hookline.audit.verify import verify
from hookline.chain.pipeline import LogId
from hookline.errors import TopicsUnfit
from hookline.log.cluster import Commit, Consumer, Group, GroupListener, Offsets, Producer
from hookline.log.codec import encode, encode_setting
from hookline.log.records import Place, RawRecord, Topic
from hookline.log.snapshots import DISPATCHER_GROUP
from hookline.testing.faults import Faults
from hookline.testing.manual_clock import ManualClock
from hookline.testing.memory import MemoryCluster
from hookline.testing.memory_clients import POLL_RECORDS
from tests.kit.events import START, push
from tests.unit.audit.simulations import PARTITIONS, simulated_cluster
from tests.unit.audit.sources import judge, of_cluster

LOG_ID = UUID("6f1c9c3e-0000-4000-8000-000000000001")


class ReadOnlyOffsets:
    def __init__(self, offsets: Offsets) -> None:
        self._offsets = offsets

    async def starts(self, places: Iterable[Place]) -> dict[Place, int]:
        return await self._offsets.starts(places)

    async def ends(self, places: Iterable[Place]) -> dict[Place, int]:
        return await self._offsets.ends(places)

    async def committed(self, group: str, places: Iterable[Place]) -> dict[Place, Commit]:
        return await self._offsets.committed(group, places)

    async def delete_below(self, place: Place, offset: int) -> None:
        raise AssertionError("an audit deletes nothing")

    async def close(self) -> None:
        await self._offsets.close()


@dataclass
class ReadOnly:
    """A cluster that nothing can be written to, and no group can be joined in."""

    cluster: MemoryCluster

    async def producer(self) -> Producer:
        raise AssertionError("an audit produces nothing")

    async def group(self, group: str, listener: GroupListener) -> Group:
        raise AssertionError("an audit joins no group")

    async def consumer(self, gather_ms: int = 0) -> Consumer:
        return await self.cluster.consumer()

    async def offsets(self) -> Offsets:
        return ReadOnlyOffsets(await self.cluster.offsets())

    async def partitions(self, topic: Topic) -> int:
        return await self.cluster.partitions(topic)


def everything(cluster: MemoryCluster) -> object:
    group = cluster.membership(DISPATCHER_GROUP)
    return (
        {
            place: cluster.log(place)
            for topic in Topic
            for p in range(cluster.count(topic))
            for place in [Place(topic, p)]
        },
        dict(group.commits),
        group.generation,
        group.members,
    )


async def test_every_command_reads_and_leaves_all_as_it_was(tmp_path_factory: pytest.TempPathFactory) -> None:
    cluster = await simulated_cluster(3)
    before = everything(cluster)
    findings: list[Finding] = []
    for command in ("verify", "replay", "state", "export"):
        source = await open_cluster(ReadOnly(cluster), "hookline.", ManualClock())
        match command:
            case "verify":
                await verify(source, findings.append, settled=True)
            case "replay":
                assert [told async for told in replay(source, Selection(), Run(), lambda records: None)]
            case "state":
                assert [
                    one async for chains in stood(source, Selection(), Run(), lambda records: None) for one in chains
                ]
            case _:
                with (tmp_path_factory.mktemp("x") / "b").open("wb") as file:
                    await export(source, file, lambda records: None)
        await source.close()
    assert findings == []
    assert everything(cluster) == before


@pytest.mark.parametrize("faults", [Faults.none(), Faults(5, late=0, refused=0, unanswered=0)], ids=["quiet", "slow"])
async def test_it_finds_on_a_cluster_what_it_finds_in_its_records(faults: Faults) -> None:
    cluster = await simulated_cluster(4)
    cluster.faults = faults

    def fail_first(records: list[RawRecord]) -> None:
        at = next(n for n, raw in enumerate(records) if raw.headers["ce_type"] == b"hookline.HookDelivered.v1")
        records[at] = replace(records[at], value=(records[at].value or b"").replace(b'"status":200', b'"status":500'))
        records[at] = replace(records[at], value=(records[at].value or b"").replace(b'"status":302', b'"status":500'))

    cluster.rewrite(Place(Topic.DELIVERIES, 1), fail_first)
    source, found = await open_cluster(ReadOnly(cluster), "hookline.", ManualClock(START)), list[Finding]()
    figures = await verify(source, found.append)
    await source.close()

    assert (found, figures) == await judge(of_cluster(cluster, PARTITIONS, LOG_ID))
    assert found
    assert source.origin.log_id == LOG_ID
    assert source.origin.taken_at == START


async def test_what_is_written_after_it_began_is_not_read() -> None:
    cluster = MemoryCluster(1)
    for n in range(3):
        cluster.append(encode(push(name=str(n)), 0, now_ms=0))
    source = await open_cluster(cluster, "", ManualClock())
    for n in range(3, 9):
        cluster.append(encode(push(name=str(n)), 0, now_ms=0))
    read = [
        raw.offset
        async for partition in source.partitions()
        async for more in chunks(partition, Topic.PUSHES)
        for raw in more
    ]
    await source.close()

    assert read == [0, 1, 2]


async def test_a_log_that_is_not_asked_for_is_held_back() -> None:
    """However long it is: what was fetched of it stays within bounds."""
    cluster = MemoryCluster(1)
    draft = encode(push(), 0, now_ms=0)
    for _ in range(3 * HELD):
        cluster.append(draft)
    for topic in (Topic.DELIVERIES, Topic.CALLBACKS):
        for _ in range(2 * HELD):
            cluster.append(draft.__class__(Place(topic, 0), None, b"", {}))
    source = await open_cluster(cluster, "", ManualClock())
    async for partition in source.partitions():
        read = 0
        while more := await partition.more(Topic.DELIVERIES):
            read += len(more)
            assert len(more) <= CHUNK
            assert partition.held <= HELD + POLL_RECORDS  # type: ignore[attr-defined]  # a source of a file holds nothing
        assert read == 2 * HELD
        assert sum([len(more) async for more in chunks(partition, Topic.PUSHES)]) == 3 * HELD
    await source.close()


async def chunks(partition, topic: Topic):
    while more := await partition.more(topic):
        yield more


async def test_a_cluster_without_our_topics_is_said() -> None:
    class Empty(ReadOnly):
        async def partitions(self, topic: Topic) -> int:
            raise TopicsUnfit("there is no topic pushes")

    with pytest.raises(TopicsUnfit, match="no topic"):
        await open_cluster(Empty(MemoryCluster(1)), "", ManualClock())


async def test_records_that_are_deleted_while_it_reads_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = MemoryCluster(1)
    for _ in range(10):
        cluster.append(encode(push(), 0, now_ms=0))
    source = await open_cluster(cluster, "", ManualClock())
    cluster.delete_below(Place(Topic.PUSHES, 0), 8)
    found: list[Finding] = []
    figures = await verify(source, found.append)
    await source.close()
    assert [(f.topic, f.partition, f.offset) for f in found] == [(Topic.PUSHES, 0, 0)]
    assert figures.findings == 1


async def test_a_partition_may_be_empty_and_the_log_without_an_id() -> None:
    source = await open_cluster(MemoryCluster(4), "", ManualClock())
    figures = await verify(source, print, settled=True)
    await source.close()

    assert (figures.records, figures.findings) == (0, 0)
    assert source.origin.log_id is None


async def test_the_latest_log_id_counts() -> None:
    cluster = MemoryCluster(1)
    for log_id in (UUID(int=1), LOG_ID):
        cluster.append(encode_setting(LogId(log_id=log_id), now_ms=0))
    source = await open_cluster(cluster, "", ManualClock())
    await source.close()

    assert source.origin.log_id == LOG_ID
    assert len(source.pipelines) == 2
