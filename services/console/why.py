"""Why a push started nothing, in words."""

from collections.abc import Sequence
from enum import StrEnum
from typing import TypedDict

from hookline.chain.pipeline import Pipeline
from services.console.readmodel.history import PushRow

__all__ = ["Why", "WhyCode", "why_nothing"]


class WhyCode(StrEnum):
    """repeat: of a push in its window; inactive, other_registry: there was a pipeline, but not for this; no_pipeline: none known."""

    REPEAT = "repeat"
    INACTIVE = "inactive"
    OTHER_REGISTRY = "other_registry"
    NO_PIPELINE = "no_pipeline"


class Why(TypedDict):
    code: str
    detail: str


def why_nothing(push: PushRow, pipelines: Sequence[Pipeline]) -> Why | None:
    """None for a push that started a chain. pipelines: those of its repository now.

    Which pipelines there were when the push came is no longer known (their topic is compacted); one that has not changed
    since then was as it is.
    """
    if push.repeat:
        first = "an earlier push" if push.repeat_of is None else f"the push at offset {push.repeat_of}"
        return _why(WhyCode.REPEAT, f"It repeats {first} of partition {push.partition}, within its window.")
    if push.plans:
        return None
    unchanged = [p for p in pipelines if p.updated_at <= push.received_at]
    if inactive := [p.name for p in unchanged if not p.active and p.registry in (None, push.registry)]:
        return _why(WhyCode.INACTIVE, f"Not active: {', '.join(inactive)}.")
    if elsewhere := [f"{p.name} ({p.registry})" for p in unchanged if p.registry not in (None, push.registry)]:
        here = "of an unknown registry" if push.registry is None else f"of {push.registry}"
        return _why(WhyCode.OTHER_REGISTRY, f"The push is {here}; for another one: {', '.join(elsewhere)}.")
    if pipelines:
        return _why(
            WhyCode.NO_PIPELINE, "No pipeline matched it when it came; the ones here were made or changed since."
        )
    return _why(WhyCode.NO_PIPELINE, f"No pipeline is registered for {push.repository}.")


def _why(code: WhyCode, detail: str) -> Why:
    return {"code": code.value, "detail": detail}
