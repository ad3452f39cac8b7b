"""Azure Event Grid's own schema: a list of events, and the handshake that comes before the first of them.

(Its other schema is CloudEvents 1.0, whose handshake is OPTIONS.)
"""

from collections.abc import Iterator

from pydantic import JsonValue
from pydantic_core import to_json

from hookline.chain.events import Payload
from hookline.errors import Unreadable
from services.ingress.delivery import Delivery, Part
from services.ingress.reading import json_object, parse_json, text, tidy

__all__ = ["VALIDATION", "grid_data", "grid_events", "validation_code"]

VALIDATION = "Microsoft.EventGrid.SubscriptionValidationEvent"
"""The type of the event that asks whether we want any."""
MAX_HANDSHAKE = 16 * 1024
"""Bytes of a body that may be one: a real one has some hundred."""
MAX_CODE = 256
"""Characters of the code that an answer repeats: a real one is a UUID."""


def grid_events(delivery: Delivery) -> Iterator[Part]:
    """Each event of a list, or the body where it is none. Raises Unreadable for the whole."""
    found = parse_json(delivery.body)
    if not isinstance(found, list):
        yield Part(found, delivery.body)
    elif not found:
        raise Unreadable("a list without events")
    elif len(found) == 1:
        yield Part(found[0], delivery.body)
    else:
        for event in found:
            yield Part(event, to_json([event]))


def grid_data(event: Payload) -> Payload:
    """What an event is about: an object, also where it was sent as text. Raises Unreadable."""
    data = event.get("data")
    if isinstance(data, str):
        data = json_object(data.encode("utf-8", "surrogatepass"))
        tidy(data)
    if not isinstance(data, dict):
        raise Unreadable("its data is not a JSON object")
    return data


def validation_code(delivery: Delivery) -> str | None:
    """The code to send back, where the body is a handshake and nothing else; None for every other body."""
    if len(delivery.body) > MAX_HANDSHAKE or VALIDATION.encode() not in delivery.body:
        return None
    try:
        found = parse_json(delivery.body)
    except Unreadable:
        return None
    event = found[0] if isinstance(found, list) and len(found) == 1 else None
    if not isinstance(event, dict) or event.get("eventType") != VALIDATION:
        return None
    return _code(event.get("data"))


def _code(data: JsonValue) -> str | None:
    code = text(data.get("validationCode")) if isinstance(data, dict) else None
    return code if code is not None and len(code) <= MAX_CODE and code.isprintable() else None
