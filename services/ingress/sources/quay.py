"""Quay's notifications: a repository and the tags that a push updated; no digest, no pusher, no time, no event id."""

from collections.abc import Iterator
from typing import ClassVar

from hookline.chain.events import Payload
from hookline.errors import Unreadable
from services.ingress.delivery import Delivery, Ignored, IgnoredReason, Part, Push
from services.ingress.image import image_push
from services.ingress.reading import tag_text, text
from services.ingress.reference import host_of, split_reference
from services.ingress.several import Keys
from services.ingress.source import Source
from services.ingress.unknown import unknown_event

__all__ = ["SOURCE", "Quay"]

TAGS = "updated_tags"
OTHERS = frozenset(
    {
        *("build_id", "docker_tags", "trigger_kind"),  # its builds
        *("vulnerability", "vulnerabilities", "discovered_tags"),
        *("message", "sync_status"),  # a mirror's
        *("expiring_in", "expires_on"),
    }
)
"""Fields of which each of its other notifications has one: builds, vulnerabilities, mirrors, images about to expire."""


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
    tags_at: ClassVar[tuple[Keys, ...]] = ((TAGS,),)

    def parse(self, delivery: Delivery) -> Iterator[Part]:
        for part in super().parse(delivery):
            if isinstance(part.event, dict) and isinstance(
                tags := part.event.get(TAGS), dict
            ):  # older: tag to image id
                part.event[TAGS] = list(tags)
            yield part

    def normalise(self, event: Payload, delivery: Delivery) -> Push | Ignored:
        if TAGS not in event:
            if OTHERS & event.keys():
                return Ignored(IgnoredReason.OTHER_ACTION)
            raise unknown_event(TAGS, None)
        repository, url = text(event.get("repository")), text(event.get("docker_url"))
        if repository is None and url is None:
            raise Unreadable("no repository: neither repository nor docker_url")
        place = split_reference(url or "")
        return image_push(
            Push(
                repository=repository or place.repository,
                registry=place.registry or host_of(url),
                tag=tag_text(event[TAGS]) or place.tag,
            )
        )


SOURCE = Quay()
