"""A checkpoint is compared with the fold at its positions: chains, windows, clock, fence; and what else may be wrong with it."""

import json
from uuid import UUID, uuid4

import pytest

from hookline.audit.source import PartitionSource
from hookline.chain.events import Verdict
from hookline.chain.fold import PartitionFold
from hookline.chain.state import Chain, FirstVerdict
from hookline.log.cluster import Commit
from hookline.log.records import LOGS, Draft, Place, Positions, RawRecord, Topic
from hookline.log.snapshots import Checkpoint, Snapshot, write_snapshot
from tests.kit.events import push
from tests.unit.audit.script import Script
from tests.unit.audit.sources import TAKEN_AT, Records, judge

LOG_ID = UUID("6f1c0f4e-6f0e-4a8e-9d0c-1f4f5f3b2a10")


class ToRecords:
    """A Producer of snapshots."""

    def __init__(self, records: Records) -> None:
        self._records = records

    async def append(self, draft: Draft) -> int:
        line = self._records.of(draft.place.topic)
        line.append(RawRecord(draft.place, len(line), 0, draft.key, draft.value, draft.headers))
        return len(line) - 1


def busy() -> Script:
    """Open chains in several states, an ended one, a cancelled one, a repeat."""
    script = Script()
    for steps in (1, 2, 3):
        made = script.push(steps)
        script.delivered(made)
        script.verdict(made)
    script.completed(script.chain_of(0))
    script.delivered(script.chain_of(1), 2)
    script.failed(script.chain_of(2), 2)
    script.cancel(script.chain_of(1))
    script.push(name="again")
    script.push(name="again")
    script.rerun(script.chain_of(0))
    return script


async def checkpoint(script: Script, **changes: object) -> Records:
    """Of all that is there now, changed; then life goes on."""
    records = await taken(script, **changes)
    script.verdict(script.chain_of(1), 2)
    script.push(2)
    script.delivered(script.chain_of(3))
    return records


async def taken(script: Script, **changes: object) -> Records:
    records = script.records
    fold = PartitionFold()
    async for partition in records.source(1_000).partitions():
        await fold_all(partition, fold)
    snapshot = Snapshot(dict(fold.chains), dict(fold.repeats.until), fold.repeats.clock)
    for name, value in changes.items():
        if name in ("chains", "windows", "clock"):
            assert callable(value)
            snapshot = Snapshot(**(snapshot.__dict__ | {name: value(getattr(snapshot, name))}))
    first = await write_snapshot(ToRecords(records), 0, uuid4(), snapshot)
    positions = Positions(*(script.end(topic) for topic in LOGS))
    fence = changes.get("fence", script.token)
    log_id = changes.get("log_id", LOG_ID)
    assert isinstance(fence, int)
    assert isinstance(log_id, UUID)
    records.commits = Checkpoint(positions, fence, first, log_id).commits(0)
    records.log_id = LOG_ID
    return records


async def fold_all(partition: PartitionSource, fold: PartitionFold) -> None:
    from hookline.audit.walk import Walk

    async for reads in Walk(partition, taken_at=TAKEN_AT).reads():
        for read in reads:
            if read.valid:
                fold.fold(read.record.event, read.record.offset, read.record.timestamp)


def without_one(chains: dict[str, Chain]) -> dict[str, Chain]:
    return dict(list(chains.items())[1:])


def with_a_verdict(chains: dict[str, Chain]) -> dict[str, Chain]:
    name, chain = next(iter(chains.items()))
    return chains | {name: chain.with_step(1, chain.step(1)._replace(verdict=FirstVerdict(Verdict.ERROR, 0)))}


def with_another_payload(chains: dict[str, Chain]) -> dict[str, Chain]:
    from hookline.chain.payloads import pack_payload

    name, chain = next(iter(chains.items()))
    return chains | {name: chain._replace(payload=pack_payload({"other": 1}))}


def with_another(chains: dict[str, Chain]) -> dict[str, Chain]:
    chain = next(iter(chains.values()))
    name = f"{chain.push_id}-0-7-0"
    return chains | {name: chain._replace(id=name)}


