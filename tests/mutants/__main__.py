"""`scripts/mutants [WORD...]`: breaks one rule at a time in a copy of the tree and shows that its tests fail.

Exit code 1 if the tests pass over a broken rule, if a pattern no longer fits the code, or if the tests fail already
over a copy in which nothing is broken. Words choose the rules in whose names they stand.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.mutants.rules import RULES, Edit, Rule

ROOT = Path(__file__).parents[2]
LEFT_OUT = (".venv", ".git", ".*_cache", ".hypothesis", "__pycache__", "hookline-data", "node_modules")
FAILED = 1
"""pytest's exit code for failed tests; every other but 0 says that they could not be run."""
DEADLINE_S = 300


class DoesNotFit(Exception):
    """A pattern of the list is not in its file exactly once."""


def broken(text: str, edit: Edit) -> str:
    """The file with that edit. Raises DoesNotFit."""
    if (times := text.count(edit.old)) != 1:
        raise DoesNotFit(f"{edit.file} has {times} times: {edit.old.strip()[:60]}")
    return text.replace(edit.old, edit.new)


def run_tests(tree: Path, tests: Sequence[str], *options: str) -> tuple[int, str]:
    """Exit code of pytest in that tree, and which test failed first (or its last words)."""
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "HYPOTHESIS_PROFILE": "unshrunk"}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--tb=no",
        "--no-header",
        "-p",
        "no:cacheprovider",
        *options,
        *tests,
    ]
    try:
        ran = subprocess.run(
            command, cwd=tree, env=environment, capture_output=True, text=True, timeout=DEADLINE_S, check=False
        )
    except subprocess.TimeoutExpired:
        return FAILED, f"not within {DEADLINE_S} s"
    lines = ran.stdout.strip().splitlines()
    failed = [line.partition("::")[2].partition(" - ")[0] for line in lines if line.startswith("FAILED")]
    return ran.returncode, (failed or lines[-1:] or ran.stderr.strip().splitlines()[-1:] or ["it said nothing"])[0]


def judge(tree: Path, rule: Rule) -> tuple[bool, str]:
    """Break that rule in the tree, run its tests, mend it: did they notice, and which one?"""
    files = {edit.file: (tree / edit.file).read_text() for edit in rule.edits}
    texts = dict(files)
    try:
        for edit in rule.edits:
            texts[edit.file] = broken(texts[edit.file], edit)
        for file, text in texts.items():
            compile(text, file, "exec")
            (tree / file).write_text(text)
        code, said = run_tests(tree, rule.tests, "-x")
    except (DoesNotFit, SyntaxError) as error:
        return False, f"the list does not fit the code: {error}"
    finally:
        for file, text in files.items():
            (tree / file).write_text(text)
    if code == 0:
        return False, "SURVIVED: every test passes"
    return code == FAILED, said if code == FAILED else f"its tests could not be run: {said}"


def main(words: Sequence[str]) -> int:
    rules = [rule for rule in RULES if not words or any(word in rule.broken for word in words)]
    if not rules:
        print(f"mutants: no rule has any of {' '.join(words)} in its name", file=sys.stderr)
        return 2
    console, began = Console(width=150), time.monotonic()
    table = Table("rule that is broken", "noticed", "by", "s")
    with tempfile.TemporaryDirectory(prefix="hookline-mutants-") as folder:
        tree = Path(folder) / "tree"
        shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(*LEFT_OUT))
        code, said = run_tests(tree, sorted({test for rule in rules for test in rule.tests}))
        if code:
            print(f"mutants: with nothing broken the tests fail already: {said}", file=sys.stderr)
            return 1
        survivors = 0
        for rule in rules:
            started = time.monotonic()
            noticed, by = judge(tree, rule)
            survivors += not noticed
            table.add_row(rule.broken, "yes" if noticed else "[bold red]NO[/]", by, f"{time.monotonic() - started:.1f}")
            console.print(f"{'killed  ' if noticed else 'SURVIVED'} {rule.broken}", highlight=False, soft_wrap=True)
    console.print(table)
    console.print(f"{len(rules)} rules broken, {len(rules) - survivors} noticed, in {time.monotonic() - began:.0f} s")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
