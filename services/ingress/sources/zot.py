"""zot's events extension: CloudEvents in binary mode."""

from collections.abc import Iterable, Mapping
from typing import ClassVar

from hookline.chain.events import Payload
from hookline.errors import Unreadable
from services.ingress.checks import Check, Token
from services.ingress.cloud_event import CE_HEADERS, cloud_events, event_fields
from services.ingress.delivery import Delivery, Ignored, IgnoredReason, Part, Push
from services.ingress.image import image_push
from services.ingress.manifest import described_by_text
from services.ingress.reading import member, tag_text, text
from services.ingress.several import Keys
from services.ingress.source import Source
from services.ingress.unknown import no_push

__all__ = ["SOURCE", "Zot"]

UPDATED = "zotregistry.image.updated"
OTHERS: Mapping[str, IgnoredReason] = {
    "zotregistry.image.deleted": IgnoredReason.DELETE,
    "zotregistry.image.lint_failed": IgnoredReason.OTHER_ACTION,
    "zotregistry.image.scanned": IgnoredReason.OTHER_ACTION,
    "zotregistry.repository.created": IgnoredReason.OTHER_ACTION,
}
"""What else it tells. An image that failed its lint was refused; a repository is made by its first push, which is told as well."""


class Zot(Source):
    """It tries each event once. Its `source` is the same for every zot, and no event names the registry's host."""

    name: ClassVar[str] = "zot"
    title: ClassVar[str] = "zot"
    setup: ClassVar[str] = """\
# config.json
"extensions": {{
  "events": {{
    "enable": true,
    "sinks": [{{
      "type": "http",
      "address": "{url}",
      "timeout": "30s",
      "headers": {{"Authorization": "Bearer {token}"}}
    }}]
  }}
}}
"""
    checks: ClassVar[tuple[Check, ...]] = (Token(verbatim=True),)
    kept_headers: ClassVar[frozenset[str]] = CE_HEADERS
    tags_at: ClassVar[tuple[Keys, ...]] = (("data", "reference"),)

    def parse(self, delivery: Delivery) -> Iterable[Part]:
        return cloud_events(delivery)

    def normalise(self, event: Payload, delivery: Delivery) -> Push | Ignored:
        fields = event_fields(event)
        if (ignored := no_push("type", fields.type, (UPDATED,), OTHERS)) is not None:
            return ignored
        repository = text(fields.data.get("name"))
        if repository is None:
            raise Unreadable("no repository: data.name is missing")
        artifact, has_subject = described_by_text(text(fields.data.get("manifest")))
        return image_push(
            Push(
                repository=repository,
                tag=tag_text(fields.data.get("reference")),
                digest=text(fields.data.get("digest")),
                media_type=text(fields.data.get("mediaType")),
                artifact_media_type=artifact,
                has_subject=has_subject,
                pusher=text(member(fields.data, "actor").get("name")),
                pushed_at=fields.time,
                producer_id=fields.id,
            )
        )


SOURCE = Zot()
