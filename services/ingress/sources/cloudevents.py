"""CloudEvents of anything else that pushes images: binary, structured or in batches, with data in one documented shape."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import ClassVar

from hookline.chain.events import Payload
from hookline.errors import Unreadable
from services.ingress.checks import Check, Hmac, Token
from services.ingress.cloud_event import (
    CE_HEADERS,
    EventFields,
    cloud_events,
    event_fields,
    names_image,
    outcome_of_type,
)
from services.ingress.delivery import Delivery, Ignored, IgnoredReason, Part, Push
from services.ingress.envelopes import ENVELOPE_HEADERS, opened
from services.ingress.image import image_push
from services.ingress.reading import first_of, member, tag_text, text
from services.ingress.reference import Reference, host_of, names_another_package, split_reference
from services.ingress.several import Keys
from services.ingress.source import Source
from services.ingress.unknown import unknown_event

__all__ = ["SOURCE", "CloudEvents"]

KEYS = {
    "repository": ("repository", "repositoryName", "repository-name", "repository_name", "image"),
    "tag": ("tag", "imageTag", "image-tag", "image_tag", "tags"),
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


CDEVENTS = re.compile(r"dev\.cdevents\.([a-z]+)\.([a-z]+)\.[0-9]")
"""The type of an event of cdevents.dev: of what, what became of it, and the version of its schema."""
CDEVENTS_PUSHED = frozenset({"published", "packaged"})
CDEVENTS_OTHERS: Mapping[str, IgnoredReason] = {
    "deleted": IgnoredReason.DELETE,
    "downloaded": IgnoredReason.PULL,
    "signed": IgnoredReason.OTHER_ACTION,
}
"""What else becomes of an artifact."""


class CloudEvents(Source):
    """A push is an event that names an image and says that it was pushed, published, updated or uploaded.

    It names one in `data` (`repository`, also as a whole reference with its tag), or its type has a word for one (image,
    artifact, container, package) and its `subject` is `repository:tag`. The registry is also taken from a `source` that is a URL.
    CDEvents (`dev.cdevents.artifact.published`, `...packaged`) name it by a package URL, their subject's id.
    """

    name: ClassVar[str] = "cloudevents"
    title: ClassVar[str] = "CloudEvents of any other producer"
    setup: ClassVar[str] = """\
curl {url} -H 'Authorization: Bearer {token}' -H 'Content-Type: application/cloudevents+json' -d '{{
  "specversion": "1.0", "id": "1", "source": "https://registry.example.com", "type": "com.example.image.pushed",
  "data": {{"repository": "acme/app", "tag": "1.0.0", "digest": "sha256:..."}}}}'
"""
    checks: ClassVar[tuple[Check, ...]] = (Token(verbatim=True), Hmac("X-Hub-Signature-256", "sha256="))
    kept_headers: ClassVar[frozenset[str]] = CE_HEADERS | ENVELOPE_HEADERS
    handshake: ClassVar[bool] = True
    tags_at: ClassVar[tuple[Keys, ...]] = tuple(("data", key) for key in KEYS["tag"])

    def parse(self, delivery: Delivery) -> Iterable[Part]:
        return cloud_events(delivery)

    def normalise(self, event: Payload, delivery: Delivery) -> Push | Ignored:
        fields = event_fields(opened(event, delivery).event)
        if (found := CDEVENTS.match(fields.type)) is not None and "subject" in fields.data:
            return _of_cdevent(found[1], found[2], fields)
        names_one = first_of(fields.data, KEYS["repository"]) is not None or names_image(fields.type)
        if not names_one:
            return Ignored(IgnoredReason.NO_IMAGE)
        if (reason := outcome_of_type(fields.type)) is not None:
            return Ignored(reason)
        return image_push(_push(fields))


def _of_cdevent(what: str, became: str, fields: EventFields) -> Push | Ignored:
    """Its data is the whole CDEvent: the subject's id is the artifact's package URL (the CDEvents binding of CloudEvents)."""
    if what != "artifact":
        return Ignored(IgnoredReason.NO_IMAGE)
    if became in CDEVENTS_OTHERS:
        return Ignored(CDEVENTS_OTHERS[became])
    if became not in CDEVENTS_PUSHED:
        raise unknown_event("type", fields.type)
    subject = member(fields.data, "subject")
    purl = text(subject.get("id")) or fields.subject or ""
    if names_another_package(purl):
        return Ignored(IgnoredReason.NO_IMAGE)
    place = split_reference(purl)
    if not place.repository:
        raise Unreadable("no repository: the subject's id names none")
    content = member(subject, "content")
    return image_push(_of(place, fields, text(content.get("user")) or text(content.get("author"))))


def _push(fields: EventFields) -> Push:
    data = fields.data
    named = text(first_of(data, KEYS["repository"]))
    place = split_reference(named) if named is not None else _subject(fields.subject)
    if place is None:
        raise Unreadable("no repository: neither in data nor in subject")
    push = _of(place, fields, text(first_of(data, KEYS["pusher"])))
    tag = tag_text(first_of(data, KEYS["tag"])) or push.tag
    if tag is None and named is not None and (subject := _subject(fields.subject)) is not None:
        tag = subject.tag
    return replace(
        push,
        registry=_host(text(first_of(data, KEYS["registry"]))) or push.registry,
        tag=tag,
        digest=text(first_of(data, KEYS["digest"])) or push.digest,
        media_type=text(first_of(data, KEYS["media_type"])),
        artifact_media_type=text(first_of(data, KEYS["artifact_media_type"])),
    )


def _of(place: Reference, fields: EventFields, pusher: str | None) -> Push:
    return Push(
        repository=place.repository,
        registry=place.registry or _host_of_source(fields.source),
        tag=place.tag,
        digest=place.digest,
        pusher=pusher,
        pushed_at=fields.time,
        # An id is unique for its source only.
        producer_id=f"{fields.source} {fields.id}",
    )


def _subject(subject: str | None) -> Reference | None:
    """Of a subject that has a tag: one without may be anything."""
    place = split_reference(subject) if subject is not None else None
    return place if place is not None and place.tag is not None else None


def _host(registry: str | None) -> str | None:
    return host_of(registry) or registry


def _host_of_source(source: str) -> str | None:
    return host_of(source) if source.startswith(("http://", "https://")) else None


SOURCE = CloudEvents()
