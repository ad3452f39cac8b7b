"""Events to records and back: CloudEvents 1.0, Kafka protocol binding, binary mode (headers `ce_*`, value plain JSON)."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Final, NamedTuple, TypeVar
from uuid import uuid4

from pydantic import ValidationError

from hookline.chain.events import (
    EVENTS,
    CallbackReceived,
    CancelRequested,
    Decision,
    Event,
    Fence,
    HookAttemptFailed,
    HookDelivered,
    PushReceived,
    Quarantined,
    RedeliveryRequested,
    SkipRequested,
    StepSealed,
)
from hookline.chain.ids import ChainId, decision_id, push_of
from hookline.chain.pipeline import LOG_ID_KEY, LogId, Pipeline
from hookline.errors import Undecodable
from hookline.explain import explain
from hookline.log.records import PIPELINES, QUARANTINE, DamagedBatch, Draft, Place, RawRecord, Topic
from hookline.times import moment

__all__ = [
    "CONTENT_TYPE",
    "SPEC_VERSION",
    "Identity",
    "Record",
    "Setting",
    "ce_time_of",
    "decode",
    "decode_setting",
    "encode",
    "encode_quarantined",
    "encode_setting",
    "identity_of",
    "topic_of",
    "type_of",
]

Setting = TypeVar("Setting", Pipeline, LogId)

_TYPES = {model: name for name, model in EVENTS.items()}

_WRITERS: dict[type[Event], tuple[Topic, str]] = {
    PushReceived: (Topic.PUSHES, "ingress"),
    CallbackReceived: (Topic.CALLBACKS, "callbacks"),
    StepSealed: (Topic.CALLBACKS, "dispatcher"),
    CancelRequested: (Topic.COMMANDS, "console"),
    RedeliveryRequested: (Topic.COMMANDS, "console"),
    SkipRequested: (Topic.COMMANDS, "console"),
}
"""Topic and only writer; all others are the dispatcher's decisions."""


SPEC_VERSION: Final = b"1.0"
CONTENT_TYPE: Final = b"application/json"


class Identity(NamedTuple):
    """What a record says beside its event, and follows from it: its key, `ce_id`, `ce_source`, `ce_subject`.

    `event_id` null: its writer makes one up, a UUID.
    """

    key: bytes | None
    event_id: str | None
    source: str
    subject: str


@dataclass(frozen=True, slots=True)
class Record:
    """A decoded event where it lies. `fence`: its writer's token, for a decision; `raw`: what it was decoded from."""

    topic: Topic
    partition: int
    offset: int
    timestamp: int
    event: Event
    fence: int | None
    raw: RawRecord

    @property
    def event_id(self) -> str:
        """`ce_id`; "" where its writer gave none."""
        return self.raw.headers.get("ce_id", b"").decode(errors="replace")


def topic_of(model: type[Event]) -> Topic:
    return _WRITERS.get(model, (Topic.DELIVERIES, "dispatcher"))[0]


def type_of(event: Event) -> str:
    """`ce_type`, such as `hookline.PushReceived.v1`."""
    return _TYPES[type(event)]


def encode(
    event: Event, partition: int, *, now_ms: int, fence: int | None = None, event_id: str | None = None
) -> Draft:
    """A record to append. `fence`: the writer's token, for a decision; `event_id`: `ce_id`, made up where none is given."""
    own = identity_of(event, partition)
    headers = _headers(event_id or own.event_id or str(uuid4()), own.source, type_of(event), now_ms, own.subject)
    if fence is not None:
        headers["fence"] = str(fence).encode()
    return Draft(Place(topic_of(type(event)), partition), own.key, event.model_dump_json().encode(), headers)


def identity_of(event: Event, partition: int) -> Identity:
    """What every writer puts beside that event."""
    service = _WRITERS.get(type(event), (Topic.DELIVERIES, "dispatcher"))[1]
    return Identity(_key(event), _event_id(event), _source(service), _subject(event, partition))


