"""docs/design.md: each rule names its code and its test, and the table of events has the fields of the models."""

import re
from collections.abc import Iterator
from pathlib import Path
from types import NoneType
from typing import get_args

import pytest
from pydantic import BaseModel

from hookline.chain.events import EVENTS

PAGE = (Path(__file__).parents[3] / "docs" / "design.md").read_text()
MODELS = {model.__name__: model for model in EVENTS.values()}


def section(number: int) -> str:
    return PAGE.partition(f"\n## {number}. ")[2].partition("\n## ")[0]


def rules() -> Iterator[tuple[str, str]]:
    """Name and text of each thing that the design rules: it has to say where it lives and what holds it."""
    for number in range(1, 9):
        start = section(4).index(f"\n{number}. ")
        yield f"section 4, rule {number}", re.split(r"\n\n|\n\d\. ", section(4)[start + 1 :])[0]
    for part in (3, 4):
        for block in section(part).replace("\n\n*Code:", "\n*Code:").split("\n\n"):
            if block.startswith(("* ", "**")) and (lead := re.match(r"\**([\w ]+)", block)):
                yield f"section {part}, {lead[1].strip() or block[:40]}", block
    for part in section(6).split("### ")[1:]:
        yield f"section 6, {part.splitlines()[0][:30]}", part


def bullets() -> Iterator[str]:
    yield from re.split(r"^\* ", section(3).partition("\n* ")[2].partition("\n\n")[0], flags=re.M)


def fields_of(cell: str) -> dict[str, bool]:
    """Name to "may be null", of one row; what stands in brackets says more about a field and is left out."""
    while (shorter := re.sub(r"\([^()]*\)|\[[^\[\]{}]*\]|\{[^{}]*\}", "", cell)) != cell:
        cell = shorter
    names = (word.strip() for word in cell.split(","))
    return {name.rstrip("?"): name.endswith("?") for name in names if name}


def fields_of_model(model: type[BaseModel]) -> dict[str, bool]:
    return {name: NoneType in get_args(field.annotation) for name, field in model.model_fields.items()}


ROWS = {
    name.strip(): fields_of(cell)
    for names, cell in re.findall(r"^\| ((?:\w+, )*\w+) \| (.+) \|$", section(2).partition("| event |")[2], re.M)
    for name in names.split(",")
}


@pytest.mark.parametrize(("name", "text"), [*rules()], ids=lambda value: value if len(value) < 60 else "")
def test_a_rule_names_its_code_and_its_test(name: str, text: str) -> None:
    assert "*Code:* `" in text, name
    assert "*Test:* `" in text, name


def test_so_does_each_rule_of_the_chain() -> None:
    assert len(list(bullets())) > 7
    assert [bullet.splitlines()[0] for bullet in bullets() if "*Code:*" not in bullet or "*Test:*" not in bullet] == []


def test_so_does_each_invariant() -> None:
    rows = re.findall(r"^\| (I\d+) \| .+ \| (.+) \| (.+) \|$", section(5), re.M)
    assert [name for name, _, _ in rows] == [f"I{number}" for number in range(1, 15)]
    assert [name for name, code, test in rows if "/" not in code or "`tests/" not in test] == []


def test_the_table_has_every_event() -> None:
    assert sorted(ROWS) == sorted(MODELS)


@pytest.mark.parametrize("name", MODELS)
def test_a_row_has_the_fields_of_its_model(name: str) -> None:
    assert ROWS[name] == fields_of_model(MODELS[name])
