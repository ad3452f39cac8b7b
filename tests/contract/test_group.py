"""A consumer group over the four logs: who gets what, from where, and whose commits count (design section 4)."""

import asyncio

import pytest

from hookline.errors import CommitRefused
from hookline.log.cluster import Cluster, Commit
from hookline.log.records import LOGS, Place, Topic
from hookline.log.writer import Writer
from tests.contract.conftest import KINDS_AND_FALLBACK
from tests.contract.helpers import PARTITIONS, Member, answered, append, members, poll_on, shared_out
from tests.kit.waiting import until

pytestmark = pytest.mark.parametrize("cluster", KINDS_AND_FALLBACK, indirect=True)


def commits(partition: int, offset: int, metadata: str = "") -> dict[Place, Commit]:
    return {Place(topic, partition): Commit(offset, metadata) for topic in LOGS}


async def committed(cluster: Cluster, partition: int) -> dict[Place, Commit]:
    offsets = await answered(cluster.offsets)
    try:
        return await answered(lambda: offsets.committed("g", [Place(topic, partition) for topic in LOGS]))
    finally:
        await offsets.close()


async def fill(cluster: Cluster) -> None:
    """One record or more in every partition of the four logs."""
    writer = Writer(cluster)
    for topic in LOGS:
        for partition in range(PARTITIONS):
            await append(writer, Place(topic, partition), f"{topic} {partition}".encode())
    await writer.close()


async def test_partition_p_of_all_four_logs_is_one_members(cluster: Cluster) -> None:
    await fill(cluster)
    async with members(cluster, 2) as both:
        for member in both:
            for partition in member.partitions or ():
                member.start(partition)
        await until(lambda: sum(bool(records) for m in both for records in m.read.values()) == 4 * PARTITIONS)
        for member in both:
            places = {Place(topic, partition) for topic in LOGS for partition in member.partitions or ()}
            assert {place for place, records in member.read.items() if records} == places


async def test_nothing_is_read_until_it_is_sought_and_resumed(cluster: Cluster) -> None:
    """Not even from a committed offset."""
    await fill(cluster)
    async with members(cluster, 1) as [member]:
        await member.commit(commits(0, 0))
    async with members(cluster, 1) as [member]:
        member.start(1)
        await until(lambda: all(member.read[Place(topic, 1)] for topic in LOGS))
        assert {place.partition for place, records in member.read.items() if records} == {1}
        member.start(0)
        await until(lambda: all(member.read[Place(topic, 0)] for topic in LOGS))


async def test_a_member_alone_has_all_and_shares_when_another_joins(cluster: Cluster) -> None:
    async with members(cluster, 1) as [first]:
        assert first.told == [frozenset(range(PARTITIONS))]
        second = Member()
        await second.join(cluster)
        try:
            await until(lambda: shared_out([first, second]))
            assert first.told[1] is None, "everything is revoked before what is ours is assigned"
            assert second.told[0] is not None
        finally:
            await second.close()
        await until(lambda: shared_out([first]))


async def test_more_members_than_partitions(cluster: Cluster) -> None:
    async with members(cluster, PARTITIONS) as all_busy:
        idle = Member()
        await idle.join(cluster)
        try:
            await until(lambda: sorted(len(m.partitions or ()) for m in (*all_busy, idle)) == [0] + [1] * PARTITIONS)
        finally:
            await idle.close()


async def test_commits_come_back_with_their_metadata(cluster: Cluster) -> None:
    wanted = {Place(topic, 1): Commit(10 + n, f'{{"snapshot": {n}}}') for n, topic in enumerate(LOGS)}
    async with members(cluster, 1) as [member]:
        await member.commit(wanted)
        assert await committed(cluster, 1) == wanted
        assert await committed(cluster, 2) == {}
        await member.commit({Place(Topic.PUSHES, 1): Commit(20, "later")})
        assert await committed(cluster, 1) == wanted | {Place(Topic.PUSHES, 1): Commit(20, "later")}
    assert await committed(cluster, 1) != {}, "commits outlive the member"


async def test_the_commit_of_what_another_member_has_is_refused(cluster: Cluster) -> None:
    async with members(cluster, 2) as [first, second]:
        for owner, other in ((first, second), (second, first)):
            theirs = min(owner.partitions or ())
            with pytest.raises(CommitRefused):
                await other.group.commit(commits(theirs, 3))
            assert await committed(cluster, theirs) == {}


async def test_leaving_and_joining_anew_is_told_and_shares_out_again(cluster: Cluster) -> None:
    async with members(cluster, 2) as [first, second]:
        before = len(first.told)
        await first.group.leave()
        assert first.told[before] is None
        await until(lambda: len(first.told) > before + 1 and shared_out([first, second]))


async def test_after_leaving_nothing_is_committed_until_it_is_assigned_anew(cluster: Cluster) -> None:
    async with members(cluster, 1) as [member]:
        await member.commit(commits(0, 5))
        await member.group.leave()
        with pytest.raises(CommitRefused):
            await member.group.commit(commits(0, 3))
        assert (await committed(cluster, 0)) == commits(0, 5)
        await member.commit(commits(0, 6))
        assert (await committed(cluster, 0)) == commits(0, 6)


async def test_leaving_at_once_from_several_sides_does_no_harm(cluster: Cluster) -> None:
    async with members(cluster, 1) as [member]:
        await asyncio.gather(*(member.group.leave() for _ in range(3)))
        await member.group.leave()
        await until(lambda: shared_out([member]))


async def test_what_the_listener_raises_comes_out_of_the_poll(cluster: Cluster) -> None:
    class Broken:
        def revoked(self) -> None: ...

        async def quiesced(self) -> None: ...

        def assigned(self, partitions: frozenset[int]) -> None:
            raise ValueError("not as it should be")

    group = await answered(lambda: cluster.group("g", Broken()))
    try:
        with pytest.raises(ValueError, match="not as it should be"):
            await poll_on(group)
    finally:
        await group.close()


async def test_the_places_of_a_member_come_from_the_group(cluster: Cluster) -> None:
    async with members(cluster, 1) as [member]:
        assert not hasattr(member.group, "assign")
