"""Recorded histories of every event version fold today to what they folded to on the day they were recorded.

After temporalio's replayer: yesterday's log is the contract. tests/data/histories/README.md says how one is added.
"""

import asyncio
import contextlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from hookline.audit.bundle_file import BundleSource
from hookline.audit.walk import Walk
from hookline.chain.events import EVENTS, CallbackReceived, HaltReason, HookDelivered, StepSealed
from hookline.chain.fold import PartitionFold
from hookline.errors import Undecodable
from hookline.log.codec import Record, decode
from hookline.log.reader import PartitionReader
from hookline.log.records import LOGS, Place, Positions, RawRecord, Topic
from hookline.log.skips import skip_of
from tests.unit.audit.record import FOLDER, expected
from tests.unit.audit.test_bundle import read_all

HISTORIES = sorted(FOLDER.glob("*.hookline"))
NAMES = [path.stem for path in HISTORIES]


@pytest.mark.parametrize("path", HISTORIES, ids=NAMES)
async def test_yesterdays_log_folds_to_the_same_state_today(path: Path) -> None:
    assert await expected(path) == json.loads(path.with_suffix(".json").read_text())


@pytest.mark.parametrize("path", HISTORIES, ids=NAMES)
async def test_the_order_in_which_its_logs_are_read_does_not_matter(path: Path) -> None:
    """I5: in step with the decisions, and all of a log after all of another."""
    with BundleSource(path) as source:
        everything = await read_all(source)
    with BundleSource(path) as source:
        async for partition in source.partitions():
            in_step, log_by_log = PartitionFold(keep_ended=True), PartitionFold(keep_ended=True)
            async for reads in Walk(partition, taken_at=source.origin.taken_at).reads():
                for read in reads:
                    if read.valid:
                        in_step.fold(read.record.event, read.record.offset, read.record.timestamp)
            commands = everything.get(Place(Topic.COMMANDS, partition.number), [])
            skips = filter(None, map(skip_of, commands))
            reader = PartitionReader(partition.number, Positions(), skips=skips)
            for topic in LOGS:
                reader.offer(
                    topic,
                    [raw for place, raws in everything.items() for raw in raws if place == (topic, partition.number)],
                )
            for read in reader.read():
                if read.valid:
                    log_by_log.fold(read.record.event, read.record.offset, read.record.timestamp)
            assert in_step.chains == log_by_log.chains
            assert in_step.repeats.until == log_by_log.repeats.until


# ---- what they reach, all together


def decoded(raws: Iterable[RawRecord]) -> Iterator[Record]:
    """All but what nobody can read: a history with such a record has a skip for it."""
    for raw in raws:
        with contextlib.suppress(Undecodable):
            yield decode(raw)


def records() -> Iterator[Record]:
    for path in HISTORIES:
        with BundleSource(path) as source:
            for place, raws in asyncio.run(read_all(source)).items():
                if place.topic in LOGS:
                    yield from decoded(raws)


@pytest.fixture(scope="module")
def told() -> list[dict[str, object]]:
    return [json.loads(path.with_suffix(".json").read_text()) for path in HISTORIES]


def test_each_history_has_its_end_states_beside_it() -> None:
    assert HISTORIES
    assert {path.stem for path in FOLDER.glob("*.json")} == set(NAMES)


def test_every_version_of_every_event_is_in_one() -> None:
    assert {record.raw.headers["ce_type"].decode() for record in records()} == set(EVENTS)


def test_every_way_to_end_is_in_one(told: list[dict[str, dict[str, int]]]) -> None:
    assert {reason for history in told for reason in history["ended"]} == {"completed", *HaltReason}


def test_runs_repeats_void_decisions_and_later_verdicts_are_in_one(told: list[dict[str, dict[str, int]]]) -> None:
    assert any(not chain.endswith("-0") for history in told for chain in history["chains"]), "a run"
    assert sum(history["passed"].get("void", 0) for history in told), "a decision of a fenced worker"
    assert sum(history["passed"].get("later", 0) for history in told), (
        "a second verdict of a step, or one above its seal"
    )
    pushes: list[str] = []
    for record in records():
        if record.topic is Topic.PUSHES:
            pushes.append(record.event.push_id)  # type: ignore[union-attr]
    assert len(set(pushes)) < len(pushes), "a repeated push"


def test_a_verdict_above_the_seal_of_its_step_is_in_one() -> None:
    void = 0
    for path in HISTORIES:
        with BundleSource(path) as source:
            found = asyncio.run(read_all(source))
        for place, raws in found.items():
            sealed: set[tuple[str, int]] = set()
            for record in decoded(raws) if place.topic is Topic.CALLBACKS else ():
                event = record.event
                if isinstance(event, StepSealed):
                    sealed.add((event.chain_id, event.step))
                elif isinstance(event, CallbackReceived):
                    void += (event.chain_id, event.step) in sealed
    assert void


def test_callbacks_before_their_answer_and_after_the_end_are_in_one() -> None:
    verdicts: dict[tuple[str, int], int] = {}
    early = 0
    for path in HISTORIES:
        verdicts.clear()
        with BundleSource(path) as source:
            found = asyncio.run(read_all(source))
        for place, raws in sorted(found.items()):
            if place.topic is Topic.CALLBACKS:
                for record in decoded(raws):
                    event = record.event
                    if isinstance(event, CallbackReceived):
                        verdicts.setdefault((event.chain_id, event.step), record.offset)
        for place, raws in found.items():
            for record in decoded(raws) if place.topic is Topic.DELIVERIES else ():
                event = record.event
                if isinstance(event, HookDelivered):
                    early += verdicts.get((event.chain_id, event.step), 1 << 60) < event.read_to.callbacks
    assert early, "a verdict that was read before its own POST was answered"
