"""CNCF Distribution, 2.x and 3.x (and forks of it): an envelope of events, of which only tagged manifests start something."""

import re
from collections.abc import Iterator
from typing import ClassVar

from pydantic_core import to_json

from hookline.chain.events import Payload
from hookline.errors import Unreadable
from services.ingress.delivery import Delivery, Ignored, IgnoredReason, Part, Push
from services.ingress.reading import json_object, member, millis_of, tag_text, text
from services.ingress.source import Source

__all__ = ["SOURCE", "Distribution"]

MANIFESTS = frozenset(
    {
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    }
)

REFERRER = re.compile(r"sha256-[0-9a-f]{64}(\.(sig|att|sbom))?")
"""A tag that cosign and others hang a signature, an attestation or an SBOM on: no release."""

_ACTIONS = {reason.value: reason for reason in (IgnoredReason.PULL, IgnoredReason.MOUNT, IgnoredReason.DELETE)}


class Distribution(Source):
    """Always one event an envelope as both versions send it, but the format permits many."""

    name: ClassVar = "distribution"

    def parse(self, delivery: Delivery) -> Iterator[Part]:
        events = json_object(delivery.body).get("events")
        if not isinstance(events, list):
            raise Unreadable('no list "events"')
        if len(events) == 1:
            yield Part(events[0], delivery.body)
            return
        for event in events:
            yield Part(event, to_json({"events": [event]}))

    def normalise(self, event: Payload, delivery: Delivery) -> Push | Ignored:
        action, target = text(event.get("action")), member(event, "target")
        if action is None:
            raise Unreadable("no action")
        if action != "push":
            return Ignored(_ACTIONS.get(action, IgnoredReason.OTHER_ACTION))
        repository = text(target.get("repository"))
        if repository is None:
            raise Unreadable("no repository: target.repository is missing")
        media_type, tag = text(target.get("mediaType")), tag_text(target.get("tag"))
        if media_type not in MANIFESTS:
            return Ignored(IgnoredReason.BLOB)
        if tag is None:
            return Ignored(IgnoredReason.UNTAGGED)
        if REFERRER.fullmatch(tag):
            return Ignored(IgnoredReason.REFERRER)
        host = text(member(event, "request").get("host"))
        return Push(
            repository=repository.lower(),
            registry=host.lower() if host else None,
            tag=tag,
            digest=text(target.get("digest")),
            media_type=media_type,
            pusher=text(member(event, "actor").get("name")),
            pushed_at=millis_of(event.get("timestamp")),
            producer_id=text(event.get("id")),
        )


SOURCE = Distribution()
