"""`scripts/bench`: see docs/performance.md."""

import argparse
import asyncio
import gc
import json
import logging
import os
import platform
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, TypeAlias

import uvloop
from rich.console import Console

from bench import chains, closed, harness, idle, neighbours, outage, restore, scale
from bench import open as open_loop
from bench.amounts import FULL, MILLION, QUICK, Amounts
from bench.failure import BenchFailed
from bench.figures import Figures, nested
from bench.systems import System, design_system, floor_system, hookline_system
from bench.table import show
from bench.targets import missing
from hookline.errors import HooklineError

EXAMPLES = """examples:
  scripts/bench                                  all of it
  scripts/bench --only open,closed --json b.json
  scripts/bench --quick                          a few seconds each: does it run?
  scripts/bench --only restore --million         one more size: a million open chains

parts: %s"""

WIDTH = 110
LIMIT_S = 900.0
MILLION_LIMIT_S = 3600.0


Say: TypeAlias = Callable[[str], None]


class Part(NamedTuple):
    """`floor`: what the floor has of it, None for nothing."""

    hookline: Callable[[Amounts, Say], Awaitable[Figures]]
    floor: Callable[[Amounts], Awaitable[Figures]] | None = None


def of_both(measure: Callable[[Amounts, System], Awaitable[Figures]]) -> Part:
    return Part(lambda amounts, _: measure(amounts, hookline_system), lambda amounts: measure(amounts, floor_system))


def of_hookline(measure: Callable[[Amounts], Awaitable[Figures]]) -> Part:
    return Part(lambda amounts, _: measure(amounts))


async def closed_by_design(amounts: Amounts) -> Figures:
    """What the events of the design cost on this stack, with none of its promises (`bench.design`)."""
    found = await closed.measure(amounts, design_system)
    return {f"design.{key.removeprefix('closed.')}": figure for key, figure in found.items()}


PARTS = {
    "harness": of_hookline(harness.measure),
    "open": of_both(open_loop.measure),
    "closed": of_both(closed.measure),
    "design": of_hookline(closed_by_design),
    "chains": of_hookline(chains.measure),
    "restore": Part(restore.measure),
    "neighbours": of_hookline(neighbours.measure),
    "outage": Part(outage.measure),
    "scale": of_hookline(scale.measure),
    "idle": of_both(idle.measure),
}

MEASURED = {"harness": "generator straight to receiver", "design": "the design's floor"}
"""What is measured where it is not Hookline."""


class Found:
    """Figures as they come: Hookline's and the floor's."""

    def __init__(self) -> None:
        self.ours = Figures()
        self.floor = Figures()
        self.failed: list[str] = []
        """Parts that gave none."""


async def run(given: argparse.Namespace, found: Found, say: Say) -> None:
    """Part after part; one that fails is said, and the others are measured all the same."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    amounts = QUICK if given.quick else FULL
    if given.million:
        amounts = replace(amounts, restore=(*amounts.restore, MILLION))
    gc.disable()  # no pauses of ours in others' times; it is collected between the parts
    for name in given.only:
        try:
            async with asyncio.timeout(MILLION_LIMIT_S if given.million else LIMIT_S):
                await measure(name, amounts, found, say, floor=not given.no_floor)
        except (BenchFailed, HooklineError, OSError, TimeoutError) as error:
            say(f"{name}: failed: {error or 'it took too long'}")
            found.failed.append(name)
        gc.collect()


async def measure(name: str, amounts: Amounts, found: Found, say: Say, *, floor: bool) -> None:
    """One part. Raises BenchFailed, HooklineError, OSError."""
    part = PARTS[name]
    if part.floor is not None and floor:
        say(f"{name}: the floor")
        found.floor |= await part.floor(amounts)
    say(f"{name}: {MEASURED.get(name, 'Hookline')}")
    figures = await part.hookline(amounts, say)
    if lacking := missing(name, figures):
        raise BenchFailed(f"it gave no {', '.join(lacking)}")
    found.ours |= figures


def main() -> int:
    given = parse()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it warns while new topics get their leaders
    began, found, code = time.monotonic(), Found(), 0

    def say(what: str) -> None:
        sys.stderr.write(f"{time.monotonic() - began:6.1f} s  {what}\n")

    try:
        uvloop.run(run(given, found, say))
    except (KeyboardInterrupt, asyncio.CancelledError):
        say("stopped; nothing is left running")
        code = 130
    if found.ours or found.floor:
        show(found.ours, found.floor, Console(width=max(WIDTH, Console().width)))
        if given.json:
            given.json.write_text(json.dumps(as_object(found.ours, found.floor, quick=given.quick), indent=1) + "\n")
    return code or (1 if found.failed else 0)


def as_object(ours: Figures, floor: Figures, *, quick: bool) -> dict[str, object]:
    """What `--json` writes."""
    machine = {"cpus": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()}
    return {"machine": machine, "quick": quick, **nested(ours.items()), "floor": nested(floor.items())}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "scripts/bench",
        description="Measures Hookline on real Kafka, on this machine, beside the least program that could do one delivery.",
        epilog=EXAMPLES % ", ".join(PARTS),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", type=file, metavar="FILE", help="write the figures there, too")
    parser.add_argument("--only", type=parts, default=list(PARTS), metavar="A,B", help="these parts (default: all)")
    parser.add_argument("--quick", action="store_true", help="much less of everything: figures mean little")
    parser.add_argument("--million", action="store_true", help="restore a million open chains, too (minutes)")
    parser.add_argument("--no-floor", action="store_true", help="Hookline alone")
    return parser.parse_args()


def file(text: str) -> Path:
    """Said before a quarter of an hour of measuring, not after it."""
    path = Path(text)
    if not path.absolute().parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {path.absolute().parent}")
    return path


def parts(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if unknown := [name for name in names if name not in PARTS]:
        raise argparse.ArgumentTypeError(f"no part {', '.join(unknown)}: there are {', '.join(PARTS)}")
    return names


if __name__ == "__main__":
    sys.exit(main())
