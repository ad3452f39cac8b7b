"""Is the log fit, and still the one that this process began with? Asked of Kafka before the start, and every minute."""

from collections.abc import Collection
from typing import NoReturn
from uuid import UUID

from prometheus_client import Gauge

from hookline.chain.pipeline import LOG_ID_KEY, LogId
from hookline.errors import ForeignLog, TopicsUnfit
from hookline.kafka.fitness import LIMIT, Topics, TopicState, fitness, narrow
from hookline.kafka.kafka_cluster import KafkaCluster
from hookline.kafka.rights import missing_right
from hookline.kafka.topics import topic_states
from hookline.log.codec import decode_setting
from hookline.log.records import LOGS, PIPELINES, Topic
from hookline.log.scan import scan
from hookline.log.watch import LogState

__all__ = ["LogCheck"]

REMEMBERED = (*LOGS, Topic.PIPELINES)
"""Topics whose records a service holds in memory. The others may be made anew below it: what a commit names in `snapshots` is
read at a start only, and the next checkpoint names another."""

TOPIC_LIMIT = Gauge(
    "hookline_topic_limit_bytes", "Largest record batch that the topic takes, as last looked at", ["topic"]
)


class LogCheck:
    """`hookline.log.watch.CheckLog`. One for the process: it remembers what the first call found.

    writes: the topics that this service must be able to write to.
    """

    def __init__(self, cluster: KafkaCluster, writes: Collection[Topic] = ()) -> None:
        self._cluster = cluster
        self._writes = writes
        self._ids: dict[Topic, UUID | None] = {}
        self._log_id: UUID | None = None
        self._made_with: int | None = None
        self._read_to = 0
        """`pipelines` was looked through for the log's id up to there."""

    async def __call__(self) -> LogState:
        """Raises TopicsUnfit and ForeignLog in words, LogUnavailable, Undecodable."""
        brokers, states = await topic_states(self._cluster)
        self._same_topics(states)
        before = self._log_id
        if Topic.PIPELINES in states:
            await self._look_for_log_id()
        if wrong := fitness(Topics(brokers, states, self._log_id, self._made_with), self._cluster.connection.name):
            raise TopicsUnfit("; ".join(wrong))
        assert self._log_id is not None, "fitness says so"
        if before not in (None, self._log_id):
            _changed(f"the log's id was {before} when this process began and is {self._log_id} now")
        for topic, state in states.items():
            TOPIC_LIMIT.labels(topic).set(int(state.config[LIMIT]))
        denied = (missing_right(states[topic].name, "Write") for topic in self._writes if not states[topic].may_write)
        ids = {topic: found for topic in REMEMBERED if (found := states[topic].id) is not None}
        return LogState(self._log_id, tuple(narrow(states)), tuple(denied), ids)

    def _same_topics(self, states: dict[Topic, TopicState]) -> None:
        """Raises ForeignLog."""
        for topic in REMEMBERED:
            if (state := states.get(topic)) is not None and self._ids.setdefault(topic, state.id) != state.id:
                _changed(f"{state.name} was deleted and made anew while this process ran")

    async def _look_for_log_id(self) -> None:
        """The last one counts."""
        async for raw in scan(self._cluster, PIPELINES, self._read_to):
            if raw.key == LOG_ID_KEY and raw.value is not None:
                found = decode_setting(raw, LogId)
                self._log_id, self._made_with = found.log_id, found.partitions
            self._read_to = raw.next_offset


def _changed(what: str) -> NoReturn:
    """What is in memory came from records that are gone."""
    raise ForeignLog(f"{what}: start it again to read the log as it is now")
