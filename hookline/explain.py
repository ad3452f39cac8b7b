"""What a model found wrong with its input, in words that never quote the input: it may hold a secret (I11)."""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from pydantic import ValidationError

__all__ = ["Fault", "Where", "dotted", "explain", "faults_of"]

Where: TypeAlias = tuple[int | str, ...]
"""The way to a value: fields, and places in lists."""


class Fault(NamedTuple):
    """One thing that is wrong. `kind`: pydantic's word for it, such as `missing`."""

    where: Where
    kind: str
    said: str


def faults_of(error: ValidationError) -> list[Fault]:
    """All of them, in the order of the model's fields."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return [Fault(one["loc"], one["type"], one["msg"]) for one in found]


def dotted(where: Where) -> str:
    """`plans.0.name`; "" for the whole."""
    return ".".join(map(str, where))


def explain(error: ValidationError, *, most: int | None = None, name: Callable[[Where], str] = dotted) -> str:
    """The first `most` of them in one line: `plans.0.name: Field required; ...`."""
    return "; ".join(f"{name(fault.where)}: {fault.said}" for fault in faults_of(error)[:most])
