"""Kafka's Produce: the request, and what each error in an answer says about the records that it was for."""

from collections.abc import Mapping, Sequence
from enum import Enum, auto
from typing import NamedTuple

from aiokafka.errors import for_code
from aiokafka.protocol.api import Request
from aiokafka.protocol.produce import ProduceRequest_v8

from hookline.errors import NotAuthorised, RecordRefused, RecordTooLarge
from hookline.kafka.rights import missing_right

__all__ = ["RIGHTS", "Answer", "Meaning", "Produce", "meaning_of", "name_of", "refusal"]

ALL_REPLICAS = -1
"""`acks`."""
MESSAGE_TOO_LARGE, RECORD_LIST_TOO_LARGE = 10, 18
INVALID_RECORD = 87
OWN_NAMES = {
    MESSAGE_TOO_LARGE: "MESSAGE_TOO_LARGE",
    76: "UNSUPPORTED_COMPRESSION_TYPE",
    INVALID_RECORD: "INVALID_RECORD",
}
"""Of errors that aiokafka does not know, or calls otherwise than Kafka does."""
TOO_LARGE = frozenset({MESSAGE_TOO_LARGE, RECORD_LIST_TOO_LARGE})
INVALID = frozenset({17, 32, 43, 44, 76, INVALID_RECORD})
"""INVALID_TOPIC_EXCEPTION, INVALID_TIMESTAMP, UNSUPPORTED_FOR_MESSAGE_FORMAT, POLICY_VIOLATION and the two above."""
RIGHTS = frozenset({29, 31})
"""TOPIC_AUTHORIZATION_FAILED, CLUSTER_AUTHORIZATION_FAILED."""
CORRUPT_MESSAGE = 2
"""A batch that did not come as it was sent: sent again, it does."""


class Answer(NamedTuple):
    """What an answer says of one place. code: Kafka's error code, 0 for none; offset: of the batch's first record;
    timestamp: when the broker appended it, Unix ms, -1 where the topic keeps the producer's time."""

    code: int
    offset: int
    timestamp: int
    message: str


class Meaning(Enum):
    """Of an answer, for the records of its batch."""

    ACKED = auto()
    RECORD_REFUSED = auto()
    """At least one of them is not taken for what it is. None of the batch is in the log."""
    ALL_REFUSED = auto()
    """None of them is taken, whatever it is. None is in the log."""
    AGAIN = auto()
    """Time mends it."""
    UNKNOWN = auto()


class Produce(Request[ProduceRequest_v8]):  # type: ignore[misc]  # aiokafka's types are not told
    """A request of version 8: the first whose answer says in words why a record is invalid. acks=all."""

    API_KEY = 0

    def __init__(self, batches: Mapping[tuple[str, int], bytes], timeout_ms: int) -> None:
        """batches: by topic and partition; timeout_ms: how long the broker waits for its replicas."""
        topics: dict[str, list[tuple[int, bytes]]] = {}
        for (topic, partition), data in batches.items():
            topics.setdefault(topic, []).append((partition, data))
        self._struct = ProduceRequest_v8(None, ALL_REPLICAS, timeout_ms, list(topics.items()))

    def build(self, request_struct_class: type[ProduceRequest_v8]) -> ProduceRequest_v8:
        return self._struct

    @staticmethod
    def answers(
        topics: Sequence[tuple[str, Sequence[tuple[int, int, int, int, int, object, str | None]]]],
    ) -> dict[tuple[str, int], Answer]:
        """The `topics` of a response, by topic and partition."""
        return {
            (topic, partition): Answer(code, offset, timestamp, message or "")
            for topic, partitions in topics
            for partition, code, offset, timestamp, _, _, message in partitions
        }


def meaning_of(code: int) -> Meaning:
    if not code:
        return Meaning.ACKED
    if code in TOO_LARGE | INVALID:
        return Meaning.RECORD_REFUSED
    if code in RIGHTS:
        return Meaning.ALL_REFUSED
    return Meaning.AGAIN if code == CORRUPT_MESSAGE or for_code(code).retriable else Meaning.UNKNOWN


def name_of(code: int) -> str:
    """As Kafka's protocol names an error."""
    return OWN_NAMES.get(code) or getattr(for_code(code), "message", "") or f"error {code}"


def refusal(code: int, message: str, topic: str, size: int) -> RecordRefused:
    """The error for one record, in words. topic: its name in Kafka; size: bytes of the record, compressed, as it was sent."""
    said = name_of(code)
    if code in TOO_LARGE:
        return RecordTooLarge(f"{topic} does not take a record of {size} bytes ({said}): raise its max.message.bytes")
    if code in RIGHTS:
        return NotAuthorised(missing_right(topic, "Write"))
    return RecordRefused(f"{topic} does not take the record ({said}){f': {message}' if message else ''}")
