"""Why a push started nothing, in words."""

from collections.abc import Sequence
from enum import StrEnum
from typing import TypedDict

from hookline.chain.artifacts import ArtifactType, matches_artifact
from hookline.chain.matching import matches_tag
from hookline.chain.pipeline import Dedupe, Pipeline
from services.console.artifact_words import wanted_words, with_article
from services.console.readmodel.history import PushRow

__all__ = ["Why", "WhyCode", "why_nothing"]


class WhyCode(StrEnum):
    """repeat: of a push in its window; no_pipeline: none known. The others: there was a pipeline, but it is not active, for
    another registry, for other tags, for other kinds of artifacts, or for another digest of this tag only."""

    REPEAT = "repeat"
    INACTIVE = "inactive"
    OTHER_REGISTRY = "other_registry"
    OTHER_TAG = "other_tag"
    OTHER_ARTIFACT = "other_artifact"
    SAME_DIGEST = "same_digest"
    NO_PIPELINE = "no_pipeline"


class Why(TypedDict):
    code: str
    detail: str


def why_nothing(push: PushRow, pipelines: Sequence[Pipeline]) -> Why | None:
    """None for a push that started a chain. pipelines: those for its repository now.

    Which pipelines there were when the push came is no longer known (their topic is compacted); one that has not changed
    since then was as it is.
    """
    if push.repeat:
        first = "an earlier push" if push.repeat_of is None else f"the push at offset {push.repeat_of}"
        return _why(WhyCode.REPEAT, f"It repeats {first} of partition {push.partition}, within its window.")
    if push.plans:
        return None
    unchanged = [p for p in pipelines if p.updated_at <= push.received_at]
    here = [p for p in unchanged if p.is_of(push.registry, push.told_registry)]
    of_tag = [p for p in here if matches_tag(p.tags, push.tag)]
    kind = None if push.artifact_type is None else ArtifactType(push.artifact_type)
    of_kind = [p for p in of_tag if matches_artifact(p.artifacts, kind)]
    if same := [p.name for p in of_kind if p.active and p.dedupe is Dedupe.DIGEST]:
        return _why(
            WhyCode.SAME_DIGEST, f"The tag had this digest already, and only another one starts: {', '.join(same)}."
        )
    if inactive := [p.name for p in of_kind if not p.active]:
        return _why(WhyCode.INACTIVE, f"Not active: {', '.join(inactive)}.")
    if others := [f"{p.name} ({wanted_words(p.artifacts)})" for p in of_tag if p not in of_kind]:
        told = "Its registry does not tell, so it counts as an image" if kind is None else f"It is {with_article(kind)}"
        return _why(WhyCode.OTHER_ARTIFACT, f"{told}; for other artifacts: {', '.join(others)}.")
    if others := [f"{p.name} ({_wanted(p)})" for p in here if p not in of_tag]:
        tag = "The push has no tag" if push.tag is None else f"The tag is {push.tag}"
        return _why(WhyCode.OTHER_TAG, f"{tag}; for others: {', '.join(others)}.")
    if elsewhere := [f"{p.name} ({p.registry})" for p in unchanged if p not in here]:
        from_here = "of an unknown registry" if push.registry is None else f"of {push.registry}"
        return _why(WhyCode.OTHER_REGISTRY, f"The push is {from_here}; for another one: {', '.join(elsewhere)}.")
    if pipelines:
        return _why(
            WhyCode.NO_PIPELINE, "No pipeline matched it when it came; the ones here were made or changed since."
        )
    return _why(WhyCode.NO_PIPELINE, f"No pipeline is registered for {push.repository}.")


def _wanted(pipeline: Pipeline) -> str:
    return ", ".join(pipeline.tags) if isinstance(pipeline.tags, tuple) else f"{pipeline.tags}"


def _why(code: WhyCode, detail: str) -> Why:
    return {"code": code.value, "detail": detail}
