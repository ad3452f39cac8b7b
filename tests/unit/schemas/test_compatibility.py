"""Each rule of the compatibility check, on small models of its own; and both directions on real documents."""

from enum import StrEnum
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field

from hookline.schemas.compatibility import incompatibilities, same_shape
from hookline.schemas.models import schema_of


class Colour(StrEnum):
    """As it was."""

    RED = "red"
    BLUE = "blue"


class MoreColours(StrEnum):
    RED = "red"
    BLUE = "blue"
    GREEN = "green"


class Inner(BaseModel):
    url: str


class Event(BaseModel):
    """As it was."""

    id: str
    count: int = 0
    colour: Colour
    encoding: Literal["utf-8", "base64"] = "utf-8"
    size: Annotated[int, Field(ge=0)]
    note: str | None = None
    description: str | None = None
    headers: dict[str, str] = {}
    hooks: tuple[Inner, ...]


def changed(*, drop: str = "", **fields: object) -> list[str]:
    """What the check says to Event with these fields (`name=(type, default)`, `name=type`) instead or beside."""
    annotations = {name: field.rebuild_annotation() for name, field in Event.model_fields.items() if name != drop}
    defaults = {
        name: field.default for name, field in Event.model_fields.items() if not field.is_required() and name != drop
    }
    for name, field in fields.items():
        annotation, *default = field if isinstance(field, tuple) else (field,)
        annotations[name] = annotation
        defaults.pop(name, None)
        if default:
            defaults[name] = default[0]
    new = type("Event", (BaseModel,), {"__annotations__": annotations, "__module__": __name__, **defaults})
    return incompatibilities(schema_of("t.Event.v1", Event), schema_of("t.Event.v1", new))


def test_the_same_model_is_compatible() -> None:
    assert changed() == []


def test_a_new_optional_field_is_compatible() -> None:
    assert changed(extra=(str | None, None)) == []
    assert changed(extra=(int, 7)) == []


def test_a_new_optional_field_deep_inside_is_compatible() -> None:
    class More(Inner):
        version: int = 1

    assert changed(hooks=tuple[More, ...]) == []


class LessInside(BaseModel):
    address: str = ""


class OtherInside(BaseModel):
    url: int


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"drop": "note"}, ["note: removed"]),
        ({"drop": "id"}, ["id: removed"]),
        ({"drop": "description"}, ["description: removed"]),
        ({"extra": str}, ["extra: new and required; a new field needs a default"]),
        ({"id": int}, ["id: type was 'string', is now 'integer'"]),
        ({"note": (int | None, None)}, ["note: type was 'string', is now 'integer'"]),
        ({"count": int}, ["count: was optional, is now required", "count: default was 0, is now not set"]),
        ({"id": (str, "x")}, ["id: was required, is now optional", "id: default was not set, is now 'x'"]),
        ({"count": (int, 1)}, ["count: default was 0, is now 1"]),
        ({"colour": MoreColours}, ["colour: enum gained 'green'"]),
        ({"encoding": (Literal["utf-8"], "utf-8")}, ["encoding: const was not set, is now 'utf-8'", "encoding: enum was"]),
        ({"encoding": (Literal["utf-8", "hex"], "utf-8")}, ["encoding: enum lost 'base64'", "encoding: enum gained 'hex'"]),
        ({"size": Annotated[int, Field(ge=1)]}, ["size: minimum was 0, is now 1"]),
        ({"size": int}, ["size: minimum was 0, is now not set"]),
        ({"note": (str, "")}, ["note: anyOf was", "note: default was None, is now ''", "note: type was not set, is now 'string'"]),
        ({"headers": (dict[str, int], {})}, ["headers[]: type was 'string', is now 'integer'"]),
        ({"hooks": tuple[LessInside, ...]}, ["hooks[].url: removed"]),
        ({"hooks": tuple[OtherInside, ...]}, ["hooks[].url: type was 'string', is now 'integer'"]),
        ({"hooks": Inner}, ["hooks.url: new and required", "hooks: items was", "hooks: type was 'array', is now 'object'"]),
    ],
    ids=lambda value: "; ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_anything_else_needs_a_new_version(fields: dict[str, object], said: list[str]) -> None:
    got = changed(**fields)  # type: ignore[arg-type]  # `drop` is a str in each case

    assert len(got) == len(said), got
    for sentence, begins in zip(got, said, strict=True):
        assert sentence.startswith(begins)


def test_words_for_people_are_not_compared() -> None:
    class Described(BaseModel):
        """Other words."""

        id: str = Field(description="and here")

    class Bare(BaseModel):
        id: str

    old, new = schema_of("t.Event.v1", Bare), schema_of("t.Event.v1", Described)
    assert old != new
    assert same_shape(old, new)
    assert incompatibilities(old, new) == []


def test_shapes_differ_where_a_validator_would_notice() -> None:
    class One(BaseModel):
        id: str

    class Other(BaseModel):
        id: str
        note: str | None = None

    assert not same_shape(schema_of("t", One), schema_of("t", Other))
