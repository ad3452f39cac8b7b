"""docs/registries.md against the sources: each has its row and its section, with the very lines that `hookline sources` prints."""

import re
from pathlib import Path

import pytest

from hookline.settings import Settings
from services.ingress.sources import discover

PAGE = (Path(__file__).parents[3] / "docs" / "registries.md").read_text()
SECTIONS = dict(re.findall(r"^### (\w+)\n(.*?)(?=^### |\Z)", PAGE, re.M | re.S))
ROWS = dict(re.findall(r"^\| .+? \| \[`(\w+)`\]\(#\w+\) \| (.*) \|$", PAGE, re.M))


def test_the_page_has_every_source_and_no_other() -> None:
    assert set(SECTIONS) == set(ROWS) == set(discover())


@pytest.mark.parametrize("name", discover())
def test_a_section_has_what_is_to_be_pasted(name: str) -> None:
    source = discover()[name]
    url = f"https://hooks.example.com/events/{name}"
    assert source.setup.format(url=url, token="TOKEN", secret="SECRET") in SECTIONS[name]
    assert f"**{source.title}**" in SECTIONS[name]
    assert ("(preview)" in SECTIONS[name]) == source.preview


@pytest.mark.parametrize("name", discover())
def test_a_row_says_how_a_producer_proves_itself(name: str) -> None:
    source, proof = discover()[name], ROWS[name].partition(" | ")[0]
    kinds = " ".join(check.name for check in source.checks)
    assert ("token" in proof) == source.takes_tokens
    assert ("HMAC-SHA256" in proof) == ("hmac-sha256" in kinds)
    assert ("HMAC-SHA1" in proof) == ("hmac-sha1" in kinds)
    assert ("JWT" in proof) == source.takes_issuers
    if not source.takes_tokens:
        assert f'{name} = ["SECRET"]' in SECTIONS[name]


def test_settings_that_it_names_exist() -> None:
    known = {f"HOOKLINE_{name.upper()}" for name in Settings.model_fields}
    assert set(re.findall(r"\bHOOKLINE_[A-Z_]*[A-Z]\b", PAGE)) <= known
