"""The log's id in `pipelines`, with the partition count that it was made with: read, written once, and made anew by a new epoch."""

from uuid import UUID, uuid4

from hookline.chain.pipeline import LOG_ID_KEY, LogId, Pipeline
from hookline.clock import Clock, SystemClock
from hookline.errors import ConfigError
from hookline.kafka.admin import group_members
from hookline.kafka.kafka_cluster import KafkaCluster
from hookline.log.cluster import Cluster
from hookline.log.codec import decode_setting, encode_setting
from hookline.log.records import PIPELINES, Topic
from hookline.log.scan import scan
from hookline.log.snapshots import DISPATCHER_GROUP

__all__ = ["new_epoch", "read_log_id", "read_pipelines", "write_log_id"]


async def new_epoch(cluster: KafkaCluster, clock: Clock | None = None) -> UUID:
    """Write a new log_id: after a restore from backup it keeps old push ids from coming back.

    Raises ConfigError while a consumer group has members, and names them: whoever runs would go on under the old id.
    TopicsUnfit, AppendFailed, LogUnavailable.
    """
    if members := await group_members(cluster, DISPATCHER_GROUP):
        raise ConfigError(
            f"the consumer group {cluster.connection.topic_prefix}{DISPATCHER_GROUP} has members: {', '.join(members)}. Stop"
            " all services first; a dispatcher that has a HOOKLINE_GROUP_INSTANCE_ID counts for its session timeout longer"
            " (HOOKLINE_SESSION_TIMEOUT_MS, 45 s)"
        )
    made = LogId(log_id=uuid4(), partitions=await cluster.partitions(Topic.PUSHES))
    await _append_log_id(cluster, made, clock)
    return made.log_id


async def write_log_id(cluster: KafkaCluster, wanted: LogId, clock: Clock | None) -> LogId:
    """What lies there: that, unless a try before it has landed, or somebody else was first."""
    found, _ = await read_pipelines(cluster)
    if found is not None and found.partitions is not None:
        return found
    await _append_log_id(cluster, wanted, clock)
    return wanted


async def _append_log_id(cluster: Cluster, wanted: LogId, clock: Clock | None) -> None:
    producer = await cluster.producer()
    try:
        await producer.append(encode_setting(wanted, now_ms=(clock or SystemClock()).now_ms()))
    finally:
        await producer.close()


async def read_log_id(cluster: Cluster) -> UUID | None:
    """The last log_id in `pipelines`, None without any. Raises Undecodable, LogUnavailable."""
    found, _ = await read_pipelines(cluster)
    return None if found is None else found.log_id


async def read_pipelines(cluster: Cluster) -> tuple[LogId | None, list[Pipeline]]:
    """The log's id, as it is recorded, and the pipelines as they stand. Raises Undecodable, LogUnavailable."""
    latest = {raw.key: raw async for raw in scan(cluster, PIPELINES)}
    found = latest.pop(LOG_ID_KEY, None)
    pipelines = [decode_setting(raw, Pipeline) for raw in latest.values() if raw.value is not None]
    return None if found is None else decode_setting(found, LogId), pipelines
