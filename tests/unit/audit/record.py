"""Records a history for tests/data/histories: `python -m tests.unit.audit.record NAME (--seed N | --world N | --skips | --from BUNDLE)`.

Writes NAME.hookline and, beside it, what it folds to today. Nothing is ever recorded over: a history that folds to another
state than it did is what `test_histories` is there to find.
"""

import argparse
import asyncio
import json
import shutil
from pathlib import Path
from random import Random
from typing import Any

from hookline.audit.bundle_file import BundleSource
from hookline.audit.chain_standing import standing
from hookline.audit.export import export
from hookline.audit.findings import Finding
from hookline.audit.replay import Run, stood
from hookline.audit.source import Source
from hookline.audit.story import Selection
from hookline.audit.verify import verify
from hookline.chain.events import HaltReason, Verdict
from hookline.chain.pipeline import LogId
from hookline.log.codec import encode_setting
from hookline.log.records import LOGS, RawRecord, Topic
from tests.unit.audit.script import Script
from tests.unit.audit.simulations import simulated
from tests.unit.audit.sources import Records, of_logs
from tests.unit.chain.histories import MOVES, World
from tests.unit.dispatcher.harness import LOG_ID

FOLDER = Path(__file__).parents[2] / "data" / "histories"


async def end_states(source: Source) -> dict[str, Any]:
    """Each chain as it stands at the end."""
    found = stood(source, Selection(), Run(), lambda records: None)
    return {one.chain.id: json.loads(json.dumps(standing(one.chain))) async for chains in found for one in chains}


async def expected(path: Path) -> dict[str, Any]:
    """What the tests hold a history to."""
    findings: list[Finding] = []
    with BundleSource(path) as source:
        figures = await verify(source, findings.append, settled=True)
    assert not findings, findings
    with BundleSource(path) as source:
        chains = await end_states(source)
    counted = {name: dict(sorted(getattr(figures, name).items())) for name in ("events", "ended", "passed")}
    return {
        "records": figures.records,
        "checkpoints": figures.checkpoints,
        **counted,
        "chains": dict(sorted(chains.items())),
    }


def skipped_log() -> Script:
    """Chains around a record of each log that nobody can read, and that an operator let all pass over; one of them at the end."""
    script = Script()
    first = script.push(2)
    for topic in LOGS:
        bad = script.garbage(topic)
        script.wait(60).skip(topic, bad)
        script.fence()
    script.delivered(first)
    script.verdict(first)
    script.delivered(first, 2)
    script.verdict(first, 2)
    script.completed(first, 2)
    later = script.push()
    script.delivered(later)
    script.verdict(later, state=Verdict.FAILURE)
    script.halted(later, 1, HaltReason.CALLBACK_FAILURE)
    script.skip(Topic.DELIVERIES, script.garbage(Topic.DELIVERIES))
    return script


class HonestWorld(World):
    """In which nobody forges a seal: a recorded history has no findings."""

    def run(self, steps: int) -> None:
        moves = [move for move in MOVES if move is not World.forge]
        for _ in range(steps):
            moves[self.pick(len(moves))](self)


def made(options: argparse.Namespace) -> Records:
    if options.seed is not None:
        records = asyncio.run(simulated(options.seed))
    elif options.skips:
        records = skipped_log().records
    else:
        world = HonestWorld(Random(options.world).randrange)
        world.run(400)
        world.settle()
        records = of_logs(world.logs)
    draft = encode_setting(LogId(log_id=LOG_ID), now_ms=0)
    records.log_id, records.pipelines = LOG_ID, [RawRecord(draft.place, 0, 0, draft.key, draft.value, draft.headers)]
    return records


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name")
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--seed", type=int, help="dispatchers under faults, from this seed")
    how.add_argument("--world", type=int, help="one partition of workers and zombies, from this seed")
    how.add_argument(
        "--skips", action="store_true", help="one partition in which an operator skipped a record of each log"
    )
    how.add_argument("--from", type=Path, dest="source", help="a bundle of `hookline audit export`")
    options = parser.parse_args()
    path, beside = FOLDER / f"{options.name}.hookline", FOLDER / f"{options.name}.json"
    if path.exists() or beside.exists():
        parser.error(f"{path.name} is recorded already: choose another name")
    if options.source:
        shutil.copyfile(options.source, path)
    else:
        with path.open("wb") as file:
            asyncio.run(export(made(options).source(1_000), file, lambda records: None))
    try:
        beside.write_text(json.dumps(asyncio.run(expected(path)), indent=1) + "\n")
    except BaseException:
        path.unlink()
        raise
    print(f"{path.name}: {path.stat().st_size} bytes; look at {beside.name} before you commit it")


if __name__ == "__main__":
    main()
