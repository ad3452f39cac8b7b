"""What kinds of artifact a registry holds beside images, and which of them a pipeline is for."""

from enum import StrEnum
from typing import Literal, TypeAlias

__all__ = ["ALL", "DEFAULT_ARTIFACTS", "ArtifactType", "Wanted", "matches_artifact"]


class ArtifactType(StrEnum):
    """What was pushed. An index is an image for several platforms; whatever is none of these is `other`."""

    IMAGE = "image"
    INDEX = "index"
    HELM_CHART = "helm_chart"
    ATTESTATION = "attestation"
    SIGNATURE = "signature"
    SBOM = "sbom"
    OTHER = "other"


ALL: Literal["all"] = "all"
DEFAULT_ARTIFACTS = (ArtifactType.IMAGE, ArtifactType.INDEX)

Wanted: TypeAlias = tuple[ArtifactType, ...] | Literal["all"]
"""The artifacts that a pipeline is for."""


def matches_artifact(wanted: Wanted, artifact_type: ArtifactType | None) -> bool:
    """`artifact_type` null: its producer does not tell, so it is taken as an image."""
    return wanted == ALL or (artifact_type or ArtifactType.IMAGE) in wanted
