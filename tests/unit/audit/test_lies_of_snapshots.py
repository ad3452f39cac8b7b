"""Lies in a snapshot, or in the commit that names one: findings, whatever they make of it, and never a trace."""

from dataclasses import replace

import pytest
from pydantic_core import to_json

from hookline.chain.fold import PartitionFold
from hookline.chain.packer import ChainUnpacker
from hookline.chain.payloads import payload_json
from hookline.log.records import LOGS, Place, Positions, RawRecord, Topic
from hookline.log.snapshots import Checkpoint, Snapshot, named_by, write_snapshot
from tests.unit.audit.sources import Records, judge
from tests.unit.audit.test_judge_checkpoint import LOG_ID, ToRecords, busy, checkpoint, fold_all


def flipped(raw: RawRecord, bit: int) -> RawRecord:
    value = bytearray(raw.value or b"")
    value[bit // 8] ^= 1 << bit % 8
    return replace(raw, value=bytes(value))


async def test_any_bit_of_a_snapshot_that_is_changed_is_found() -> None:
    """Whatever it makes of it: another chain, a payload that does not unpack, a number where a text was."""
    records = await checkpoint(busy())
    line, truth, named = records.of(Topic.SNAPSHOTS), content(records), 0
    for at, raw in enumerate(line[:]):
        for bit in range(0, 8 * len(raw.value or b""), 5):
            records.of(Topic.SNAPSHOTS)[at] = flipped(raw, bit)
            findings, _ = await judge(records, chunk=1_000)
            if content(records) != truth:
                assert {f.topic for f in findings} == {Topic.SNAPSHOTS}, (at, bit, findings)
                named += 1
        records.of(Topic.SNAPSHOTS)[at] = raw
    assert named > 2_000, "only what packs the same text in another way is as good"


def content(records: Records) -> object:
    """What the snapshot says, payloads as text; null where it cannot be read."""
    unpacker, clock = ChainUnpacker(), b""
    try:
        for raw in records.of(Topic.SNAPSHOTS):
            if "last" in raw.headers:
                clock = raw.value or b""
            else:
                unpacker.add(raw.value or b"")
        chains = {name: chain._replace(payload=payload_json(chain.payload)) for name, chain in unpacker.chains.items()}
    except ValueError:
        return None
    return chains, unpacker.windows, clock


async def test_a_payload_that_does_not_unpack_is_found() -> None:
    script = busy()
    fold = PartitionFold()
    async for partition in script.records.source(1_000).partitions():
        await fold_all(partition, fold)
    for payload in (b"", b"torn", b"\x28\xb5\x2f\xfd\xe4" + b"\xff" * 16):
        chains = {name: chain._replace(payload=payload) for name, chain in fold.chains.items()}
        snapshot = Snapshot(chains, dict(fold.repeats.until), fold.repeats.clock)
        first = await write_snapshot(ToRecords(script.records), 0, LOG_ID, snapshot)
        positions = Positions(*(script.end(topic) for topic in LOGS))
        script.records.commits = Checkpoint(positions, script.token, first, LOG_ID).commits(0)
        script.records.log_id = LOG_ID
        findings, figures = await judge(script.records)
        assert [f.invariant for f in findings] == ["I6"]
        assert "does not unpack" in findings[0].said
        assert figures.checkpoints == 0
        script.records.of(Topic.SNAPSHOTS).clear()


@pytest.mark.parametrize(
    "metadata",
    ["", "[]", "null", "7", '{"snapshot": 1e999}', '{"snapshot": "0", "fence": 0, "log_id": "x"}', "[" * 100_000,
     to_json({"snapshot": 0.5, "fence": 0, "log_id": str(LOG_ID)}).decode(), '{"snapshot": 0, "fence": 0, "log_id": 7}'],
)  # fmt: skip
async def test_a_commit_that_names_nothing_is_found(metadata: str) -> None:
    records = await checkpoint(busy())
    place = Place(Topic.PUSHES, 0)
    records.commits[place] = records.commits[place]._replace(metadata=metadata)
    findings, _ = await judge(records)

    assert [f.said for f in findings] == ["the commit's metadata cannot be read"]
    with pytest.raises(ValueError, match="no metadata of a checkpoint"):
        named_by(records.commits[place])
