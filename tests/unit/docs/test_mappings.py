"""docs/mappings.md: each of its mappings is read as it stands there, and makes of the body beside it what the page shows."""

import re
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hookline.cli.main import app
from hookline.settings import Settings
from hookline.testing.manual_clock import ManualClock
from services.ingress.mapping import FIELDS
from services.ingress.mapping_file import CREDENTIALS, DEFAULT_REGISTRY, read_mappings

PAGE = (Path(__file__).parents[3] / "docs" / "mappings.md").read_text()
BLOCK = r"```%s\n((?:(?!```).)*)```\n"
SHOWN = {
    name: (toml, body, output)
    for toml, body, name, output in re.findall(
        BLOCK % "toml"
        + r"\n"
        + BLOCK % "json"
        + r"\n```console\n\$ hookline sources test generic/([a-z]+) < body.json\n(.*?)```",
        PAGE,
        re.S,
    )
}
PRODUCERS = {"cloudsmith", "ocir", "alibaba", "tencent", "proget", "buildkite", "keel", "diun", "watchtower"}
PRELIMINARY = {"ci", "batch"}
"""Of the chapters before, without a body."""


def tried(tmp_path: Path, name: str, toml: str, body: str, *more: str) -> tuple[int, str]:
    (tmp_path / "mappings.toml").write_text(toml)
    environment = {"HOOKLINE_GENERIC_FILE": str(tmp_path / "mappings.toml"), "TERM": "dumb", "COLUMNS": "200"}
    arguments = ["sources", "test", f"generic/{name}", "--data", str(tmp_path), *more]
    result = CliRunner().invoke(app, arguments, input=body.encode(), env=environment)
    return result.exit_code, result.output


def test_every_producer_that_the_page_names_has_a_body() -> None:
    assert set(SHOWN) == PRODUCERS
    tables = re.findall(r"^\[([a-z]+)\]$", PAGE, re.M)
    assert set(tables) == PRODUCERS | PRELIMINARY
    assert len(tables) == len(set(tables))


@pytest.mark.parametrize("name", sorted(PRODUCERS))
def test_what_comes_out_is_what_the_page_shows(name: str, tmp_path: Path) -> None:
    toml, body, output = SHOWN[name]
    code, said = tried(tmp_path, name, toml, body)
    assert (code, "\n".join(line.rstrip() for line in said.splitlines())) == (0, output.rstrip())
    assert said.startswith("push"), "it shows one that starts something"


def test_all_of_them_are_one_good_file(tmp_path: Path) -> None:
    blocks = [block for block in re.findall(r"```toml\n(.*?)```", PAGE, re.S) if block.startswith("[")]
    (tmp_path / "all.toml").write_text("\n".join(blocks))
    found = read_mappings(str(tmp_path / "all.toml"), ManualClock())
    assert {mapping.name for mapping in found} == PRODUCERS | PRELIMINARY


def test_the_page_has_every_key_of_a_mapping() -> None:
    rows = re.findall(r"^\| `([a-z_]+)` \|", PAGE, re.M)
    assert rows == ["image", "repository", *[field for field in FIELDS if field not in ("image", "repository")]]
    for key in (DEFAULT_REGISTRY, *CREDENTIALS):
        assert f"`{key}" in PAGE or f"\n{key} = " in PAGE


def test_a_signature_of_the_page_is_a_table_as_it_must_be() -> None:
    (row,) = re.findall(r"^\| `(signature = .*?)` \|", PAGE, re.M)
    assert set(tomllib.loads(row)["signature"]) == {"header", "prefix", "algorithm", "encoding"}


def test_settings_that_it_names_exist() -> None:
    known = {f"HOOKLINE_{name.upper()}" for name in Settings.model_fields}
    assert set(re.findall(r"\bHOOKLINE_[A-Z_]*[A-Z]\b", PAGE)) <= known
