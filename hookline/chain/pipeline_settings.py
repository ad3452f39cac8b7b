"""What can be set of a pipeline, each setting declared once: the form, the API, the topic, a push's plan and the pages go by it.

docs/developing/add-a-pipeline-setting.md says how to add one.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, PlainValidator
from pydantic.fields import FieldInfo

from hookline.chain.artifacts import ALL, DEFAULT_ARTIFACTS, ArtifactType, Wanted
from hookline.chain.matching import MAX_TAG, range_fault
from hookline.chain.registry_names import registry_name

__all__ = [
    "DEFAULT_RETRY_DELAYS_S",
    "SETTINGS",
    "Dedupe",
    "PipelineSettings",
    "PlanSettings",
    "Setting",
]

DEFAULT_RETRY_DELAYS_S = (5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
"""Ten attempts; each the wait after the attempt before it."""
MAX_DEADLINE_S = 30 * 86_400
MAX_TAG_GLOBS = 50
MAX_RANGE = 255
_REGISTRY = re.compile(r"[a-z0-9.:_\[\]-]{1,255}")


class Dedupe(StrEnum):
    """Which pushes start a pipeline: each event of its own, or only one that gives the tag another digest than it had."""

    EVENT = "event"
    DIGEST = "digest"


def _registry(text: str) -> str:
    if not _REGISTRY.fullmatch(text.lower()):
        raise ValueError("Must be a registry's host, such as registry.example.com:5000, or null for any.")
    return registry_name(text)


def _tags(given: object) -> tuple[str, ...] | str | None:
    """Null for any tag; a list of globs, an empty one being null; a text: a range of versions."""
    if given is None or given == []:
        return None
    if isinstance(given, str):
        fault = range_fault(given) if len(given) <= MAX_RANGE else f"it is longer than {MAX_RANGE} characters"
        if fault is not None:
            raise ValueError(f"Must be a range of versions such as ^1.4 or >=2.0.0 <3, or a list of globs: {fault}.")
        return given
    if not isinstance(given, list) or len(given) > MAX_TAG_GLOBS:
        raise ValueError(f"Must be null, a range of versions such as ^1.4, or a list of up to {MAX_TAG_GLOBS} globs.")
    globs = tuple(glob for glob in given if isinstance(glob, str) and 0 < len(glob) <= MAX_TAG and _is_word(glob))
    if len(globs) < len(given):
        raise ValueError(f"A glob of tags such as v* must be 1 to {MAX_TAG} characters, without spaces.")
    return globs


def _artifacts(given: object) -> Wanted:
    """`all`; a list of kinds, or the only one as a text."""
    if given == ALL:
        return ALL
    kinds = given if isinstance(given, list) else [given]
    if not kinds or any(kind not in list(ArtifactType) for kind in kinds):
        raise ValueError(f"Must be all, or a list of these: {', '.join(ArtifactType)}.")
    return tuple(kind for kind in ArtifactType if kind in kinds)


def _is_word(text: str) -> bool:
    return text.isprintable() and " " not in text


_Wait = Annotated[int, Field(ge=0, le=MAX_DEADLINE_S)]


@dataclass(frozen=True)
class Setting:
    """What a field is as a setting, beside its type and default in the log.

    label: its row on pages; null for none of its own. name: in requests and answers, where that is not the field's.
    form: the type that a request must have, where that is not the field's; what is in the log is never refused by it.
    """

    label: str | None
    name: str = ""
    form: object = None


class PlanSettings(BaseModel):
    """The settings that a push's plan holds, too: its chains keep them as they were when it came."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    expect_final_callback: Annotated[bool, Setting("Final callback")] = True
    callback_deadline_s: Annotated[
        int, Setting("Callback deadline", name="callback_deadline", form=Annotated[int, Field(ge=1, le=MAX_DEADLINE_S)])
    ] = 86_400
    timeout_s: Annotated[int, Setting(None, name="timeout", form=Annotated[int, Field(ge=1, le=60)])] = 15
    retry_delays_s: Annotated[
        tuple[int, ...],
        Setting("Attempts", name="retry_delays", form=Annotated[list[_Wait], Field(max_length=20)]),
    ] = DEFAULT_RETRY_DELAYS_S


class PipelineSettings(PlanSettings):
    """All settings of a pipeline: those, and the ones that only say which pushes start it."""

    registry: Annotated[str | None, Setting("Registry", form=Annotated[str, AfterValidator(_registry)] | None)] = None
    tags: Annotated[tuple[str, ...] | str | None, Setting("Tags", form=Annotated[object, PlainValidator(_tags)])] = None
    artifacts: Annotated[Wanted, Setting("Artifacts", form=Annotated[object, PlainValidator(_artifacts)])] = (
        DEFAULT_ARTIFACTS
    )
    dedupe: Annotated[Dedupe, Setting("Same image again", form=Annotated[Dedupe, Field(strict=False)])] = Dedupe.EVENT
    active: Annotated[bool, Setting(None)] = True

    def sent(self) -> dict[str, JsonValue]:
        """The settings as requests and answers have them."""
        said = self.model_dump(mode="json", include=set(SETTINGS))
        return {setting.name: said[field] for field, setting in SETTINGS.items()}


def _setting(field: str, info: FieldInfo) -> Setting:
    (said,) = (said for said in info.metadata if isinstance(said, Setting))
    return replace(said, name=said.name or field, form=said.form or info.annotation)


SETTINGS: Mapping[str, Setting] = {
    field: _setting(field, info) for field, info in PipelineSettings.model_fields.items()
}
"""Every setting by its field, with its name and form filled in."""
