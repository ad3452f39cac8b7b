"""The seven topics on real Kafka: made once, checked before each start, and what is said when they do not fit."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from types import SimpleNamespace
from uuid import UUID

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import InvalidReplicationFactorError

from hookline.audit.cluster_source import open_cluster
from hookline.chain.pipeline import LogId
from hookline.errors import AppendFailed, ConfigError, LogUnavailable, TopicsUnfit
from hookline.kafka import admin as kafka_admin
from hookline.kafka.check import LogCheck
from hookline.kafka.epoch import new_epoch, read_log_id
from hookline.kafka.fitness import CO_PARTITIONED, TIMES, config_of
from hookline.kafka.kafka_cluster import KafkaCluster
from hookline.kafka.producer import KafkaProducer
from hookline.kafka.topics import check_topics, create_topics, describe
from hookline.log import patience
from hookline.log.codec import encode_setting
from hookline.log.records import LOGS, MAX_RECORD_BYTES, PIPELINES, Draft, Topic
from hookline.log.snapshots import DISPATCHER_GROUP
from hookline.testing.manual_clock import ManualClock
from tests.contract.helpers import WITHIN_S, Member, kafka_with_topics, read_log
from tests.contract.operators import make_anew
from tests.contract.test_table import HOOK, pipeline
from tests.kafka import free_broker_port
from tests.kit.events import START
from tests.kit.waiting import until

FIT = {"max.message.bytes": str(MAX_RECORD_BYTES), "retention.ms": "-1", "retention.bytes": "-1"}


@pytest.fixture
def bare(kafka: str, topic_prefix: str) -> KafkaCluster:
    """A cluster without topics under its prefix."""
    return KafkaCluster(kafka, topic_prefix, client_id="contract")


@pytest.fixture
async def admin(kafka: str) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    yield admin
    await admin.close()


async def there(admin: AIOKafkaAdminClient, name: str, *, wanted: bool = True) -> None:
    """Return once the topic is there (or gone)."""

    async def is_so() -> bool:
        return (name in await admin.list_topics()) == wanted

    await until(is_so, pause_s=0.05)


async def test_they_are_made_as_the_design_says(bare: KafkaCluster) -> None:
    said = await create_topics(bare, partitions=3)
    assert len(said) == 8
    found = await describe(bare)
    name = bare.connection.name
    assert {state.name for state in found.states.values()} == {name(topic) for topic in Topic}
    for topic, state in found.states.items():
        assert state.partitions == (3 if topic in (*LOGS, Topic.SNAPSHOTS) else 1)
        assert state.replication == 1
        assert state.config["max.message.bytes"] == str(MAX_RECORD_BYTES)
        assert state.config["min.insync.replicas"] == "1"
        if topic is Topic.PIPELINES:
            assert state.config["cleanup.policy"] == "compact"
        else:
            assert state.config["cleanup.policy"] == "delete"
            bounds = ("2592000000", "1073741824") if topic is Topic.QUARANTINE else ("-1", "-1")
            assert (state.config["retention.ms"], state.config["retention.bytes"]) == bounds
    assert await check_topics(bare) == found.log_id == await read_log_id(bare)
    assert any(str(found.log_id) in sentence for sentence in said)


async def test_made_again_nothing_is_done(bare: KafkaCluster) -> None:
    await create_topics(bare, partitions=2)
    before = await describe(bare)
    assert await create_topics(bare, partitions=2) == []
    assert await describe(bare) == before


async def test_the_logs_are_kept_as_long_as_is_asked_for_new_or_not(
    bare: KafkaCluster, admin: AIOKafkaAdminClient
) -> None:
    """And nothing else that an operator set changes: AlterConfigs replaces all that a topic was given."""
    name = bare.connection.name
    own = FIT | {"segment.ms": "3600000"}
    await admin.create_topics([NewTopic(name(Topic.PUSHES), 1, 1, topic_configs=own)])
    await there(admin, name(Topic.PUSHES))
    said = await create_topics(bare, partitions=1, retention_days=40)
    assert any(f"{name(Topic.PUSHES)}: retention.ms was -1, is 3456000000 now" in sentence for sentence in said)
    states = (await describe(bare)).states
    kept = {topic: state.config["retention.ms"] for topic, state in states.items() if topic is not Topic.PIPELINES}
    assert {topic for topic, ms in kept.items() if ms == "3456000000"} == set(LOGS)
    assert (kept[Topic.SNAPSHOTS], kept[Topic.QUARANTINE]) == ("-1", "2592000000")
    assert states[Topic.PUSHES].config["segment.ms"] == "3600000"
    assert await create_topics(bare, partitions=1, retention_days=40) == []
    await check_topics(bare)
    assert len(await create_topics(bare, partitions=1)) == len(LOGS)


async def test_quarantine_ends_by_age_and_size_new_or_not(bare: KafkaCluster) -> None:
    """One that an earlier version made forever is bounded, too."""
    await create_topics(bare, partitions=1, quarantine_days=0, quarantine_bytes=0)
    for days, size, ms in ((0, 0, "-1"), (7, 1000, "604800000"), (0, 0, "-1")):
        said = await create_topics(bare, partitions=1, quarantine_days=days, quarantine_bytes=size)
        config = (await describe(bare)).states[Topic.QUARANTINE].config
        assert (config["retention.ms"], config["retention.bytes"]) == (ms, str(size or -1))
        assert config["cleanup.policy"] == "delete"
        if days:
            assert (config["segment.bytes"], config["segment.ms"]) == ("67108864", "86400000")
            assert len(said) == 4
    await check_topics(bare)


async def test_a_retention_that_is_too_short_for_the_pipelines_is_refused_and_nothing_made(bare: KafkaCluster) -> None:
    with pytest.raises(ConfigError, match="Set 12 or more"):
        await create_topics(bare, partitions=1, retention_days=7)
    assert (await describe(bare)).states == {}
    await create_topics(bare, partitions=1, retention_days=12)
    two_hooks = pipeline("ci").model_copy(update={"hooks": (HOOK, HOOK)})
    producer = await bare.producer()
    await producer.append(encode_setting(two_hooks, now_ms=START))
    await producer.close()
    with pytest.raises(ConfigError, match=r"RETENTION_DAYS=12 is too short: .*acme/app.*Set 22 or more"):
        await create_topics(bare, partitions=1, retention_days=12)


async def test_another_number_of_partitions_is_said_and_not_done(bare: KafkaCluster) -> None:
    await create_topics(bare, partitions=2)
    (sentence,) = await create_topics(bare, partitions=5)
    assert "2 partitions" in sentence
    assert await bare.partitions(Topic.PUSHES) == 2


async def test_what_is_missing_is_made_to_fit_what_is_there(bare: KafkaCluster, admin: AIOKafkaAdminClient) -> None:
    name = bare.connection.name(Topic.CALLBACKS)
    await admin.create_topics([NewTopic(name, 2, 1, topic_configs=FIT)])
    await there(admin, name)
    await create_topics(bare, partitions=12)
    await check_topics(bare)
    assert await bare.partitions(Topic.SNAPSHOTS) == 2


async def test_without_topics_a_service_is_told_what_to_run(bare: KafkaCluster) -> None:
    with pytest.raises(TopicsUnfit, match=r"there is no topic .*pushes.*quarantine.*hookline topics create"):
        await check_topics(bare)


@pytest.mark.parametrize(
    ("topic", "partitions", "config", "words"),
    [
        (Topic.DELIVERIES, 3, FIT, "deliveries has 3 partitions, .*pushes has 2"),
        (Topic.PIPELINES, 2, FIT | {"cleanup.policy": "compact"}, "pipelines has 2 partitions and must have one"),
        (Topic.PIPELINES, 1, FIT, "pipelines has cleanup.policy=delete and needs compact"),
        (Topic.PUSHES, 2, FIT | {"cleanup.policy": "compact"}, "pushes has cleanup.policy=compact and needs delete"),
        (Topic.SNAPSHOTS, 2, FIT | {"retention.ms": "1000"}, "snapshots has retention.ms=1000 and needs -1"),
        (Topic.COMMANDS, 2, FIT | {"min.insync.replicas": "2"}, "commands has min.insync.replicas=2 and needs 1"),
    ],
)  # fmt: skip
async def test_a_topic_that_does_not_fit_is_named_with_what_is_wrong(
    bare: KafkaCluster,
    admin: AIOKafkaAdminClient,
    topic: Topic,
    partitions: int,
    config: dict[str, str],
    words: str,
) -> None:
    """By the check, and by `create_topics`, which changes nothing that is there."""
    name = bare.connection.name
    others = {t: 2 if t in (*LOGS, Topic.SNAPSHOTS) else 1 for t in Topic if t is not topic}
    new = [NewTopic(name(topic), partitions, 1, topic_configs=config)]
    for other, count in others.items():
        policy = {"cleanup.policy": "compact"} if other is Topic.PIPELINES else {}
        new.append(NewTopic(name(other), count, 1, topic_configs=FIT | policy))
    await admin.create_topics(new)
    await there(admin, new[-1].name)
    for ask in (check_topics, create_topics):
        with pytest.raises(TopicsUnfit, match=words):
            await ask(bare)


async def test_a_limit_that_is_too_low_is_said_and_neither_refused_nor_changed(
    bare: KafkaCluster, admin: AIOKafkaAdminClient
) -> None:
    """An operator lowers it while services run: they go on, and one that is started again then must come up, too."""
    name = bare.connection.name(Topic.CALLBACKS)
    await admin.create_topics([NewTopic(name, 2, 1, topic_configs=FIT | {"max.message.bytes": "1000000"})])
    await there(admin, name)
    for _ in range(2):
        said = await create_topics(bare, partitions=2)
        assert f"{name} has max.message.bytes=1000000 and needs 4194304" in said[-1]
        await check_topics(bare)
    assert (await describe(bare)).states[Topic.CALLBACKS].config["max.message.bytes"] == "1000000"


async def test_topics_without_a_log_id_do_not_fit(bare: KafkaCluster, admin: AIOKafkaAdminClient) -> None:
    await create_topics(bare, partitions=1)
    name = bare.connection.name(Topic.PIPELINES)
    await admin.delete_topics([name])
    await there(admin, name, wanted=False)
    await admin.create_topics([NewTopic(name, 1, 1, topic_configs=FIT | {"cleanup.policy": "compact"})])
    await there(admin, name)
    with pytest.raises(TopicsUnfit, match=r"pipelines holds no log_id: run `hookline topics create`"):
        await check_topics(bare)
    (sentence,) = await create_topics(bare, partitions=1)
    assert UUID(sentence.rsplit(" ", 1)[-1]) == await check_topics(bare)


async def test_a_new_epoch_takes_the_place_of_the_old(bare: KafkaCluster) -> None:
    await create_topics(bare, partitions=1)
    before = await check_topics(bare)
    made = await new_epoch(bare)
    assert await check_topics(bare) == made != before


async def test_more_copies_than_brokers_are_refused_in_words(bare: KafkaCluster) -> None:
    with pytest.raises(TopicsUnfit, match="HOOKLINE_REPLICATION=3, and there are 1 brokers"):
        await create_topics(bare, replication=3)
    assert (await describe(bare)).states == {}


@pytest.mark.parametrize("ask", [check_topics, create_topics, describe])
async def test_without_brokers_they_are_unavailable_and_not_unfit(ask: Callable[[KafkaCluster], object]) -> None:
    nobody = KafkaCluster(f"127.0.0.1:{free_broker_port()}", "x.", client_id="t")
    with pytest.raises(LogUnavailable):
        await ask(nobody)  # type: ignore[misc]


async def test_a_cluster_that_nobody_leads_is_unavailable(bare: KafkaCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that was too slow for its own session is out of the cluster for a moment, and answers all the same."""

    async def nobody(self: AIOKafkaAdminClient, *arguments: object) -> None:
        self._client.cluster.controller = None  # as the answer says then
        await self._send_request_to_node(self._client.cluster.controller.nodeId, None)

    monkeypatch.setattr(AIOKafkaAdminClient, "create_topics", nobody)
    monkeypatch.setattr(kafka_admin, "ASK_S", 0.3)
    with pytest.raises(LogUnavailable, match="no usable broker"):
        await create_topics(bare, partitions=1)


