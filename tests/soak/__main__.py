"""`python -m tests.soak`: see docs/soak.md."""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from tests.soak.fault_plan import KINDS, ONLY_WITH, Kind, kinds_of
from tests.soak.plan import make_plan
from tests.soak.run import run_soak

EXAMPLES = """examples:
  scripts/soak --minutes 3 --seed 1
  scripts/soak --minutes 60 --seed 7 --brokers 3 --json soak.json
  scripts/soak --minutes 5 --seed 4 --brokers 3 --faults stop-leader kill-controller

faults (of each that is made the table says how often; a kind that is planned and not made is a finding):
"""


def main() -> int:
    parser = argparse.ArgumentParser(
        "scripts/soak",
        description="Loads the whole system, breaks it by a plan drawn from a seed, and judges what became of every push.",
        epilog=EXAMPLES + "\n".join(f"  {kind:<16} {words}{_only(kind)}" for kind, words in KINDS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=_minutes, required=True, help="how long pushes and faults come")
    parser.add_argument("--seed", type=int, required=True, help="the same seed gives the same load and faults")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    parser.add_argument("--brokers", type=int, choices=(1, 3), default=1)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--faults", nargs="+", choices=KINDS, metavar="KIND", help="these alone; without it: all below")
    which.add_argument("--no-faults", action="store_true", help="the load alone")
    parser.add_argument("--data", type=Path, metavar="DIR", help="keep logs and the brokers' data there")
    parser.add_argument("--may-mount", action="store_true", help=argparse.SUPPRESS)  # said by scripts/soak
    given = parser.parse_args()

    kinds = () if given.no_faults else tuple(given.faults or kinds_of(given.brokers))
    if strangers := [kind for kind in kinds if kind not in kinds_of(given.brokers)]:
        parser.error(f"not with {given.brokers} broker(s): {', '.join(strangers)}")
    began = time.monotonic()

    def say(what: str) -> None:
        print(f"{time.monotonic() - began:6.1f} s  {what}", flush=True)

    plan = make_plan(given.seed, given.minutes * 60, given.brokers, kinds=kinds)
    say(f"seed {plan.seed}: {len(plan.pipelines)} pipelines, {len(plan.faults)} faults")
    with tempfile.TemporaryDirectory(prefix="hookline-soak-") as temporary:
        folder = given.data or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        report = asyncio.run(run_soak(plan, folder, say, may_mount=given.may_mount))
    report.show()
    if given.json:
        report.write(given.json)
    return 1 if report.findings else 0


def _only(kind: Kind) -> str:
    return f" (--brokers {ONLY_WITH[kind]})" if kind in ONLY_WITH else ""


def _minutes(text: str) -> float:
    minutes = float(text)
    if minutes <= 0:
        raise argparse.ArgumentTypeError("more than 0, please")
    return minutes


if __name__ == "__main__":
    sys.exit(main())
