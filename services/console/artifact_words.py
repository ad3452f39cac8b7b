"""Kinds of artifacts in words, for pages and for why a push started nothing."""

from typing import NamedTuple

from hookline.chain.artifacts import ALL, ArtifactType, Wanted

__all__ = ["kind_words", "wanted_words", "with_article"]


class _Words(NamedTuple):
    article: str
    one: str
    many: str


_WORDS = {
    ArtifactType.IMAGE: _Words("an", "image", "images"),
    ArtifactType.INDEX: _Words("an", "index", "indexes"),
    ArtifactType.HELM_CHART: _Words("a", "Helm chart", "Helm charts"),
    ArtifactType.ATTESTATION: _Words("an", "attestation", "attestations"),
    ArtifactType.SIGNATURE: _Words("a", "signature", "signatures"),
    ArtifactType.SBOM: _Words("an", "SBOM", "SBOMs"),
    ArtifactType.OTHER: _Words("an", "artifact of another kind", "artifacts of other kinds"),
}


def kind_words(artifact_type: str) -> str:
    """One of them: `Helm chart`."""
    return _WORDS[ArtifactType(artifact_type)].one


def with_article(artifact_type: str) -> str:
    """One of them in a sentence: `a Helm chart`."""
    words = _WORDS[ArtifactType(artifact_type)]
    return f"{words.article} {words.one}"


def wanted_words(wanted: Wanted) -> str:
    """Those that a pipeline is for: `images, indexes`."""
    return "all" if wanted == ALL else ", ".join(_WORDS[ArtifactType(kind)].many for kind in wanted)
