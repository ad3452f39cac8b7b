"""Which pushes are of a tagged image, and so start something: the same for every producer but Docker Hub.

A plain copy of one image is two blobs and a manifest, one of a two-platform image four blobs, two manifests without a tag
and an index with one; signatures hang on tags of their own. Each of these copies is one push here.
"""

import re
from dataclasses import replace

from hookline.errors import Unreadable
from services.ingress.delivery import Ignored, IgnoredReason, Push

__all__ = ["MANIFESTS", "REFERRER", "image_push"]

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

DIGEST = re.compile(r"sha(256|384|512):")
"""Some producers give it as the tag of what has none; no tag has a colon."""


def image_push(push: Push) -> Push | Ignored:
    """The push, its repository and registry in lower case; or why it starts nothing. Raises Unreadable without a repository."""
    repository = push.repository.strip("/").lower()
    if not repository:
        raise Unreadable("no repository")
    if not all(repository.split("/")):
        raise Unreadable("no repository: its name has an empty part")
    media_type = _bare(push.media_type)
    if media_type is not None and media_type not in MANIFESTS:
        return Ignored(IgnoredReason.BLOB)
    if push.tag is None or DIGEST.match(push.tag):
        return Ignored(IgnoredReason.UNTAGGED)
    if REFERRER.fullmatch(push.tag):
        return Ignored(IgnoredReason.REFERRER)
    registry = push.registry.lower() if push.registry else None
    return replace(push, repository=repository, registry=registry, media_type=media_type)


def _bare(media_type: str | None) -> str | None:
    """As types are compared (RFC 9110, section 8.3.1): in lower case and without parameters such as `; charset=utf-8`."""
    return None if media_type is None else media_type.partition(";")[0].strip().lower() or None
