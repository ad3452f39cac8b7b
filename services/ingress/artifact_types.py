"""What kind of artifact was pushed, by the media types that its producer tells.

The OCI image-spec (v1.1.1, "Guidelines for Artifact Usage") says where that stands: in the manifest's `artifactType`, and where
it has none in the media type of its config. Charts, signatures and the rest have types of their own there.
"""

from hookline.chain.artifacts import ArtifactType

__all__ = ["artifact_type_of", "bare_type"]

IMAGE_MANIFEST = "application/vnd.oci.image.manifest."
"""Of images and of every other artifact alike: it tells nothing."""

PREFIXES = {
    ArtifactType.IMAGE: (
        "application/vnd.oci.image.config.",
        "application/vnd.docker.container.image.v",
        "application/vnd.docker.distribution.manifest.v",
    ),
    ArtifactType.INDEX: ("application/vnd.oci.image.index.", "application/vnd.docker.distribution.manifest.list."),
    ArtifactType.HELM_CHART: ("application/vnd.cncf.helm.", "application/vnd.acr.helm."),
    ArtifactType.ATTESTATION: (
        "application/vnd.in-toto",
        "application/vnd.dsse.envelope",
        "application/vnd.dev.sigstore.bundle",
        "application/vnd.dev.cosign.attestation",
        "application/vnd.dev.cosign.artifact.att.",
        "application/vnd.docker.attestation.",
    ),
    ArtifactType.SIGNATURE: (
        "application/vnd.cncf.notary.",
        "application/vnd.dev.cosign.artifact.sig.",
        "application/vnd.dev.cosign.simplesigning.",
    ),
    ArtifactType.SBOM: (
        "application/spdx",
        "text/spdx",
        "application/vnd.cyclonedx",
        "application/vnd.syft",
        "application/vnd.dev.cosign.artifact.sbom.",
        "application/vnd.goharbor.harbor.sbom.",
    ),
}
"""How the media types of each kind begin: what follows is a version and an encoding."""


def artifact_type_of(
    media_type: str | None, artifact_media_type: str | None = None, *, has_subject: bool = False
) -> ArtifactType | None:
    """None where nothing tells: a pipeline takes that as an image.

    `media_type`: the manifest's (some producers give the config's there); `artifact_media_type`: `artifactType`, else the
    config's; `has_subject`: is it attached to another manifest? Then it is no image, whatever its config is.
    """
    found = _by_media_type(artifact_media_type) or _by_media_type(media_type)
    if has_subject and found in (None, ArtifactType.IMAGE, ArtifactType.INDEX):
        return ArtifactType.OTHER
    return found


def bare_type(media_type: str) -> str:
    """Without parameters, in lower case (RFC 9110, section 8.3.1): what media types are compared by."""
    return media_type.partition(";")[0].strip().lower()


def _by_media_type(media_type: str | None) -> ArtifactType | None:
    """Or by our own word for a kind, in its place. Any other text without a slash is no media type, and tells nothing."""
    if media_type is None:
        return None
    bare = bare_type(media_type)
    if "/" not in bare:
        return next((kind for kind in ArtifactType if kind == bare), None)
    if bare.startswith(IMAGE_MANIFEST):
        return None
    return next((kind for kind, prefixes in PREFIXES.items() if bare.startswith(prefixes)), ArtifactType.OTHER)
