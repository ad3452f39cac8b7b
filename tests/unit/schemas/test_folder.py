"""The folder of schemas and their history: what is written, and what the check says to each way of going wrong."""

from pathlib import Path

import pytest
from pydantic import BaseModel

from hookline.schemas import folder
from hookline.schemas.models import Schema, schema_of, to_text

TYPE = "hookline.Event.v1"


class First(BaseModel):
    id: str


class Second(First):
    note: str | None = None


class Broken(BaseModel):
    id: int


def schemas(model: type[BaseModel]) -> dict[str, Schema]:
    return {TYPE: schema_of(TYPE, model)}


@pytest.fixture
def written(tmp_path: Path) -> Path:
    folder.write(tmp_path, schemas(First))
    return tmp_path


def names(path: Path) -> set[str]:
    return {file.relative_to(path).as_posix() for file in path.rglob("*.json")}


def test_a_new_type_is_written_with_its_first_shape(written: Path) -> None:
    assert names(written) == {f"{TYPE}.json", f"history/{TYPE}/1.json"}
    assert folder.check(written, schemas(First)) == []


def test_nothing_is_written_twice(written: Path) -> None:
    assert folder.write(written, schemas(First)) == []


def test_a_compatible_change_adds_a_shape_and_keeps_the_first(written: Path) -> None:
    folder.write(written, schemas(Second))

    assert names(written) == {f"{TYPE}.json", f"history/{TYPE}/1.json", f"history/{TYPE}/2.json"}
    assert (written / "history" / TYPE / "1.json").read_text() == to_text(schema_of(TYPE, First))
    assert folder.check(written, schemas(Second)) == []


def test_a_model_that_changed_is_noticed_before_it_is_written(written: Path) -> None:
    said = folder.check(written, schemas(Second))

    assert [sentence.split(";")[0] for sentence in said] == [
        f"{TYPE}: {TYPE}.json is not as the model is",
        f"{TYPE}: its present shape is not in history/{TYPE}/",
    ]
    assert all("run scripts/schemas" in sentence for sentence in said)


def test_other_words_change_the_schema_but_add_no_shape(written: Path) -> None:
    class Described(First):
        """Other words."""

    assert [path.name for path in folder.write(written, schemas(Described))] == [f"{TYPE}.json"]


def test_an_incompatible_change_is_named_with_the_shape_it_breaks(written: Path) -> None:
    (said,) = folder.conflicts(written, schemas(Broken))

    assert said.startswith(
        f"{TYPE}: not compatible with history/{TYPE}/1.json: id: type was 'string', is now 'integer'."
    )
    assert "next version" in said


def test_every_earlier_shape_counts_not_only_the_last(written: Path) -> None:
    folder.write(written, schemas(Second))

    (said,) = folder.conflicts(written, schemas(First))

    assert said.startswith(f"{TYPE}: not compatible with history/{TYPE}/2.json: note: removed")


def test_a_published_type_without_a_model_is_noticed(written: Path) -> None:
    (said,) = folder.conflicts(written, {})

    assert said.startswith(f"{TYPE}: has a schema and no model")


def test_a_lost_shape_is_noticed(written: Path) -> None:
    folder.write(written, schemas(Second))
    (written / "history" / TYPE / "1.json").unlink()

    (said,) = folder.conflicts(written, schemas(Second))

    assert said.startswith(f"{TYPE}: history/{TYPE}/1.json is lost")
