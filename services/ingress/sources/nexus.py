"""Sonatype Nexus' repository webhooks: a Docker component was created or updated; signed with HMAC-SHA1, as nothing else is."""

from typing import ClassVar

from hookline.chain.events import Payload
from hookline.errors import Unreadable
from services.ingress.checks import Check, Hmac
from services.ingress.delivery import Delivery, Ignored, IgnoredReason, Push
from services.ingress.image import image_push
from services.ingress.reading import header_text, member, millis_of, tag_text, text
from services.ingress.source import Source

__all__ = ["SOURCE", "Nexus"]

EVENT, DELIVERY = "x-nexus-webhook-id", "x-nexus-webhook-delivery"
COMPONENT = "rm:repository:component"


class Nexus(Source):
    """SHA-1 is broken for collisions, not for an HMAC: nobody can sign without the secret. No digest, no host.

    The repository is the image's path without Nexus' own repository (`docker-hosted`).
    """

    name: ClassVar[str] = "nexus"
    title: ClassVar[str] = "Sonatype Nexus Repository"
    setup: ClassVar[str] = """\
# Settings, System, Capabilities, Create capability: Webhook: Repository
Repository    (your Docker repository)
Event Types   component
URL           {url}
Secret Key    {secret}
"""
    preview: ClassVar[bool] = True
    checks: ClassVar[tuple[Check, ...]] = (Hmac("X-Nexus-Webhook-Signature", algorithm="sha1", compact=True),)
    kept_headers: ClassVar[frozenset[str]] = frozenset({EVENT, DELIVERY})

    def normalise(self, event: Payload, delivery: Delivery) -> Push | Ignored:
        kind = header_text(delivery, EVENT)
        if kind not in (None, COMPONENT) or "component" not in event:
            return Ignored(IgnoredReason.OTHER_ACTION)
        component, action = member(event, "component"), text(event.get("action"))
        if component.get("format") != "docker":
            return Ignored(IgnoredReason.NO_IMAGE)
        if action not in ("CREATED", "UPDATED"):
            return Ignored(IgnoredReason.DELETE if action == "DELETED" else IgnoredReason.OTHER_ACTION)
        name = text(component.get("name"))
        if name is None:
            raise Unreadable("no repository: component.name is missing")
        return image_push(
            Push(
                repository=name,
                tag=tag_text(component.get("version")),
                pusher=(text(event.get("initiator")) or "").partition("/")[0] or None,
                pushed_at=millis_of(event.get("timestamp")),
                producer_id=header_text(delivery, DELIVERY),
            )
        )


SOURCE = Nexus()
