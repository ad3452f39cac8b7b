"""CNCF Distribution, 2.x and 3.x (and forks of it): an envelope of events, of which only tagged manifests start something."""

from collections.abc import Iterator
from typing import ClassVar

from pydantic import JsonValue
from pydantic_core import to_json

from hookline.chain.events import Payload
from hookline.errors import Unreadable
from services.ingress.artifact_types import bare_type
from services.ingress.checks import Check, Token
from services.ingress.delivery import Delivery, Ignored, IgnoredReason, Part, Push
from services.ingress.image import IMAGE_MANIFESTS, image_push
from services.ingress.manifest import described
from services.ingress.reading import json_object, member, millis_of, tag_text, text
from services.ingress.several import Keys
from services.ingress.source import Source
from services.ingress.unknown import no_push

__all__ = ["SOURCE", "Distribution", "distribution_push"]

ACTIONS = {reason.value: reason for reason in (IgnoredReason.PULL, IgnoredReason.MOUNT, IgnoredReason.DELETE)}
"""What else happens in a registry of this kind."""


class Distribution(Source):
    """Always one event an envelope as both versions send it, but the format permits many."""

    name: ClassVar[str] = "distribution"
    title: ClassVar[str] = "CNCF Distribution (registry 2.x and 3.x)"
    setup: ClassVar[str] = """\
# config.yml
notifications:
  events: {{includereferences: true}}      # what was pushed: an image, a chart, ...
  endpoints:
    - name: hookline
      url: {url}
      headers: {{Authorization: [Bearer {token}]}}      # values are lists
      timeout: 1s
      threshold: 3
      backoff: 2s
      ignoredmediatypes: [application/octet-stream]   # no event for each blob
"""
    checks: ClassVar[tuple[Check, ...]] = (Token(verbatim=True),)
    tags_at: ClassVar[tuple[Keys, ...]] = (("target", "tag"),)

    def parse(self, delivery: Delivery) -> Iterator[Part]:
        events = json_object(delivery.body).get("events")
        if not isinstance(events, list):
            raise Unreadable('no list "events"')
        if len(events) == 1:
            yield Part(events[0], delivery.body)
            return
        for event in events:
            yield Part(event, _envelope(event))

    def raw_of(self, event: Payload) -> bytes:
        return _envelope(event)

    def normalise(self, event: Payload, delivery: Delivery) -> Push | Ignored:
        return distribution_push(event)


def _envelope(event: JsonValue) -> bytes:
    return to_json({"events": [event]})


def distribution_push(event: Payload) -> Push | Ignored:
    """One event of the format that others took over. Raises Unreadable."""
    action, target = text(event.get("action")), member(event, "target")
    if action is None:
        raise Unreadable("no action")
    if (ignored := no_push("action", action, ("push",), ACTIONS)) is not None:
        return ignored
    repository, media_type = text(target.get("repository")), text(target.get("mediaType"))
    if repository is None:
        raise Unreadable("no repository: target.repository is missing")
    artifact, has_subject = described(target)
    artifact = artifact or _config_media_type(target, media_type)
    return image_push(
        Push(
            repository=repository,
            registry=text(member(event, "request").get("host")),
            tag=tag_text(target.get("tag")),
            digest=text(target.get("digest")),
            media_type=media_type,
            artifact_media_type=artifact,
            has_subject=has_subject,
            pusher=text(member(event, "actor").get("name")),
            pushed_at=millis_of(event.get("timestamp")),
            producer_id=text(event.get("id")),
        )
    )


def _config_media_type(target: Payload, media_type: str | None) -> str | None:
    """Of an image manifest whose `references` are sent along: the config is the first of them."""
    references = target.get("references")
    if media_type is None or bare_type(media_type) not in IMAGE_MANIFESTS or not isinstance(references, list):
        return None
    first = references[0] if references else None
    return text(first.get("mediaType")) if isinstance(first, dict) else None


SOURCE = Distribution()
