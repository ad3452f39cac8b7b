"""What a model finds wrong is said with its place, and without what was given."""

import pytest
from pydantic import BaseModel, Field, ValidationError

from hookline.explain import Fault, explain, faults_of


class Inner(BaseModel):
    count: int


class Outer(BaseModel):
    inner: tuple[Inner, ...]
    secret: str = Field(min_length=8)


def refused(**given: object) -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(given)
    return caught.value


def test_each_fault_with_its_place() -> None:
    assert faults_of(refused(inner=[{"count": 1}, {}])) == [
        Fault(("inner", 1, "count"), "missing", "Field required"),
        Fault(("secret",), "missing", "Field required"),
    ]


def test_what_was_given_is_never_said() -> None:
    error = refused(inner=[{"count": "hunter2"}, {}], secret="hunter2")
    said = explain(error)
    assert "hunter2" not in said
    assert said.startswith("inner.0.count: Input should be a valid integer")
    assert said.count(";") == 2
    assert explain(error, most=1) == said.split("; ")[0]
