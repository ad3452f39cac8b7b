"""What clients send about a pipeline, checked: Docker Hub's fields and Hookline's beyond them (design section 6)."""

import re
from collections.abc import Mapping
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator, ValidationError

from hookline.chain.artifacts import ALL, DEFAULT_ARTIFACTS, ArtifactType, Wanted
from hookline.chain.hook_secrets import DEFAULT_GRACE_S, MAX_GRACE_S
from hookline.chain.matching import MAX_TAG, is_glob, range_fault
from hookline.chain.pipeline import DEFAULT_CALLBACK_DEADLINE_S, DEFAULT_TIMEOUT_S, Pipeline
from hookline.chain.registry_names import registry_name, repository_of_page
from hookline.chain.retries import DEFAULT_RETRY_DELAYS_S
from hookline.errors import Invalid

__all__ = [
    "HookForm",
    "PipelineForm",
    "RotationForm",
    "form_of",
    "parse_form",
    "parse_pattern",
    "parse_repository",
    "parse_rotation",
    "slug_of",
]

MAX_DEADLINE_S = 30 * 86_400
MAX_REPOSITORY = 255
_REPOSITORY = re.compile(r"[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)*")
_PATTERN = re.compile(r"[a-z0-9._*?!\[\]-]+(/[a-z0-9._*?!\[\]-]+)*")
MAX_TAG_GLOBS = 50
MAX_RANGE = 255
_REGISTRY = re.compile(r"[a-z0-9.:_\[\]-]{1,255}")
_WORDS = {"missing": "This field is required.", "model_type": "Must be an object."}
_NOT_SLUG = re.compile(r"[^a-z0-9]+")


def _printable(text: str) -> str:
    if not text.isprintable() or text != text.strip():
        raise ValueError("Must not have control characters, or spaces around it.")
    return text


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


Name = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_printable)]


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


F = TypeVar("F", bound=_Form)


class HookForm(_Form):
    """One of `webhooks`. `id`: an existing hook of this pipeline; `name` defaults to its position."""

    id: str | None = None
    name: Name | None = None
    hook_url: str


class PipelineForm(_Form):
    """A pipeline as clients send it."""

    name: Name
    registry: Annotated[str, AfterValidator(_registry)] | None = None
    tags: Annotated[tuple[str, ...] | str | None, PlainValidator(_tags)] = None
    artifacts: Annotated[Wanted, PlainValidator(_artifacts)] = DEFAULT_ARTIFACTS
    dedupe: Literal["event", "digest"] = "event"
    expect_final_callback: bool = True
    active: bool = True
    callback_deadline: int = Field(default=DEFAULT_CALLBACK_DEADLINE_S, ge=1, le=MAX_DEADLINE_S)
    timeout: int = Field(default=DEFAULT_TIMEOUT_S, ge=1, le=60)
    retry_delays: list[Annotated[int, Field(ge=0, le=MAX_DEADLINE_S)]] = Field(
        default_factory=lambda: list(DEFAULT_RETRY_DELAYS_S), max_length=20
    )
    webhooks: list[HookForm] = Field(min_length=1, max_length=20)


class RotationForm(_Form):
    """How a hook's secret is rotated. `grace`: seconds for which the one before signs, too, 0 for a secret that leaked;
    `again`: also while an earlier one still does, which then ends."""

    grace: int = Field(default=DEFAULT_GRACE_S, ge=0, le=MAX_GRACE_S)
    again: bool = False


def parse_form(body: Mapping[str, object]) -> PipelineForm:
    """Raises Invalid, with a field's name and what is wrong with it."""
    return _parsed(PipelineForm, body)


def parse_rotation(body: Mapping[str, object]) -> RotationForm:
    """Raises as `parse_form`."""
    return _parsed(RotationForm, body)


def _parsed(form: type[F], body: Mapping[str, object]) -> F:
    try:
        return form.model_validate(body)
    except ValidationError as error:
        errors: dict[str, list[str]] = {}
        for said in error.errors(include_url=False, include_input=False):
            field, *inner = said["loc"]
            errors.setdefault(str(field), []).append(_place(inner) + _words(said["type"], said["msg"]))
        raise Invalid(errors) from None


def form_of(pipeline: Pipeline) -> dict[str, object]:
    """An existing pipeline as its client would send it: what a PATCH is laid over."""
    return {
        "name": pipeline.name,
        "registry": pipeline.registry,
        "tags": list(pipeline.tags) if isinstance(pipeline.tags, tuple) else pipeline.tags,
        "artifacts": list(pipeline.artifacts) if isinstance(pipeline.artifacts, tuple) else pipeline.artifacts,
        "dedupe": pipeline.dedupe.value,
        "expect_final_callback": pipeline.expect_final_callback,
        "active": pipeline.active,
        "callback_deadline": pipeline.callback_deadline_s,
        "timeout": pipeline.timeout_s,
        "retry_delays": list(pipeline.retry_delays_s),
        "webhooks": [{"id": hook.id, "name": hook.name, "hook_url": hook.url} for hook in pipeline.hooks],
    }


def parse_repository(text: str) -> str:
    """A repository's path in lower case. Raises Invalid."""
    repository = repository_of_page(text.lower().strip("/"))
    if len(repository) > MAX_REPOSITORY or not _REPOSITORY.fullmatch(repository):
        said = f"Must be a path such as namespace/name: letters, digits, '.', '_', '-', at most {MAX_REPOSITORY} characters."
        raise Invalid({"repository": [said]})
    return repository


def parse_pattern(text: str) -> str:
    """A repository's path, or a glob of several such as `namespace/*`, in lower case. Raises Invalid."""
    pattern = text.lower().strip("/")
    if not is_glob(pattern):
        return parse_repository(pattern)
    if len(pattern) > MAX_REPOSITORY or not _PATTERN.fullmatch(pattern):
        said = (
            f"Must be a path, or a glob with *, ? and [...] such as namespace/*, at most {MAX_REPOSITORY} characters."
        )
        raise Invalid({"repository": [said]})
    return pattern


def slug_of(name: str) -> str:
    """The name lowered, each run of other characters than letters and digits one dash."""
    return _NOT_SLUG.sub("-", name.lower())


def _place(inner: list[int | str]) -> str:
    """Where in a list: `hook 2, hook_url: `."""
    match inner:
        case [int(index), *rest]:
            return f"{index + 1}: " if not rest else f"hook {index + 1}, {rest[0]}: "
        case _:
            return ""


def _words(error_type: str, message: str) -> str:
    if error_type in _WORDS:
        return _WORDS[error_type]
    return message.removeprefix("Value error, ").rstrip(".") + "."
