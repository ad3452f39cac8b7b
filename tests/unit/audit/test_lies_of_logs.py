"""Lies that are no single record's: tails that were cut, loops, settings, runs."""

from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

import pytest

from hookline.chain.events import HaltReason
from hookline.chain.fold import PartitionFold
from hookline.chain.pipeline import LogId
from hookline.log.records import LOGS, Place, Topic, damaged
from hookline.log.snapshots import Snapshot, write_snapshot
from services.ingress.rereading import Rereader
from tests.unit.audit.sources import Records, judge
from tests.unit.audit.test_judge_checkpoint import LOG_ID, ToRecords, busy, fold_all, taken
from tests.unit.audit.test_verify import Spot, change, spots
from tests.unit.audit.true_log import TrueLog, true_log

READER = Rereader()


async def found(records: Records, *, settled: bool = False) -> set[tuple[str, Topic, int]]:
    findings, _ = await judge(records, pushes=READER, settled=settled)
    return {(f.invariant.value, f.topic, f.offset) for f in findings}


# ---- tails


async def test_a_tail_of_deliveries_below_what_was_committed_is_missed() -> None:
    records = await taken(busy())
    del records.of(Topic.DELIVERIES)[-1]
    findings, _ = await judge(records)

    assert [(f.invariant, f.topic) for f in findings] == [("I6", Topic.SNAPSHOTS)]
    assert "deliveries@" in findings[0].said


async def test_a_tail_that_a_later_snapshot_knows_is_missed() -> None:
    """It was written, and its commit did not come: nothing names it, and it is there."""
    script = busy()
    records = await taken(script)
    known = script.delivered(script.chain_of(3))
    fold = PartitionFold()
    async for partition in records.source(1_000).partitions():
        await fold_all(partition, fold)
    await write_snapshot(ToRecords(records), 0, LOG_ID, Snapshot(dict(fold.chains), {}, 0))
    assert (await judge(records))[0] == []
    del records.of(Topic.DELIVERIES)[-1]
    findings, _ = await judge(records)

    assert [(f.invariant, f.topic, f.offset) for f in findings] == [("I7", Topic.DELIVERIES, known)]


async def test_verdicts_without_any_worker_are_found() -> None:
    records = true_log().records
    records.of(Topic.DELIVERIES).clear()
    assert await found(records) == {("I8", Topic.CALLBACKS, 3)}  # a seal, whose intent is gone: no reader gets past it

    del records.of(Topic.CALLBACKS)[3:]
    assert await found(records) == {("I7", Topic.DELIVERIES, 0)}


async def test_a_tail_that_nothing_else_knows_is_seen_by_what_is_stuck_only() -> None:
    """Legal in itself: the dispatcher may have stopped there."""
    records = true_log().records
    log = records.of(Topic.DELIVERIES)
    del log[-1]

    assert await found(records) == set()
    assert {invariant for invariant, _, _ in await found(records, settled=True)} == {"I8"}


# ---- loops


@pytest.mark.parametrize(
    ("count", "seconds", "is_a_loop"),
    [
        (9, 0, False),
        (10, 0.1, True),
        (127, 0.2, True),
        (10, 5, False),
        (29, 60, False),
        (30, 60, True),
        (60, 3600, False),
    ],
)
async def test_many_fences_of_one_owner_with_nothing_between_are_a_loop(
    count: int, seconds: float, is_a_loop: bool
) -> None:
    log = TrueLog()
    first = log.wait(seconds).fence("loop")
    for _ in range(count - 1):
        log.wait(seconds).fence("loop")
    last = first + count - 1
    log.wait(1).fence("x")
    findings, _ = await judge(log.records)

    assert [(f.invariant, f.offset) for f in findings] == [("I8", last)] * is_a_loop
    assert all(f"{count} Fences of loop from deliveries@{first} on" in f.said for f in findings)


async def test_a_loop_at_the_end_is_found_and_one_with_decisions_between_is_none() -> None:
    log = TrueLog()
    for _ in range(12):
        log.fence("loop")
    assert {invariant for invariant, _, _ in await found(log.records)} == {"I8"}

    log = TrueLog()
    log.pipeline("ci")
    for n in range(12):
        log.fence("busy")
        log.delivered(log.from_docker_hub(str(n))[0])
    assert await found(log.records) == set()


# ---- settings


async def test_what_pipelines_no_longer_hold_is_not_judged() -> None:
    """Compacted: of a pipeline only its last version is left, and of one that was deleted nothing."""
    records = true_log().records
    versions = [raw for raw in records.pipelines if raw.key == b"ci"]
    assert len(versions) == 2
    records.pipelines.remove(versions[0])
    assert await found(records) == set()
    records.pipelines[:] = [raw for raw in records.pipelines if raw.key != b"all"]

    assert await found(records) == set()


async def test_what_an_epoch_before_was_is_not_judged_once_its_id_is_gone() -> None:
    log = true_log()
    log.set(LogId(log_id=UUID(int=7)))
    assert await found(log.records) == set(), "ids of the epoch before are as good"
    del log.records.pipelines[0]
    assert await found(log.records) == set()

    log.from_docker_hub("of-the-old-epoch")
    assert {invariant for invariant, _, _ in await found(log.records)} == {"I13"}


