"""JFrog Artifactory's webhooks: the domain `docker`, the event `pushed`, once for each manifest file."""

from typing import ClassVar

from hookline.chain.artifacts import ArtifactType
from hookline.chain.events import Payload
from hookline.errors import Unreadable
from services.ingress.checks import Check, Hmac, SecretHeader, Token
from services.ingress.delivery import Delivery, Ignored, IgnoredReason, Push
from services.ingress.image import image_push
from services.ingress.reading import member, tag_text, text
from services.ingress.reference import host_of
from services.ingress.several import Keys
from services.ingress.source import Source
from services.ingress.unknown import no_push, unknown_event

__all__ = ["SOURCE", "JFrog"]

HEADER = "X-JFrog-Event-Auth"
INDEX_FILE = "list.manifest.json"
MANIFEST_FILES = frozenset({"manifest.json", INDEX_FILE})
IMAGE_TYPES = {"docker": ArtifactType.IMAGE, "oci": ArtifactType.HELM_CHART, "helmoci": ArtifactType.HELM_CHART}
"""`image_type`, which goes by what the Artifactory repository is made for. `oci` is what charts come as; another OCI artifact does, too."""
PUSHED = frozenset({"pushed", "promoted"})
"""A promotion is a push to the repository that it leads to."""
NO_PUSHES = {"deleted": IgnoredReason.DELETE}
OTHER_DOMAINS = frozenset(
    {
        *("artifact", "artifact_property", "build", "user", "destination", "distribution"),
        *("release_bundle", "artifactory_release_bundle", "release_bundle_v2", "release_bundle_v2_promotion"),
    }
)
"""Of its other webhooks: what happens to files, builds and bundles of them."""
USER = "jfrog/"


class JFrog(Source):
    """Its header holds the secret as it is, or, if told so, a signature with it. No event id, no time.

    The repository is the path behind the host: the Artifactory repository's key, then the image's folders.
    """

    name: ClassVar[str] = "jfrog"
    title: ClassVar[str] = "JFrog Artifactory"
    setup: ClassVar[str] = """\
# Administration, General, Webhooks, New
URL            {url}
Events         Docker: Tag was pushed
Secret token   {secret}
               and: Use secret for payload signing
"""
    preview: ClassVar[bool] = True
    checks: ClassVar[tuple[Check, ...]] = (Hmac(HEADER), SecretHeader(HEADER), Token())
    tags_at: ClassVar[tuple[Keys, ...]] = (("data", "tag"),)

    def normalise(self, event: Payload, delivery: Delivery) -> Push | Ignored:
        domain = text(event.get("domain"))
        if domain in OTHER_DOMAINS:
            return Ignored(IgnoredReason.NO_IMAGE)
        if domain != "docker":
            raise unknown_event("domain", event.get("domain"))
        if (ignored := no_push("event_type", event.get("event_type"), PUSHED, NO_PUSHES)) is not None:
            return ignored
        data, source = member(event, "data"), text(event.get("source")) or ""
        name = text(data.get("name")) or (text(data.get("path")) or "").rpartition("/")[2]
        if name and name not in MANIFEST_FILES:
            return Ignored(IgnoredReason.BLOB)
        checksum = text(data.get("sha256")) if name else None
        repository, folder = _place(data)
        return image_push(
            Push(
                repository=repository,
                registry=host_of(text(event.get("jpd_origin"))),
                tag=(tag_text(data.get("tag")) or folder or "").replace("sha256__", "sha256:") or None,
                digest=f"sha256:{checksum}" if checksum else None,
                artifact_type=_artifact_type(data),
                pusher=source.removeprefix(USER) if source.startswith(USER) else None,
            )
        )


def _place(data: Payload) -> tuple[str, str | None]:
    """Repository, and the folder below it, which is the tag: of `path` (`team/app/v1/manifest.json`), else of the image's name."""
    key, path, image = text(data.get("repo_key")), text(data.get("path")), text(data.get("image_name"))
    folders = path.strip("/").split("/")[:-1] if path else []
    if len(folders) > 1:
        image, folder = "/".join(folders[:-1]), folders[-1]
    else:
        folder = None
    if key is None or image is None:
        raise Unreadable("no repository: data.repo_key, or both data.path and data.image_name are missing")
    return f"{key}/{image}", folder


def _artifact_type(data: Payload) -> ArtifactType | None:
    """By the manifest's file, else by the type of its Artifactory repository; None where it tells neither."""
    if text(data.get("name")) == INDEX_FILE:
        return ArtifactType.INDEX
    image_type = text(data.get("image_type"))
    return None if image_type is None else IMAGE_TYPES.get(image_type.lower(), ArtifactType.OTHER)


SOURCE = JFrog()
