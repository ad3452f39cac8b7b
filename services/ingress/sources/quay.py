"""Quay's notifications: a repository and the tags that a push updated; no digest, no pusher, no time, no event id."""

from collections.abc import Iterator
from typing import ClassVar

from pydantic_core import to_json

from hookline.chain.events import Payload
from hookline.errors import Unreadable
from services.ingress.delivery import Delivery, Ignored, IgnoredReason, Part, Push
from services.ingress.image import image_push
from services.ingress.reading import json_object, tag_text, text
from services.ingress.reference import host_of
from services.ingress.source import Source

__all__ = ["SOURCE", "Quay"]


class Quay(Source):
    """Which event it is stands nowhere: only a push has `updated_tags`. (A build pushes, and so has its own.)

    The second push of a tag is byte for byte the first, so the window is short: three tries, 30 seconds apart.
    """

    name: ClassVar[str] = "quay"
    title: ClassVar[str] = "Quay and quay.io"
    setup: ClassVar[str] = """\
# a repository's Settings, Events and Notifications, Create Notification
When this event occurs     Push to Repository
Then issue a notification  Webhook POST
Webhook URL                {url}?token={token}
"""
    window_s: ClassVar[int] = 120

    def parse(self, delivery: Delivery) -> Iterator[Part]:
        event = json_object(delivery.body)
        tags = event.get("updated_tags")
        if not isinstance(tags, list) or len(tags) < 2:
            yield Part(event, delivery.body)
            return
        for tag in tags:
            one = {**event, "updated_tags": [tag]}
            yield Part(one, to_json(one))

    def normalise(self, event: Payload, delivery: Delivery) -> Push | Ignored:
        if "updated_tags" not in event:
            return Ignored(IgnoredReason.OTHER_ACTION)
        tags = event["updated_tags"]
        if isinstance(tags, dict):  # older versions: tag to image id
            tags = list(tags)
        if not isinstance(tags, list):
            raise Unreadable("updated_tags is no list")
        repository = text(event.get("repository"))
        if repository is None:
            raise Unreadable("no repository")
        tag = tag_text(tags[0]) if tags else None
        return image_push(Push(repository=repository, registry=host_of(text(event.get("docker_url"))), tag=tag))


SOURCE = Quay()
