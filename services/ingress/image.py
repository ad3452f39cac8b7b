"""Which pushes are of a tagged image or another tagged artifact, and so start something: the same for every producer but Docker Hub.

A plain copy of one image is two blobs and a manifest, one of a two-platform image four blobs, two manifests without a tag
and an index with one; signatures hang on tags of their own. Each of these copies is one push here.
"""

import re
from dataclasses import replace

from hookline.errors import Unreadable
from services.ingress.artifact_types import artifact_type_of, bare_type
from services.ingress.delivery import Ignored, IgnoredReason, Push

__all__ = ["IMAGE_MANIFESTS", "REFERRER", "image_push"]

IMAGE_MANIFESTS = frozenset(
    {
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    }
)
MANIFESTS = IMAGE_MANIFESTS | {
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
}

REFERRER = re.compile(r"sha256-[0-9a-f]{64}(\.(sig|att|sbom))?")
"""A tag that cosign and others hang a signature, an attestation or an SBOM on: no release, whatever artifacts a pipeline is for."""

DIGEST = re.compile(r"sha(256|384|512):")
"""Some producers give it as the tag of what has none; no tag has a colon."""


def image_push(push: Push) -> Push | Ignored:
    """The push, its repository and registry in lower case, with its kind; or why it starts nothing. A blob has no tag.

    Raises Unreadable without a repository.
    """
    repository = push.repository.strip("/").lower()
    if not repository:
        raise Unreadable("no repository")
    if not all(repository.split("/")):
        raise Unreadable("no repository: its name has an empty part")
    if push.tag is None or DIGEST.match(push.tag):
        is_manifest = push.media_type is None or bare_type(push.media_type) in MANIFESTS
        return Ignored(IgnoredReason.UNTAGGED if is_manifest else IgnoredReason.BLOB)
    if REFERRER.fullmatch(push.tag):
        return Ignored(IgnoredReason.REFERRER)
    registry = push.registry.lower() if push.registry else None
    kind = push.artifact_type or artifact_type_of(
        push.media_type, push.artifact_media_type, has_subject=push.has_subject
    )
    return replace(push, repository=repository, registry=registry, artifact_type=kind)
