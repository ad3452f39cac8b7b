"""docs/settings.md against hookline.settings: every setting, its type and its default."""

import re
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Literal, Union, get_args, get_origin

import annotated_types
import pytest
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from hookline.settings import IPNetwork, Settings

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "settings.md").read_text()
ROWS = {
    name: (kind, default, meaning)
    for name, kind, default, meaning in re.findall(r"^\| `(HOOKLINE_\w+)` \| (.*?) \| ?(.*?) ?\| (.+) \|$", PAGE, re.M)
}
FIELDS = {f"HOOKLINE_{name.upper()}": field for name, field in Settings.model_fields.items()}


def kind_in_words(field: FieldInfo) -> str:
    annotation = field.annotation
    bounds = [annotated_types.Ge, annotated_types.Le]
    low, high = (next((m for m in field.metadata if isinstance(m, kind)), None) for kind in bounds)
    if get_origin(annotation) in (Union, UnionType) and annotation != IPNetwork:
        (annotation,) = (part for part in get_args(annotation) if part is not NoneType)
    if get_origin(annotation) is tuple:
        of = get_args(annotation)[0]
        if get_origin(of) is Annotated:
            return "list of ports"
        return {str: "list", SecretStr: "list of secrets", IPNetwork: "list of networks"}[of]
    if get_origin(annotation) is Literal:
        words = [f"`{word}`" for word in get_args(annotation) if word]
        return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
    if annotation is int:
        if (low, high) == (annotated_types.Ge(1), annotated_types.Le(65535)):
            return "port"
        if high is not None:
            assert isinstance(high, annotated_types.Le)
            assert isinstance(low, annotated_types.Ge)
            return f"integer, {low.ge} to {high.le}"
        return f"integer, from {low.ge}" if isinstance(low, annotated_types.Ge) else "integer"
    return {str: "text", SecretStr: "secret", Path: "folder", bool: "true or false"}[annotation]  # type: ignore[index]  # a new kind: add its word


def default_in_words(field: FieldInfo) -> str:
    default = field.default
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    if isinstance(default, bool):
        return str(default).lower()
    return "" if default in (None, ()) else str(default)


def test_the_table_has_every_setting_in_order() -> None:
    assert [name for name in ROWS if name in FIELDS] == list(FIELDS)


@pytest.mark.parametrize("name", FIELDS)
def test_a_row_says_type_and_default(name: str) -> None:
    kind, default, meaning = ROWS[name]

    assert kind == kind_in_words(FIELDS[name])
    assert default == default_in_words(FIELDS[name])
    assert meaning


def test_every_variable_that_the_code_names_is_on_the_page() -> None:
    named = {
        name
        for folder in ("hookline", "services", "deploy", "scripts", ".ci")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
        for name in re.findall(r"\bHOOKLINE_[A-Z_]*[A-Z]\b", path.read_text(errors="replace"))
    }

    assert named
    assert sorted(name for name in named if f"`{name}`" not in PAGE) == []


def test_no_row_is_left_of_a_setting_that_is_gone() -> None:
    code = "".join(path.read_text() for path in (ROOT / "hookline").rglob("*.py"))
    others = set(re.findall(r"^\| `(HOOKLINE_\w+)`", PAGE, re.M)) - FIELDS.keys()

    assert sorted(name for name in others if name not in code) == []