async def test_a_broker_that_counts_none_for_a_moment_is_waited_for(
    bare: KafkaCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As above: it does not count itself either."""
    really, asked = AIOKafkaAdminClient.describe_cluster, 0

    async def none_at_first(self: AIOKafkaAdminClient) -> dict[str, object]:
        nonlocal asked
        asked += 1
        told: dict[str, object] = await really(self)
        return told if asked > 2 else {**told, "brokers": []}

    monkeypatch.setattr(AIOKafkaAdminClient, "describe_cluster", none_at_first)
    assert (await describe(bare)).brokers == 1


async def test_brokers_that_count_none_for_long_are_unavailable_and_not_unfit(
    bare: KafkaCluster, monkeypatch: pytest.MonkeyPatch
) -> None:

    async def none(self: AIOKafkaAdminClient) -> dict[str, object]:
        return {"brokers": []}

    monkeypatch.setattr(AIOKafkaAdminClient, "describe_cluster", none)
    monkeypatch.setattr(kafka_admin, "ASK_S", 0.3)
    with pytest.raises(LogUnavailable):
        await create_topics(bare)


async def test_a_broker_that_is_fenced_for_a_moment_is_waited_for(
    bare: KafkaCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it answers when it was killed and is back before its old session is over."""
    really, asked = AIOKafkaAdminClient.create_topics, 0

    async def fenced_at_first(self: AIOKafkaAdminClient, new: list[NewTopic]) -> object:
        nonlocal asked
        asked += 1
        why = "All brokers are currently fenced, or have all their log directories cordoned."
        answers = [(topic.name, InvalidReplicationFactorError.errno, why) for topic in new]
        return await really(self, new) if asked > 2 else SimpleNamespace(topic_errors=answers)

    monkeypatch.setattr(AIOKafkaAdminClient, "create_topics", fenced_at_first)
    await create_topics(bare, partitions=1)
    await check_topics(bare)


# ---- operators' slips


async def test_no_new_epoch_while_a_dispatcher_runs(kafka: str, topic_prefix: str) -> None:
    """It would go on, and commit, under the old id: the next one that starts would refuse that."""
    cluster = await kafka_with_topics(kafka, topic_prefix, instance_id="dispatcher-7")
    before, member = await check_topics(cluster), Member()
    await member.join(cluster, DISPATCHER_GROUP)
    try:
        await until(lambda: bool(member.partitions))
        words = (
            rf"the consumer group {topic_prefix}dispatcher has members: dispatcher-7-.*contract at .*Stop all services"
        )
        with pytest.raises(ConfigError, match=words):
            await new_epoch(cluster)
    finally:
        await member.close()
    assert await check_topics(cluster) == before

    async def is_made() -> bool:
        try:
            return await new_epoch(cluster) != before
        except ConfigError:
            return False

    await until(is_made, pause_s=0.1)  # a static member counts until its session is over


async def test_partitions_that_were_raised_are_no_log_of_ours_any_more(
    bare: KafkaCluster, admin: AIOKafkaAdminClient
) -> None:
    """All five alike: none of them says that they were fewer."""
    await create_topics(bare, partitions=2)
    check = LogCheck(bare)
    await check()
    names = [bare.connection.name(topic) for topic in CO_PARTITIONED]
    await admin.create_partitions({name: NewPartitions(4) for name in names})
    words = f"{names[0]} has 4 partitions, and this log was made with 2, which cannot change"
    for ask in (check, LogCheck(bare), lambda: check_topics(bare), lambda: create_topics(bare, partitions=4)):
        await until_raised(ask, words)
    with pytest.raises(TopicsUnfit, match="have 4 partitions, and this log was made with 2"):
        await open_cluster(bare, "", ManualClock())


async def until_raised(ask: Callable[[], Awaitable[object]], words: str) -> None:
    """Brokers tell of new partitions a moment later."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            try:
                await ask()
            except TopicsUnfit as error:
                said = str(error)
                break
    assert words in said


async def test_a_log_id_without_a_count_gets_one(bare: KafkaCluster) -> None:
    await create_topics(bare, partitions=2)
    log_id = await check_topics(bare)
    producer = await bare.producer()
    await producer.append(encode_setting(LogId(log_id=log_id), now_ms=START))
    await producer.close()
    assert (await describe(bare)).made_with is None
    assert await create_topics(bare, partitions=2) == ["recorded that there are 2 partitions"]
    assert ((await describe(bare)).log_id, (await describe(bare)).made_with) == (log_id, 2)


async def test_create_goes_on_where_an_append_got_no_ack(bare: KafkaCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a cluster that was just made, and a busy machine: topics there, no log_id. It tells, and writes one id only."""
    really, failed = KafkaProducer.append, 0

    async def no_ack_at_first(self: KafkaProducer, draft: Draft) -> int:
        nonlocal failed
        failed += 1
        offset = await really(self, draft) if failed != 1 else -1
        if failed < 3:
            raise AppendFailed("no ack")
        return offset

    monkeypatch.setattr(KafkaProducer, "append", no_ack_at_first)
    told: list[str] = []
    said = await create_topics(bare, partitions=1, tell=told.append)
    log_id = await check_topics(bare)
    assert failed == 2, "the second was in the log, and is found there"
    assert [line for line in told if line not in said] == ["no answer yet, trying again: no ack"] * 2
    assert said[-1] == f"wrote log_id {log_id}"
    assert len(await read_log(bare, PIPELINES)) == 1
    failed = 0
    monkeypatch.setattr(patience, "FINISH_S", 0.0)
    await make_anew(bare, Topic.PIPELINES, 1)
    with pytest.raises(LogUnavailable, match="not finished within 0 s: no ack"):
        await create_topics(bare, partitions=1)


async def test_topics_by_their_producers_time_are_said_and_made_right(
    bare: KafkaCluster, admin: AIOKafkaAdminClient
) -> None:
    name = bare.connection.name(Topic.PUSHES)
    await create_topics(bare, partitions=1)
    own = config_of(Topic.PUSHES, 1) | {TIMES: "CreateTime", "segment.ms": "3600000"}
    await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, own)])

    async def narrow() -> Sequence[str]:
        return (await LogCheck(bare)()).narrow

    async def is_fit() -> bool:
        return not await narrow()

    said = await until(narrow, pause_s=0.05)
    assert said[0].startswith(f"{name} has message.timestamp.type=CreateTime and needs LogAppendTime, or a")
    assert await create_topics(bare, partitions=1) == [
        f"{name}: message.timestamp.type was CreateTime, is LogAppendTime now"
    ]
    await until(is_fit, pause_s=0.05)
    assert (await describe(bare)).states[Topic.PUSHES].config["segment.ms"] == "3600000"
