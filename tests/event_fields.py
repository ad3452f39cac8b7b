"""Every field of every event that holds text, found in the models: for tests that put something into each of them."""

from collections.abc import Iterator, Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, TypeAlias, Union, get_args, get_origin

from pydantic import BaseModel

from hookline.chain.events import Event, Payload

__all__ = ["Path", "text_paths", "with_value"]

Path: TypeAlias = tuple[str | int, ...]
"""To a value in an event's JSON."""

IN_PAYLOAD: Path = ("repository", "repo_name")
IN_HEADERS: Path = ("x-header",)
LEFT_OUT: Mapping[str, Mapping[str, object]] = {"before": {"key": "k1", "version": 1, "until": 1}}
"""Parts that an event may do without, as they are put into one that has none."""


def text_paths(model: type[BaseModel]) -> Iterator[Path]:
    """Literals and enumerations are no text."""
    for name, field in model.model_fields.items():
        for path in _of_type(field.annotation):
            yield (name, *path)


def _of_type(kind: Any) -> Iterator[Path]:
    if kind == Payload:
        yield IN_PAYLOAD
        return
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        yield from _of_type(inner[0])
    elif origin in (Union, UnionType):
        for one in inner:
            if one is not NoneType:
                yield from _of_type(one)
    elif origin is tuple:
        for path in _of_type(inner[0]):
            yield (0, *path)
    elif origin is dict:
        yield IN_HEADERS
    elif kind is str:
        yield ()
    elif isinstance(kind, type) and issubclass(kind, BaseModel):
        yield from text_paths(kind)


def with_value(event: Event, path: Path, value: object) -> Event:
    """The event with that value there; what leads to it must be there."""
    fields = event.model_dump(mode="json")
    at: Any = fields
    for part in path[:-1]:
        if isinstance(at, dict) and at.get(part) is None:
            at[part] = dict(LEFT_OUT.get(str(part), {}))
        at = at[part]
    if isinstance(at, list) and not at:
        at.append(value)
    else:
        at[path[-1]] = value
    return type(event).model_validate(fields)
