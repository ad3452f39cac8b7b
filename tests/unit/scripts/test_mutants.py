"""The list of `scripts/mutants` fits the code: each pattern stands in its file once, each edit compiles, each test is there.

Whether the tests notice what is broken, only `scripts/mutants` shows: that takes minutes.
"""

from pathlib import Path

import pytest

from tests.mutants.__main__ import DoesNotFit, broken
from tests.mutants.rules import RULES, Edit, Rule

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.broken)
def test_a_rule_can_be_broken(rule: Rule) -> None:
    texts: dict[str, str] = {}
    for edit in rule.edits:
        text = texts.get(edit.file) or (ROOT / edit.file).read_text()
        texts[edit.file] = broken(text, edit)
    for file, text in texts.items():
        compile(text, file, "exec")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.broken)
def test_its_tests_are_there(rule: Rule) -> None:
    assert rule.tests
    for test in rule.tests:
        file, _, name = test.partition("::")
        text = (ROOT / file).read_text()
        assert f"def {name.partition('[')[0]}(" in text if name else "def test_" in text


def test_names_are_unique() -> None:
    assert len({rule.broken for rule in RULES}) == len(RULES)


@pytest.mark.parametrize("old", ["not there", "RULES"])
def test_a_pattern_that_does_not_stand_there_once_is_said(old: str) -> None:
    with pytest.raises(DoesNotFit, match=r"rules\.py has \d+ times"):
        broken((ROOT / "tests/mutants/rules.py").read_text(), Edit("tests/mutants/rules.py", old, ""))
