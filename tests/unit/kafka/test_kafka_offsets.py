"""Offsets over a client that answers as a broker does in its bad moments; over real Kafka: tests/contract."""

from collections.abc import Sequence
from types import SimpleNamespace

import pytest

from hookline.errors import LogUnavailable, Refused
from hookline.kafka import offsets as kafka_offsets
from hookline.kafka.client import Connection
from hookline.kafka.offsets import KafkaOffsets
from hookline.log.cluster import Commit
from hookline.log.records import Place, Topic

HERE = Place(Topic.PUSHES, 0)
LOADING, NOT_COORDINATOR, NOT_LEADER, INVALID_GROUP = 14, 16, 6, 24
TOPIC_NOT_AUTHORISED, GROUP_NOT_AUTHORISED = 29, 30


class Broker:
    """Answers each request with the next of its answers."""

    def __init__(self, answers: Sequence[object]) -> None:
        self.answers = list(answers)
        self.cluster = SimpleNamespace(leader_for_partition=lambda _: 1, unauthorized_topics=set())

    async def coordinator_lookup(self, kind: object, name: str) -> int:
        return 1

    async def send(self, node: int, request: object, group: object = None) -> object:
        return self.answers.pop(0)

    async def force_metadata_update(self) -> None: ...


def commits(*partitions: tuple[int, int, str, int], error: int = 0) -> object:
    return SimpleNamespace(error_code=error, topics=[("x.pushes", list(partitions))] if partitions else [])


def ends(error: int, offset: int) -> object:
    return SimpleNamespace(topics=[("x.pushes", [(0, error, -1, offset)])])


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_offsets, "PAUSE_S", 0)


def asked(broker: Broker) -> KafkaOffsets:
    return KafkaOffsets(Connection(("127.0.0.1:1",), "x.", "t"), lambda **_: broker)


@pytest.mark.parametrize("error", [LOADING, NOT_COORDINATOR])
async def test_a_coordinator_that_is_still_loading_is_not_one_without_commits(error: int) -> None:
    """It answers with an error and no topics: taken for "no commit", a restore would begin from nothing."""
    offsets = asked(Broker([commits(error=error), commits((0, 5, "said", 0))]))
    assert await offsets.committed("g", [HERE]) == {HERE: Commit(5, "said")}


async def test_an_error_of_one_partition_is_asked_again() -> None:
    offsets = asked(Broker([commits((0, -1, "", LOADING)), commits((0, -1, "", 0))]))
    assert await offsets.committed("g", [HERE]) == {}


async def test_an_end_of_a_broker_that_leads_no_longer_is_asked_again() -> None:
    offsets = asked(Broker([ends(NOT_LEADER, -1), ends(0, 7)]))
    assert await offsets.ends([HERE]) == {HERE: 7}


async def test_what_time_does_not_mend_is_said_at_once() -> None:
    offsets = asked(Broker([commits(error=INVALID_GROUP)]))
    with pytest.raises(LogUnavailable, match="InvalidGroupId"):
        await offsets.committed("g", [HERE])


async def test_a_missing_right_is_named_with_what_to_do() -> None:
    offsets = asked(Broker([commits(error=GROUP_NOT_AUTHORISED), ends(TOPIC_NOT_AUTHORISED, -1)]))
    with pytest.raises(Refused, match=r"the right Describe.*--group x\.g\)"):
        await offsets.committed("g", [HERE])
    with pytest.raises(Refused, match=r"the right Describe.*--topic x\.pushes\)"):
        await offsets.ends([HERE])


async def test_a_topic_that_kafka_hides_is_named_too() -> None:
    broker = Broker([])
    broker.cluster.unauthorized_topics.add("x.pushes")
    offsets = asked(broker)
    with pytest.raises(Refused, match=r"does not let us see x\.pushes"):
        await offsets.ends([HERE])
