"""What clients send about a pipeline, checked: Docker Hub's fields and Hookline's beyond them (design section 6)."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, create_model

from hookline.chain.hook_secrets import DEFAULT_GRACE_S, MAX_GRACE_S
from hookline.chain.matching import is_glob
from hookline.chain.pipeline_settings import SETTINGS, PipelineSettings
from hookline.chain.registry_names import repository_of_page
from hookline.errors import Invalid
from hookline.explain import Fault, faults_of

__all__ = [
    "PIPELINE_FORM",
    "HookForm",
    "PipelineForm",
    "RotationForm",
    "parse_form",
    "parse_pattern",
    "parse_repository",
    "parse_rotation",
    "slug_of",
]

MAX_REPOSITORY = 255
_REPOSITORY = re.compile(r"[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)*")
_PATTERN = re.compile(r"[a-z0-9._*?!\[\]-]+(/[a-z0-9._*?!\[\]-]+)*")
_WORDS = {"missing": "This field is required.", "model_type": "Must be an object."}
_NOT_SLUG = re.compile(r"[^a-z0-9]+")


def _printable(text: str) -> str:
    if not text.isprintable() or text != text.strip():
        raise ValueError("Must not have control characters, or spaces around it.")
    return text


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
    """A pipeline as clients send it; `PIPELINE_FORM` has its settings, too."""

    name: Name
    webhooks: list[HookForm] = Field(min_length=1, max_length=20)

    def settings(self) -> dict[str, object]:
        """By their fields of a Pipeline."""
        return {field: getattr(self, setting.name) for field, setting in SETTINGS.items()}


_FIELDS: dict[str, Any] = {
    setting.name: (setting.form, PipelineSettings.model_fields[field].default) for field, setting in SETTINGS.items()
}
PIPELINE_FORM = create_model("PipelineForm", __base__=PipelineForm, **_FIELDS)


class RotationForm(_Form):
    """How a hook's secret is rotated. `grace`: seconds for which the one before signs, too, 0 for a secret that leaked;
    `again`: also while an earlier one still does, which then ends."""

    grace: int = Field(default=DEFAULT_GRACE_S, ge=0, le=MAX_GRACE_S)
    again: bool = False


def parse_form(body: Mapping[str, object]) -> PipelineForm:
    """Raises Invalid, with a field's name and what is wrong with it."""
    return _parsed(PIPELINE_FORM, body)


def parse_rotation(body: Mapping[str, object]) -> RotationForm:
    """Raises as `parse_form`."""
    return _parsed(RotationForm, body)


def _parsed(form: type[F], body: Mapping[str, object]) -> F:
    try:
        return form.model_validate(body)
    except ValidationError as error:
        errors: dict[str, list[str]] = {}
        for fault in faults_of(error):
            field, *inner = fault.where
            errors.setdefault(str(field), []).append(_place(inner) + _words(fault))
        raise Invalid(errors) from None


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


def _words(fault: Fault) -> str:
    return _WORDS.get(fault.kind) or fault.said.removeprefix("Value error, ").rstrip(".") + "."