def decode(raw: RawRecord) -> Record:
    """Raises Undecodable for a type, topic, version or shape that this version cannot read."""
    place = raw.place
    if isinstance(raw, DamagedBatch):
        raise Undecodable(place.topic, place.partition, raw.offset, raw.said)
    try:
        model = EVENTS[raw.headers["ce_type"].decode()]
        if topic_of(model) is not place.topic:
            raise ValueError(f"{model.__name__} does not belong in {place.topic}")
        fence = int(raw.headers["fence"]) if place.topic is Topic.DELIVERIES and model is not Fence else None
        event = model.model_validate_json(raw.value or b"")
    except (KeyError, ValueError) as error:
        raise Undecodable(place.topic, place.partition, raw.offset, _why(error, raw)) from error
    return Record(place.topic, place.partition, raw.offset, raw.timestamp, event, fence, raw)


def encode_setting(setting: Pipeline | LogId | None, *, now_ms: int, pipeline_id: str = "") -> Draft:
    """A record of `pipelines`; None: the tombstone of `pipeline_id`."""
    place = PIPELINES
    if setting is None:
        return Draft(place, pipeline_id.encode(), None)
    key = LOG_ID_KEY if isinstance(setting, LogId) else setting.pipeline_id.encode()
    ce_type = f"hookline.{type(setting).__name__}.v1"
    headers = _headers(str(uuid4()), _source("console"), ce_type, now_ms, key.decode())
    return Draft(place, key, setting.model_dump_json().encode(), headers)


def decode_setting(raw: RawRecord, model: type[Setting]) -> Setting:
    """Raises Undecodable."""
    if isinstance(raw, DamagedBatch):
        raise Undecodable(raw.place.topic, raw.place.partition, raw.offset, raw.said)
    try:
        if (got := raw.headers["ce_type"].decode()) != f"hookline.{model.__name__}.v1":
            raise ValueError(f"{got} is not a {model.__name__}")
        return model.model_validate_json(raw.value or b"")
    except (KeyError, ValueError) as error:
        raise Undecodable(raw.place.topic, raw.place.partition, raw.offset, _why(error, raw)) from error


def encode_quarantined(event: Quarantined, body: bytes, *, now_ms: int) -> Draft:
    """A record of `quarantine`, under the SHA-256 of the body."""
    digest = sha256(body).hexdigest()
    headers = _headers(str(uuid4()), _source("ingress"), "hookline.Quarantined.v1", now_ms, digest)
    return Draft(QUARANTINE, digest.encode(), event.model_dump_json().encode(), headers)


def ce_time_of(now_ms: int) -> bytes:
    """RFC 3339, to the millisecond."""
    return moment(now_ms).isoformat(timespec="milliseconds").encode()


def _source(service: str) -> str:
    return f"/hookline/{service}"


def _headers(event_id: str, source: str, event_type: str, now_ms: int, subject: str) -> dict[str, bytes]:
    return {
        "ce_specversion": SPEC_VERSION,
        "ce_id": event_id.encode(),
        "ce_source": source.encode(),
        "ce_type": event_type.encode(),
        "ce_time": ce_time_of(now_ms),
        "ce_subject": subject.encode(),
        "content-type": CONTENT_TYPE,
    }


def _why(error: Exception, raw: RawRecord) -> str:
    if isinstance(error, KeyError):
        return f"unknown or missing {error} (ce_type {raw.headers.get('ce_type', b'').decode(errors='replace')!r})"
    if isinstance(error, ValidationError):
        return explain(error)
    return str(error)


def _event_id(event: Event) -> str | None:
    match event:
        case PushReceived():
            return event.push_id
        case Fence() | CallbackReceived() | CancelRequested() | RedeliveryRequested() | SkipRequested():
            return None
        case _:
            return decision_id(event.chain_id, event.step, _attempt(event), type_of(event))


def _attempt(event: Decision | StepSealed) -> int | None:
    return event.attempt if isinstance(event, HookAttemptFailed | HookDelivered) else None


def _subject(event: Event, partition: int) -> str:
    match event:
        case PushReceived():
            return event.push_id
        case RedeliveryRequested():
            return str(ChainId(event.push_id, event.cause, event.plan.n, 0))
        case Fence() | SkipRequested():
            return f"partition-{partition}"
        case _:
            return event.chain_id


def _key(event: Event) -> bytes | None:
    match event:
        case PushReceived() | RedeliveryRequested():
            return event.push_id.encode()
        case Fence() | SkipRequested():
            return None
        case _:
            return push_of(event.chain_id).encode()
