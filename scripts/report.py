"""The table that closes `scripts/test`: seconds and counts of each part, what was left out and why, and the total.

Reads a folder with `<part>.xml` (pytest's JUnit report) and `<part>.code` (its exit code). Standard library only.
"""

import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

NO_TESTS = 5
"""pytest's exit code when it found nothing to run, as with a `-k` that fits nowhere."""


@dataclass
class Part:
    """One part of the tests. `skips`: reasons, with how often."""

    name: str
    seconds: float = 0.0
    passed: int = 0
    failed: int = 0
    skips: Counter[str] = field(default_factory=Counter)
    broke_off: str = ""

    @property
    def skipped(self) -> int:
        return self.skips.total()


def read(folder: Path) -> list[Part]:
    """The parts in the order in which they ended."""
    codes = sorted(folder.glob("*.code"), key=lambda path: path.stat().st_mtime_ns)
    return [_part(path.stem, path.with_suffix(".xml"), int(path.read_text())) for path in codes]


def _part(name: str, report: Path, code: int) -> Part:
    part = Part(name)
    if report.exists():
        for suite in ElementTree.parse(report).getroot().iter("testsuite"):
            part.seconds += float(suite.get("time", 0))
        for case in ElementTree.parse(report).getroot().iter("testcase"):
            skip = case.find("skipped")
            if case.find("failure") is not None or case.find("error") is not None:
                part.failed += 1
            elif skip is not None:
                part.skips[skip.get("message", "")] += 1
            else:
                part.passed += 1
    if code not in (0, NO_TESTS) and not part.failed:
        # It was killed, or could not even begin: that is a failure that no test case stands for.
        part.failed, part.broke_off = 1, f"pytest ended with {code}"
    return part


def table(parts: list[Part]) -> str:
    """As it is printed; the last line is the total, alone."""
    lines = ["", f"{'part':<14}{'seconds':>9}{'passed':>9}{'failed':>9}{'skipped':>9}"]
    for part in parts:
        counts = f"{part.passed:>9}{part.failed:>9}{part.skipped:>9}"
        lines.append(f"{part.name:<14}{part.seconds:>9.1f}{counts}  {part.broke_off}".rstrip())
    reasons = [(part.name, reason, count) for part in parts for reason, count in part.skips.most_common()]
    if reasons:
        lines += ["", "left out:", *(f"  {name}: {reason} ({count})" for name, reason, count in reasons)]
    passed, failed, skipped = (sum(getattr(p, what) for p in parts) for what in ("passed", "failed", "skipped"))
    return "\n".join([*lines, "", f"{passed} passed, {failed} failed, {skipped} skipped"])


def main() -> int:
    parts = read(Path(sys.argv[1]))
    print(table(parts))
    if not any(part.passed or part.failed for part in parts):
        print("no test ran", file=sys.stderr)
        return 1
    return 1 if any(part.failed for part in parts) else 0


if __name__ == "__main__":
    sys.exit(main())
