"""A pipeline's settings as its pages list them: a label and words for each."""

from collections.abc import Callable, Mapping

from hookline.chain.pipeline import Dedupe, Pipeline
from hookline.chain.pipeline_settings import SETTINGS
from hookline.times import duration
from services.console.artifact_words import wanted_words
from services.console.pages.words import tags

__all__ = ["setting_rows"]


def _attempts(pipeline: Pipeline) -> str:
    delays = pipeline.retry_delays_s
    if not delays:
        return f"one, given {duration(pipeline.timeout_s)}"
    waits = ", ".join(map(duration, delays))
    return f"{len(delays) + 1}, each given {duration(pipeline.timeout_s)}; with waits of {waits}"


def _final_callback(pipeline: Pipeline) -> str:
    if pipeline.expect_final_callback:
        return "expected: the last hook's success completes the chain"
    return "not expected: delivering the last hook completes the chain"


def _same_image(pipeline: Pipeline) -> str:
    if pipeline.dedupe is Dedupe.DIGEST:
        return "starts nothing: only a tag's new digest does"
    return "starts it again, as every push does"


_WORDS: Mapping[str, Callable[[Pipeline], str]] = {
    "callback_deadline_s": lambda pipeline: f"{duration(pipeline.callback_deadline_s)} for each step",
    "expect_final_callback": _final_callback,
    "retry_delays_s": _attempts,
    "tags": lambda pipeline: tags(pipeline.tags),
    "artifacts": lambda pipeline: wanted_words(pipeline.artifacts),
    "dedupe": _same_image,
    "registry": lambda pipeline: pipeline.registry or "any",
}
"""Those that have words of their own, in the order of the page; all others follow."""


def setting_rows(pipeline: Pipeline) -> list[tuple[str, str]]:
    """Label and words of every setting that has a label."""
    labels = {field: SETTINGS[field].label for field in dict.fromkeys((*_WORDS, *SETTINGS))}
    return [(label, _said(pipeline, field)) for field, label in labels.items() if label is not None]


def _said(pipeline: Pipeline, field: str) -> str:
    if (own := _WORDS.get(field)) is not None:
        return own(pipeline)
    match getattr(pipeline, field):
        case bool(value):
            return "yes" if value else "no"
        case int(value) if field.endswith("_s"):
            return duration(value)
        case tuple(value):
            return ", ".join(map(str, value))
        case value:
            return "none" if value is None else str(value)
