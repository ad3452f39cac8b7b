"""Sonatype Nexus' repository webhooks: a Docker component was created or updated; signed with HMAC-SHA1, as nothing else is."""

from typing import ClassVar

from hookline.chain.events import Payload
from hookline.errors import Unreadable
from services.ingress.checks import Check, Hmac
from services.ingress.delivery import Delivery, Ignored, IgnoredReason, Push
from services.ingress.image import image_push
from services.ingress.reading import header_text, member, millis_of, tag_text, text
from services.ingress.several import Keys
from services.ingress.source import Source
from services.ingress.unknown import no_push, unknown_event

__all__ = ["SOURCE", "Nexus"]

EVENT, DELIVERY = "x-nexus-webhook-id", "x-nexus-webhook-delivery"
COMPONENT = "rm:repository:component"
OTHER_KINDS = frozenset({"rm:repository:asset", "rm:audit", "rm:repository"})
"""Its other webhooks: single files, who did what, repositories made and removed."""
OTHER_FIELDS = frozenset({"asset", "audit", "repository"})
"""What these have in place of a component."""
PUSHED = frozenset({"CREATED", "UPDATED"})
NO_PUSHES = {"DELETED": IgnoredReason.DELETE, "PURGED": IgnoredReason.DELETE}


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
    tags_at: ClassVar[tuple[Keys, ...]] = (("component", "version"),)

    def normalise(self, event: Payload, delivery: Delivery) -> Push | Ignored:
        kind = header_text(delivery, EVENT)
        if kind in OTHER_KINDS or (kind is None and "component" not in event and OTHER_FIELDS & event.keys()):
            return Ignored(IgnoredReason.OTHER_ACTION)
        if kind not in (None, COMPONENT):
            raise unknown_event(EVENT, kind)
        component = member(event, "component")
        component_format = text(component.get("format"))
        if component_format is None:
            raise unknown_event("component.format", component.get("format"))
        if component_format != "docker":
            return Ignored(IgnoredReason.NO_IMAGE)
        if (ignored := no_push("action", event.get("action"), PUSHED, NO_PUSHES)) is not None:
            return ignored
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
