"""GitHub's container registry (ghcr.io): the webhook event `package`, or its older twin `registry_package`."""

from collections.abc import Iterator
from typing import ClassVar

from hookline.chain.events import Payload
from hookline.errors import Unreadable
from services.ingress.checks import Check, Hmac
from services.ingress.delivery import Delivery, Ignored, IgnoredReason, Part, Push
from services.ingress.form import form_payload
from services.ingress.image import image_push
from services.ingress.manifest import described
from services.ingress.reading import header_text, json_object, member, millis_of, tag_text, text
from services.ingress.reference import split_reference
from services.ingress.source import Source

__all__ = ["SOURCE", "GitHub"]

EVENT, DELIVERY = "x-github-event", "x-github-delivery"
PACKAGES = ("package", "registry_package")
ACTIONS = ("published", "updated")
CONTAINERS = frozenset({"container", "docker"})
REGISTRY = "ghcr.io"


class GitHub(Source):
    """Signed deliveries only. It sends each once; a redelivery by hand keeps the id."""

    name: ClassVar[str] = "github"
    title: ClassVar[str] = "GitHub Container Registry"
    setup: ClassVar[str] = """\
# an organisation's or a repository's Settings, Webhooks, Add webhook
Payload URL      {url}
Content type     application/json
Secret           {secret}
Which events     Let me select individual events: Packages
"""
    checks: ClassVar[tuple[Check, ...]] = (Hmac("X-Hub-Signature-256", "sha256="),)
    kept_headers: ClassVar[frozenset[str]] = frozenset({EVENT, DELIVERY})

    def parse(self, delivery: Delivery) -> Iterator[Part]:
        payload = form_payload(delivery)
        yield Part(json_object(delivery.body if payload is None else payload), delivery.body)

    def normalise(self, event: Payload, delivery: Delivery) -> Push | Ignored:
        name = header_text(delivery, EVENT) or next((key for key in PACKAGES if key in event), None)
        if name == "ping":
            return Ignored(IgnoredReason.PING)
        if name not in PACKAGES:
            return Ignored(IgnoredReason.OTHER_ACTION)
        action, package = text(event.get("action")), member(event, name)
        if action not in ACTIONS:
            return Ignored(IgnoredReason.OTHER_ACTION)
        if not package:
            raise Unreadable(f"no {name}")
        if not _is_container(package):
            return Ignored(IgnoredReason.NO_IMAGE)
        return image_push(_push(event, package, header_text(delivery, DELIVERY)))


def _is_container(package: Payload) -> bool:
    """By any of its three words for it, in any case: samples have another in each."""
    kinds = (package.get("package_type"), package.get("ecosystem"), member(package, "registry").get("type"))
    return any((text(kind) or "").lower() in CONTAINERS for kind in kinds)


def _push(event: Payload, package: Payload, delivery_id: str | None) -> Push:
    version = member(package, "package_version")
    metadata = member(version, "container_metadata")
    manifest, tag = member(metadata, "manifest"), member(metadata, "tag")
    registry, repository = _place(package, text(version.get("package_url")))
    version_name = text(version.get("version")) or ""
    artifact, has_subject = described(manifest)
    return Push(
        repository=repository,
        registry=registry,
        tag=tag_text(tag.get("name")),
        digest=(
            text(manifest.get("digest"))
            or text(tag.get("digest"))
            or (version_name if version_name.startswith("sha256:") else None)
        ),
        media_type=text(manifest.get("media_type")),
        artifact_media_type=artifact,
        has_subject=has_subject,
        pusher=text(member(event, "sender").get("login")),
        pushed_at=_time(version) or _time(package),
        producer_id=delivery_id,
    )


def _place(package: Payload, url: str | None) -> tuple[str, str]:
    """Registry and repository: of `package_url` (`ghcr.io/owner/app:tag`, or with nothing behind the colon), else of the names."""
    if url is not None:
        host, repository, _, _ = split_reference(url.partition("://")[2] or url)
        if host is not None and "/" in repository:
            return host, repository
    owner, name = text(member(package, "owner").get("login")), text(package.get("name"))
    if owner is None or name is None:
        raise Unreadable("no repository: neither package_url nor owner and name")
    return REGISTRY, f"{owner}/{name}"


def _time(of: Payload) -> int | None:
    """`updated_at`, else `created_at`; GitHub writes year 1 for none."""
    return millis_of(of.get("updated_at")) or millis_of(of.get("created_at"))


SOURCE = GitHub()
