"""docs/rules.md is made from the list of mutants, and has all of them."""

import re

from scripts.rules import LIST, PAGE, page, sections
from tests.mutants.rules import RULES


def test_the_page_is_that_of_the_list() -> None:
    assert PAGE.read_text() == page(), "run .venv/bin/python -m scripts.rules: a rule was added or changed"


def test_every_rule_has_a_line_and_every_section_its_title() -> None:
    assert page().count("\n| ") == len(RULES) + len(sections())
    assert list(sections().values()) == re.findall(r"^    # ---- (.+)$", LIST.read_text(), re.M)