async def test_settings_that_nobody_can_read_or_of_another_key_are_found() -> None:
    records = true_log().records
    line = records.pipelines
    at = next(at for at, raw in enumerate(line) if raw.key == b"other")
    line[at] = replace(line[at], key=b"evil")
    assert ("I13", Topic.PIPELINES, at) in await found(records)
    line[at] = replace(line[at], value=b"{")
    assert ("I13", Topic.PIPELINES, at) in await found(records)
    line[at] = replace(line[at], timestamp=line[at].timestamp - 86_400_000)

    assert ("I14", Topic.PIPELINES, at) in await found(records)


async def test_of_damaged_settings_only_the_batch_is_found() -> None:
    """What it held is not known, and no push is judged by what was before it."""
    for at in range(len(true_log().records.pipelines)):
        records = true_log().records
        line = records.pipelines
        line[at] = damaged(line[at].place, line[at].offset, line[at].offset + 1, "its checksum is wrong")
        assert await found(records) == {("I13", Topic.PIPELINES, at)}, at
        del line[at + 1 :]
        line[at:] = [damaged(line[at].place, at, len(true_log().records.pipelines), "its checksum is wrong")]
        assert await found(records) == {("I13", Topic.PIPELINES, at)}, f"from {at} on"


# ---- runs


LIES_OF_HOOKS: dict[str, dict[str, object]] = {
    "another URL": {"url": "http://evil.example.com"},
    "another key": {"key": "k9"},
    "an older secret": {"version": 0},
    "one before that never was": {"before": {"version": 0, "key": "k1", "until": 9_999_999_999_999}},
}


@pytest.mark.parametrize(
    "lie", [{"payload": {"evil": 1}}, {"repository": "acme/evil"}, *({"plan": name} for name in LIES_OF_HOOKS)]
)
async def test_a_run_of_another_plan_or_payload_than_its_pushs_is_found(lie: dict[str, object]) -> None:
    log = true_log()
    event = log.records.of(Topic.PUSHES)[0]
    pushed = Spot(Place(Topic.PUSHES, 0), 0, event).value
    log.rerun(log.chain_of(0))
    at = len(log.records.of(Topic.COMMANDS)) - 1
    spot = Spot(Place(Topic.COMMANDS, 0), at, log.records.of(Topic.COMMANDS)[at])
    truth = {"payload": pushed["payload"], "repository": pushed["repository"], "plan": pushed["plans"][0]}
    change(log.records, spot, **truth)
    assert await found(log.records) == set()
    before = {"version": 1, "key": "k1", "until": 9_999_999_999_999}
    rotated = [{**hook, "version": 2, "key": "k2", "before": before} for hook in truth["plan"]["hooks"]]
    change(log.records, spot, **(truth | {"plan": {**truth["plan"], "hooks": rotated}}))
    assert await found(log.records) == set(), "secrets that were rotated since"
    if "plan" in lie:
        hooks = [{**hook, **LIES_OF_HOOKS[str(lie["plan"])]} for hook in truth["plan"]["hooks"]]
        lie = {"plan": {**truth["plan"], "hooks": hooks}}
    change(log.records, spot, **(truth | lie))

    assert await found(log.records) == {("I13", Topic.COMMANDS, at)}


# ---- records that no writer makes: a finding, never a trace

NONSENSE: dict[str, Callable[[Records], None]] = {
    "a run of a push that has no id": lambda r: change(r, first(r, "RedeliveryRequested"), push_id="x"),
    "a run of a negative plan": lambda r: change(
        r, (s := first(r, "RedeliveryRequested")), plan=s.value["plan"] | {"n": -1}
    ),
    "a chain that has no id": lambda r: change(r, first(r, "CallbackReceived"), chain_id="x"),
    "a plan with a delay beyond all numbers": lambda r: change(
        r,
        (s := first(r, "PushReceived")),
        plans=[plan | {"retry_delays_s": [10**400, 10**400]} for plan in s.value["plans"]],
    ),
    "a deadline beyond all numbers": lambda r: change(
        r, (s := first(r, "PushReceived")), plans=[plan | {"callback_deadline_s": 10**400} for plan in s.value["plans"]]
    ),
    "a time beyond all numbers": lambda r: change(r, first(r, "ChainHalted"), decided_at=10**400),
}


def first(records: Records, kind: str) -> Spot:
    return next(spot for topic in LOGS for spot in spots(records, topic, kind))


@pytest.mark.parametrize("name", NONSENSE)
async def test_what_no_writer_makes_is_a_finding(name: str) -> None:
    log = TrueLog()
    log.pipeline("ci")
    (chain,) = log.from_docker_hub()
    log.failed(chain)
    log.wait(5).delivered(chain, attempt=2)
    log.verdict(chain)
    log.rerun(chain)
    (other,) = log.from_docker_hub("2")
    log.cancel(other)
    log.halted(other, 1, HaltReason.CANCELLED)
    NONSENSE[name](log.records)

    assert await found(log.records, settled=True)