def with_one_that_ended(chains: dict[str, Chain]) -> dict[str, Chain]:
    """The first chain of `busy`."""
    chain = next(iter(chains.values()))
    push_id = chain_of_push("p1")
    name = f"{push_id}-0-0-0"
    return chains | {name: chain._replace(id=name)}


def chain_of_push(name: str) -> str:
    return push(name=name).push_id


@pytest.mark.parametrize("chunk", [1, 3, 1_000])
async def test_one_that_is_taken_while_a_decision_is_under_way_is_clean(chunk: int) -> None:
    """It lies behind the positions of the snapshot, and had read less than they say."""
    script = Script()
    first, second = script.push(2), script.push(2)
    script.delivered(first)
    before = script.read_to
    script.verdict(first)
    records = await taken(script)
    script.delivered(second, read_to=before)
    script.delivered(first, 2)

    findings, figures = await judge(records, chunk=chunk)
    assert findings == []
    assert figures.checkpoints == 1


@pytest.mark.parametrize("chunk", [1, 3, 1_000])
async def test_a_right_one_is_clean(chunk: int) -> None:
    findings, figures = await judge(await checkpoint(busy()), chunk=chunk)

    assert findings == []
    assert figures.checkpoints == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"chains": without_one}, "does not have this open chain"),
        ({"chains": with_a_verdict}, "steps differs"),
        ({"chains": with_another_payload}, "payload differs"),
        ({"chains": with_another}, "the fold does not"),
        ({"chains": with_one_that_ended}, "and it ended at deliveries@"),
        ({"windows": lambda windows: {}}, "windows for repeats differ"),
        ({"windows": lambda windows: {push: end + 1 for push, end in windows.items()}}, "windows for repeats differ"),
        ({"clock": lambda clock: clock + 1}, "clock"),
        ({"log_id": uuid4()}, "this is log"),
    ],
)
async def test_a_wrong_one_is_found(changes: dict[str, object], said: str) -> None:
    findings, _ = await judge(await checkpoint(busy(), **changes))

    assert {(f.invariant, f.topic) for f in findings} == {("I6", Topic.SNAPSHOTS)}
    assert said in findings[0].said


async def test_another_fence_is_found() -> None:
    script = busy()
    script.fence()
    findings, _ = await judge(await checkpoint(script, fence=0))

    assert [f.invariant for f in findings] == ["I10"]


async def test_one_that_is_not_whole_is_found() -> None:
    records = await checkpoint(busy())
    records.of(Topic.SNAPSHOTS).pop()
    findings, figures = await judge(records)

    assert "not whole" in findings[0].said
    assert figures.checkpoints == 0


async def test_one_that_cannot_be_read_is_found() -> None:
    records = await checkpoint(busy())
    line = records.of(Topic.SNAPSHOTS)
    line[0] = RawRecord(line[0].place, 0, 0, line[0].key, b"\x91\x09", line[0].headers)
    findings, _ = await judge(records)

    assert "cannot be read: a snapshot record of version 9" in findings[0].said


async def test_positions_that_the_log_does_not_have_are_found() -> None:
    records = await checkpoint(busy())
    place = Place(Topic.CALLBACKS, 0)
    records.commits[place] = records.commits[place]._replace(offset=99)
    findings, _ = await judge(records)

    assert "callbacks@99" in findings[0].said


async def test_a_commit_of_another_program_is_found() -> None:
    records = await checkpoint(busy())
    place = Place(Topic.PUSHES, 0)
    for metadata in ("", "words", json.dumps({"snapshot": 0})):
        records.commits[place] = Commit(records.commits[place].offset, metadata)
        findings, _ = await judge(records)
        assert "metadata cannot be read" in findings[0].said


async def test_records_of_others_between_its_own_are_passed_over() -> None:
    records = await checkpoint(busy())
    line = records.of(Topic.SNAPSHOTS)
    other = RawRecord(line[0].place, 0, 0, b"x", b"torn", {"snapshot": b"another"})
    line[:] = [line[0], RawRecord(other.place, 1, 0, b"x", b"torn", other.headers), *line[1:]]
    line[:] = [RawRecord(raw.place, at, 0, raw.key, raw.value, raw.headers) for at, raw in enumerate(line)]

    assert (await judge(records))[0] == []
