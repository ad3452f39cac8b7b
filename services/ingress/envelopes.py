"""What delivery services put around an event: Amazon SNS and Google Pub/Sub, each with its wrapper and without.

A source asks for what is inside before it reads an event. Nothing that stands in an envelope is ever fetched.
"""

import base64
import binascii
from typing import NamedTuple

from hookline.chain.events import Payload
from hookline.errors import Unreadable
from services.ingress.delivery import Delivery
from services.ingress.reading import header_text, json_object, millis_of, text, tidy

__all__ = ["ENVELOPE_HEADERS", "Opened", "from_pubsub", "opened"]

SNS_KIND, SNS_ID = "x-amz-sns-message-type", "x-amz-sns-message-id"
PUBSUB_ID, PUBSUB_TIME = "x-goog-pubsub-message-id", "x-goog-pubsub-publish-time"
ENVELOPE_HEADERS = frozenset({SNS_KIND, SNS_ID, PUBSUB_ID, PUBSUB_TIME})
"""What a message without a wrapper says beside its body. A source that opens envelopes keeps them: an audit reads it again."""

NOTIFICATION = "Notification"
BY_HAND = "open the SubscribeURL in its body yourself (`hookline quarantine show`); Hookline fetches no address that it is sent"
CONFIRMATIONS = {
    "SubscriptionConfirmation": f"SNS asks to confirm a subscription: {BY_HAND}",
    "UnsubscribeConfirmation": f"SNS says that a subscription has ended: to have it back, {BY_HAND}",
}
"""Messages of SNS about itself, by their type: why they are kept."""


class Opened(NamedTuple):
    """An event without its envelope, its numbers tidy; what the envelope says of it is None where there was none.

    `message_id`: of the delivery service, the same over all its retries; `published_at`: Unix ms.
    """

    event: Payload
    message_id: str | None
    published_at: int | None


def opened(event: Payload, delivery: Delivery) -> Opened:
    """What is in the event's envelope, or the event itself where it has none. Raises Unreadable.

    It takes for an envelope only what has all the marks of one, so any source can ask.
    """
    kind = text(event.get("Type")) or header_text(delivery, SNS_KIND)
    if kind in CONFIRMATIONS:
        raise Unreadable(CONFIRMATIONS[kind])
    if kind == NOTIFICATION and "Message" in event:
        return _from_sns(event)
    message = event.get("message")
    if isinstance(message, dict) and "data" in message and ("subscription" in event or _message_id(message)):
        return from_pubsub(message)
    return Opened(
        event,
        header_text(delivery, PUBSUB_ID) or header_text(delivery, SNS_ID),
        millis_of(header_text(delivery, PUBSUB_TIME)),
    )


def from_pubsub(message: Payload) -> Opened:
    """What is in a message as a push subscription sends it. Raises Unreadable."""
    data = text(message.get("data"))
    if data is None:
        raise Unreadable("Pub/Sub: no message.data")
    try:
        decoded = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise Unreadable("Pub/Sub: message.data is not base64") from None
    published_at = millis_of(message.get("publishTime")) or millis_of(message.get("publish_time"))
    return Opened(_inside(decoded, "Pub/Sub: message.data"), _message_id(message), published_at)


def _from_sns(notification: Payload) -> Opened:
    message = text(notification.get("Message"))
    if message is None:
        raise Unreadable("SNS: Message is not text")
    inside = _inside(message.encode("utf-8", "surrogatepass"), "SNS: Message")
    return Opened(inside, text(notification.get("MessageId")), millis_of(notification.get("Timestamp")))


def _inside(body: bytes, where: str) -> Payload:
    try:
        event = json_object(body)
    except Unreadable as error:
        raise Unreadable(f"{where}: {error}") from None
    tidy(event)
    return event


def _message_id(message: Payload) -> str | None:
    return text(message.get("messageId")) or text(message.get("message_id"))
