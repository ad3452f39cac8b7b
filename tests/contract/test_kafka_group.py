"""What only a real group can show: a commit that comes late is of a member that is gone."""

import asyncio

import pytest
from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.errors import IllegalGenerationError, UnknownMemberIdError, for_code
from aiokafka.protocol.commit import OffsetCommitRequest
from aiokafka.structs import OffsetAndMetadata

from hookline.errors import LogUnavailable, NameTaken
from hookline.kafka.client import Membership, commit_once, membership
from hookline.kafka.group import KafkaGroup
from hookline.kafka.kafka_cluster import KafkaCluster
from hookline.log.cluster import Commit
from hookline.log.records import LOGS, Place, Topic
from tests.contract.helpers import Member, kafka_with_topics, members, shared_out
from tests.kit.waiting import until

PLACE = Place(Topic.PUSHES, 0)


def membership_of(member: Member) -> Membership:
    assert isinstance(member.group, KafkaGroup)
    assert member.group.consumer is not None
    return membership(member.group.consumer)


async def late_commit(cluster: KafkaCluster, under: Membership) -> type[Exception]:
    """What the broker says to a commit that arrives now."""
    name, partition = cluster.connection.of(PLACE)
    group = f"{cluster.connection.topic_prefix}g"
    client = AIOKafkaClient(**cluster.connection.options())
    await client.bootstrap()
    try:
        node = await client.coordinator_lookup(CoordinationType.GROUP, group)
        request = OffsetCommitRequest(group, under.generation, under.member, -1, [(name, [(partition, 1, "late")])])
        answer = await client.send(node, request)
        return for_code(answer.topics[0][1][0][1])
    finally:
        await client.close()


@pytest.mark.parametrize("instance_id", ["", "dispatcher-0"], ids=["dynamic", "static"])
async def test_after_leaving_a_late_commit_is_refused(kafka: str, topic_prefix: str, instance_id: str) -> None:
    """Design section 4, rule 3; model, `leave`."""
    cluster = await kafka_with_topics(kafka, topic_prefix, instance_id=instance_id)
    async with members(cluster, 1) as [member]:
        await member.commit({Place(t, 0): Commit(5, "") for t in LOGS})
        before = membership_of(member)
        told = len(member.told)
        await member.group.leave()
        await until(lambda: len(member.told) > told + 1 and shared_out([member]))
        assert membership_of(member) != before
        await member.commit({Place(t, 0): Commit(6, "") for t in LOGS})
        assert await late_commit(cluster, before) in (UnknownMemberIdError, IllegalGenerationError)
        offsets = await cluster.offsets()
        assert (await offsets.committed("g", [PLACE]))[PLACE] == Commit(6, "")
        await offsets.close()


async def test_a_static_member_that_comes_back_gets_its_partitions_again(kafka: str, topic_prefix: str) -> None:
    """A restart within the session is no rebalance for the others."""
    clusters = [
        await kafka_with_topics(kafka, topic_prefix, instance_id=f"d{n}", session_timeout_ms=20_000) for n in (0, 1)
    ]
    first, second = Member(), Member()
    await first.join(clusters[0])
    await second.join(clusters[1])
    try:
        await until(lambda: shared_out([first, second]))
        had, told = second.partitions, list(first.told)
        await second.close()
        second = Member()
        await second.join(clusters[1])
        await until(lambda: second.partitions is not None)
        assert second.partitions == had
        assert first.told == told
    finally:
        await first.close()
        await second.close()


async def test_a_commit_goes_out_under_the_membership_it_was_made_for_or_not_at_all(
    kafka: str, topic_prefix: str
) -> None:
    """aiokafka's own `commit` would send it under whatever generation there is by then."""
    cluster = await kafka_with_topics(kafka, topic_prefix)
    async with members(cluster, 1) as [member]:
        assert isinstance(member.group, KafkaGroup)
        consumer, now = member.group.consumer, membership_of(member)
        offsets = {cluster.connection.of(PLACE): OffsetAndMetadata(7, "")}
        assert not await commit_once(consumer, now._replace(generation=now.generation - 1), offsets)
        assert not await commit_once(consumer, now._replace(member="another"), offsets)
        asked = await cluster.offsets()
        assert await asked.committed("g", [PLACE]) == {}
        assert await commit_once(consumer, now, offsets)
        assert await asked.committed("g", [PLACE]) == {PLACE: Commit(7, "")}
        await asked.close()


async def test_a_rebalance_waits_until_a_member_has_settled(kafka: str, topic_prefix: str) -> None:
    """Longer than a request to Kafka may take (5 s), and what the member commits meanwhile counts."""
    cluster = await kafka_with_topics(kafka, topic_prefix)
    async with members(cluster, 1) as [first]:
        first.may_part.clear()
        second = Member()
        await second.join(cluster)
        try:
            await until(lambda: first.partitions is None)
            await first.group.commit({Place(t, 0): Commit(5, "") for t in LOGS})
            await asyncio.sleep(6)  # the second asks to join more than once
            assert second.told == []
            first.may_part.set()
            await until(lambda: shared_out([first, second]))
        finally:
            await second.close()


async def test_a_twin_under_the_same_name_is_named_with_what_to_do(kafka: str, topic_prefix: str) -> None:
    """Two processes with one GROUP_INSTANCE_ID take the partitions from each other; both may be told, one of them is."""
    cluster = await kafka_with_topics(kafka, topic_prefix, instance_id="dispatcher-0")
    twins = [Member(), Member()]
    told: list[NameTaken] = []

    async def lives(member: Member) -> None:
        """As a dispatcher does: each end of a session begins another."""
        while not told:
            member.partitions = None
            await member.join(cluster)
            try:
                await member.ended()
            except NameTaken as error:
                told.append(error)
            except LogUnavailable:
                pass
            await member.close()

    lives_on = [asyncio.create_task(lives(member)) for member in twins]
    try:
        await until(lambda: bool(told))
    finally:
        for task in lives_on:
            task.cancel()
        await asyncio.gather(*lives_on, return_exceptions=True)
        for member in twins:
            await member.close()
    assert "another process is in the group" in str(told[0])
    assert "under our name dispatcher-0" in str(told[0])
    assert "Stop one of them, or give each dispatcher a HOOKLINE_GROUP_INSTANCE_ID of its own" in str(told[0])
