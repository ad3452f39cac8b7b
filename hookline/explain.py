"""What a model found wrong with its input, in words that never quote the input: it may hold a secret (I11)."""

from typing import NamedTuple

from pydantic import ValidationError

__all__ = ["Fault", "explain", "faults_of"]


class Fault(NamedTuple):
    """One thing that is wrong. `where`: the way to it, by fields and places in lists; `kind`: pydantic's word for it."""

    where: tuple[int | str, ...]
    kind: str
    said: str

    def __str__(self) -> str:
        return f"{'.'.join(map(str, self.where))}: {self.said}"


def faults_of(error: ValidationError) -> list[Fault]:
    """All of them, in the order of the model's fields."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return [Fault(one["loc"], one["type"], one["msg"]) for one in found]


def explain(error: ValidationError, most: int = 3) -> str:
    """The first of them in one line: `plans.0.name: Field required; ...`."""
    return "; ".join(map(str, faults_of(error)[:most]))
