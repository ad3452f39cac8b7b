"""The closing table of `scripts/test`: its total is what CI reads, so a part that dies must never look green."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
REPORT = ROOT / "scripts" / "report.py"


def part(folder: Path, name: str, cases: str = "", *, code: int = 0, seconds: float = 1.5) -> None:
    xml = f'<testsuites><testsuite name="pytest" time="{seconds}">{cases}</testsuite></testsuites>'
    (folder / f"{name}.xml").write_text(xml)
    (folder / f"{name}.code").write_text(f"{code}\n")


def report(folder: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, REPORT, folder], capture_output=True, text=True, timeout=30, check=False)


PASSED = "<testcase/>"
FAILED = '<testcase><failure message="no"/></testcase>'
BROKEN = '<testcase><error message="no"/></testcase>'


def skipped(reason: str) -> str:
    return f'<testcase><skipped type="pytest.skip" message="{reason}"/></testcase>'


def test_counts_seconds_and_total(tmp_path: Path) -> None:
    part(tmp_path, "unit", PASSED * 3, seconds=12.34)
    part(tmp_path, "contract", PASSED + skipped("no Docker engine answers") * 2)

    said = report(tmp_path)

    assert said.returncode == 0
    lines = said.stdout.splitlines()
    assert ["unit", "12.3", "3", "0", "0"] in [line.split() for line in lines]
    assert ["contract", "1.5", "1", "0", "2"] in [line.split() for line in lines]
    assert lines[-1] == "4 passed, 0 failed, 2 skipped"


def test_what_was_left_out_is_said_with_its_reason(tmp_path: Path) -> None:
    part(tmp_path, "contract", PASSED + skipped("no Docker engine answers") * 2)

    assert "  contract: no Docker engine answers (2)" in report(tmp_path).stdout.splitlines()


@pytest.mark.parametrize("cases", [FAILED, BROKEN])
def test_a_failure_or_an_error_fails(tmp_path: Path, cases: str) -> None:
    part(tmp_path, "unit", PASSED + cases, code=1)

    said = report(tmp_path)

    assert said.returncode == 1
    assert said.stdout.endswith("1 passed, 1 failed, 0 skipped\n")


def test_a_part_that_died_counts_as_failed(tmp_path: Path) -> None:
    part(tmp_path, "unit", PASSED)
    (tmp_path / "integration.code").write_text("137\n")

    said = report(tmp_path)

    assert said.returncode == 1
    assert "pytest ended with 137" in said.stdout
    assert said.stdout.endswith("1 passed, 1 failed, 0 skipped\n")


def test_a_part_where_the_choice_fits_nothing_is_no_failure(tmp_path: Path) -> None:
    part(tmp_path, "unit", PASSED)
    part(tmp_path, "contract", code=5)

    assert report(tmp_path).returncode == 0


def test_no_test_at_all_fails(tmp_path: Path) -> None:
    part(tmp_path, "unit", code=5)

    said = report(tmp_path)

    assert said.returncode == 1
    assert "no test ran" in said.stderr
