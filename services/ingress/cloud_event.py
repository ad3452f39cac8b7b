"""CloudEvents 1.0 over HTTP: binary (attributes in headers), structured, and batches of these."""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import NamedTuple

from cloudevents.core.bindings.http import HTTPMessage, from_binary
from cloudevents.core.exceptions import BaseCloudEventException
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from pydantic_core import to_json

from hookline.chain.events import Payload
from hookline.errors import Unreadable
from services.ingress.delivery import Delivery, IgnoredReason, Part
from services.ingress.reading import header_text, json_object, millis_of, parse_json, text
from services.ingress.unknown import unknown_event

__all__ = [
    "CE_HEADERS",
    "STRUCTURED",
    "EventFields",
    "cloud_events",
    "event_fields",
    "is_cloud_event",
    "names_image",
    "outcome_of_type",
]

CE_HEADERS = frozenset({f"ce-{name}" for name in ("specversion", "id", "source", "type", "subject", "time")})
"""What a replay of a binary event needs."""

STRUCTURED = "application/cloudevents"
DATA = ("data", "data_base64")
MAX_ATTRIBUTES = 100
"""A real event has some ten; the library looks at each of them for long."""

_FORMAT = JSONFormat()
_VERSION = re.compile(r"([.-]v?\d+)+$")
_LAST_WORD = re.compile(r"[A-Za-z][a-z]*$")
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
IMAGE_WORDS = frozenset({"image", "artifact", "artefact", "container", "package"})
"""What an event's type may call an image, also in the plural."""
_OUTCOMES = {
    **dict.fromkeys(("push", "pushed", "publish", "published", "updated", "uploaded"), None),
    **dict.fromkeys(("delete", "deleted", "remove", "removed"), IgnoredReason.DELETE),
    **dict.fromkeys(("pull", "pulled", "download", "downloaded"), IgnoredReason.PULL),
    **dict.fromkeys(
        (
            *("scan", "scanned", "sign", "signed", "verify", "verified", "attest", "attested", "test", "tested"),
            *("queued", "started", "finished", "completed", "failed", "cancelled", "canceled", "blocked", "rejected"),
            *("deploy", "deployed", "approved", "reported", "expired", "deprecated"),
        ),
        IgnoredReason.OTHER_ACTION,
    ),
}
"""By the verb: None for a push; the others are what else becomes of an image."""


class EventFields(NamedTuple):
    """What we use of an event. `time`: Unix ms, None where it has none."""

    id: str
    source: str
    type: str
    subject: str | None
    time: int | None
    data: Payload


def is_cloud_event(delivery: Delivery) -> bool:
    """By its headers: for sources whose producers send other JSON too."""
    return _is_structured(delivery) or "ce-specversion" in delivery.headers


def cloud_events(delivery: Delivery) -> Iterator[Part]:
    """Its events as JSON objects, in the structured form whatever they came in. Raises Unreadable for the whole."""
    if "ce-specversion" in delivery.headers and not _is_structured(delivery):
        yield Part(_from_headers(delivery) | {"data": json_object(delivery.body)}, delivery.body)
        return
    found = parse_json(delivery.body)
    if not isinstance(found, list):
        yield Part(found, delivery.body)
        return
    for event in found:
        yield Part(event, to_json(event))


def event_fields(event: Payload) -> EventFields:
    """An event in the structured form. Raises Unreadable where it is none, or its data is no JSON object."""
    if len(event) > MAX_ATTRIBUTES:
        raise Unreadable(f"not a CloudEvent: more than {MAX_ATTRIBUTES} attributes")
    attributes = {key: value for key, value in event.items() if key not in DATA and value is not None}
    if "id" not in attributes:
        raise Unreadable("not a CloudEvent: no id")  # the library would make one up, another for each delivery
    try:
        read = _FORMAT.read(CloudEvent, to_json(attributes) if "data_base64" not in event else to_json(event))
    except (BaseCloudEventException, ValueError, TypeError, AttributeError, OverflowError) as error:
        raise Unreadable(f"not a CloudEvent: {type(error).__name__}") from None
    time = millis_of(attributes.get("time"))
    return EventFields(
        read.get_id(), read.get_source(), read.get_type(), read.get_subject(), time, _data(event, read.get_data())
    )


def outcome_of_type(event_type: str) -> IgnoredReason | None:
    """What an event's type says of it, by the verb at its end (a version may follow): None for a push.

    Raises Unreadable for any other word: it may be a push in somebody's language.
    """
    word = _LAST_WORD.search(_VERSION.sub("", event_type))
    verb = word[0].lower() if word else ""
    if verb not in _OUTCOMES:
        raise unknown_event("type", event_type)
    return _OUTCOMES[verb]


def names_image(event_type: str) -> bool:
    """Has the type a word for an image? `com.example.image.pushed`, `Microsoft.ContainerRegistry.ImagePushed`."""
    return any(word.lower().removesuffix("s") in IMAGE_WORDS for word in _WORD.findall(event_type))


def _data(event: Payload, decoded: object) -> Payload:
    data = json_object(decoded) if isinstance(decoded, bytes) else event.get("data")
    if not isinstance(data, dict):
        raise Unreadable("its data is not a JSON object")
    return data


def _from_headers(delivery: Delivery) -> Payload:
    """The attributes of a binary event."""
    headers = {name: header_text(delivery, name) or "" for name in CE_HEADERS if name in delivery.headers}
    try:
        read = from_binary(HTTPMessage(headers, b""), _FORMAT, CloudEvent)
    except (BaseCloudEventException, ValueError, TypeError, OverflowError) as error:
        raise Unreadable(f"not a CloudEvent: {type(error).__name__}") from None
    given = {name.removeprefix("ce-") for name in headers}
    texts: Mapping[str, object] = read.get_attributes()
    return {name: _as_text(value) for name, value in texts.items() if name in given}


def _as_text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _is_structured(delivery: Delivery) -> bool:
    return (text(delivery.headers.get("Content-Type")) or "").lower().startswith(STRUCTURED)
