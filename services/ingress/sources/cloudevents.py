"""CloudEvents of anything else that pushes images: binary, structured or in batches, with data in one documented shape."""

from collections.abc import Iterable
from typing import ClassVar

from pydantic import JsonValue

from hookline.chain.events import Payload
from hookline.errors import Unreadable
from services.ingress.checks import Check, Hmac, Token
from services.ingress.cloud_event import CE_HEADERS, EventFields, cloud_events, event_fields, outcome_of_type
from services.ingress.delivery import Delivery, Ignored, Part, Push
from services.ingress.image import image_push
from services.ingress.reading import tag_text, text
from services.ingress.reference import host_of, split_reference
from services.ingress.source import Source

__all__ = ["SOURCE", "CloudEvents"]

KEYS = {
    "repository": ("repository", "repositoryName", "repository-name", "repository_name"),
    "tag": ("tag", "imageTag", "image-tag", "image_tag"),
    "digest": ("digest", "imageDigest", "image-digest", "image_digest"),
    "registry": ("registry", "registryUrl", "registry-url", "registry_url"),
    "media_type": ("mediaType", "media_type", "manifestMediaType", "manifest-media-type"),
    "artifact_media_type": (
        "artifactType",
        "artifact_type",
        "artifactMediaType",
        "artifact-media-type",
        "artifact_media_type",
        "configMediaType",
        "config-media-type",
        "config_media_type",
    ),
    "pusher": ("pusher", "actor", "operator"),
}
"""What each field of a push may be called in an event's data."""


class CloudEvents(Source):
    """A push is an event whose type ends with a verb such as `pushed` or `published`.

    `data` has `repository` and `tag`, and may have `digest`, `registry`, `mediaType`, `pusher`; where it has no repository,
    `subject` is `repository:tag`. The registry is also taken from a `source` that is a URL.
    """

    name: ClassVar[str] = "cloudevents"
    title: ClassVar[str] = "CloudEvents of any other producer"
    setup: ClassVar[str] = """\
curl {url} -H 'Authorization: Bearer {token}' -H 'Content-Type: application/cloudevents+json' -d '{{
  "specversion": "1.0", "id": "1", "source": "https://registry.example.com", "type": "com.example.image.pushed",
  "data": {{"repository": "acme/app", "tag": "1.0.0", "digest": "sha256:..."}}}}'
"""
    checks: ClassVar[tuple[Check, ...]] = (Token(verbatim=True), Hmac("X-Hub-Signature-256", "sha256="))
    kept_headers: ClassVar[frozenset[str]] = CE_HEADERS
    handshake: ClassVar[bool] = True

    def parse(self, delivery: Delivery) -> Iterable[Part]:
        return cloud_events(delivery)

    def normalise(self, event: Payload, delivery: Delivery) -> Push | Ignored:
        fields = event_fields(event)
        if (reason := outcome_of_type(fields.type)) is not None:
            return Ignored(reason)
        return image_push(_push(fields))


def _push(fields: EventFields) -> Push:
    data = fields.data
    subject_name, subject_tag = _subject(fields.subject)
    repository = text(_first(data, "repository")) or subject_name
    if repository is None:
        raise Unreadable("no repository: neither in data nor in subject")
    return Push(
        repository=repository,
        registry=_host(text(_first(data, "registry"))) or _host_of_source(fields.source),
        tag=tag_text(_first(data, "tag")) or subject_tag,
        digest=text(_first(data, "digest")),
        media_type=text(_first(data, "media_type")),
        artifact_media_type=text(_first(data, "artifact_media_type")),
        pusher=text(_first(data, "pusher")),
        pushed_at=fields.time,
        # An id is unique for its source only.
        producer_id=f"{fields.source} {fields.id}",
    )


def _first(data: Payload, field: str) -> JsonValue:
    """Its value under the first of its names that is there."""
    return next((data[key] for key in KEYS[field] if data.get(key) not in (None, "")), None)


def _subject(subject: str | None) -> tuple[str | None, str | None]:
    if subject is None:
        return None, None
    _, name, tag, _ = split_reference(subject)
    return (name, tag) if tag is not None else (None, None)


def _host(registry: str | None) -> str | None:
    return host_of(registry) or registry


def _host_of_source(source: str) -> str | None:
    return host_of(source) if source.startswith(("http://", "https://")) else None


SOURCE = CloudEvents()
