"""A bundle holds a log as it was, and nothing in it can be changed, cut, inserted or moved without being found and named."""

from collections.abc import Callable
from pathlib import Path
from random import Random
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import from_json, to_json
from zstandard import ZstdCompressor, ZstdDecompressor

from hookline.audit.bundle import load_record
from hookline.audit.bundle_file import BundleSource
from hookline.audit.export import export
from hookline.audit.source import Source
from hookline.audit.verify import verify
from hookline.chain.pipeline import LogId
from hookline.errors import BundleBroken, ConfigError
from hookline.log.cluster import Commit
from hookline.log.codec import encode_setting
from hookline.log.records import LOGS, Place, RawRecord, Topic
from tests.unit.audit.simulations import simulated
from tests.unit.audit.sources import Records, judge
from tests.unit.audit.test_walk import long_log

LOG_ID = UUID("6f1c0f4e-6f0e-4a8e-9d0c-1f4f5f3b2a10")


async def bundle(records: Records, path: Path) -> str:
    """The seal."""
    with path.open("wb") as file:
        _, seal = await export(records.source(), file, lambda count: None)
    return seal


async def read_all(source: Source) -> dict[Place, list[RawRecord]]:
    found: dict[Place, list[RawRecord]] = {}
    async for partition in source.partitions():
        for topic in (*LOGS, Topic.SNAPSHOTS):
            while more := await partition.more(topic):
                found.setdefault(Place(topic, partition.number), []).extend(more)
    return found


def lines(path: Path) -> list[bytes]:
    return (
        ZstdDecompressor().stream_reader(path.open("rb"), read_across_frames=True).readall().splitlines(keepends=True)
    )


def write(path: Path, changed: list[bytes]) -> Path:
    path.write_bytes(ZstdCompressor().compress(b"".join(changed)))
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of three partitions; the first is empty."""
    import asyncio

    records = Records({}, 3, log_id=LOG_ID)
    for p in (1, 2):
        for place, line in long_log(2 * p).records.places.items():
            records.places[Place(place.topic, p)] = [
                RawRecord(Place(place.topic, p), r.offset, r.timestamp, r.key, r.value, r.headers) for r in line
            ]
    draft = encode_setting(LogId(log_id=LOG_ID), now_ms=0)
    records.pipelines = [RawRecord(draft.place, 0, 0, draft.key, draft.value, draft.headers)]
    path = tmp_path_factory.mktemp("bundle") / "made.hookline"
    asyncio.run(bundle(records, path))
    return path


# ---- what it holds


async def test_it_holds_the_log_as_it_was(tmp_path: Path) -> None:
    records = await simulated(1)
    path = tmp_path / "a.hookline"
    seal = await bundle(records, path)
    with BundleSource(path) as source:
        assert await read_all(source) == {place: line for place, line in records.places.items() if line}
        assert source.origin == records.source().origin
        assert source.seal == seal


async def test_a_log_is_judged_alike_from_where_it_lies_and_from_its_bundle(tmp_path: Path) -> None:
    records = await simulated(2)
    del records.of(Topic.CALLBACKS, 0)[3]
    path = tmp_path / "a.hookline"
    await bundle(records, path)
    there, figures = await judge(records)
    findings: list[object] = []
    with BundleSource(path) as source:
        assert await verify(source, findings.append) == figures
    assert findings == there != []


async def test_bytes_that_are_no_text_and_absent_ones_stay_as_they_are(tmp_path: Path) -> None:
    place = Place(Topic.PUSHES, 0)
    records = Records(
        {
            place: [
                RawRecord(place, 0, 5, None, None, {}),
                RawRecord(place, 1, 6, b"\xff\x00", b"\xfe", {"h": b"\x80", "t": b"text"}),
                RawRecord(place, 2, 7, b"", b"", {"ce_type": "\N{SNOWMAN}".encode()}),
            ]
        },
        1,
        commits={place: Commit(3, "words")},
    )
    path = tmp_path / "a.hookline"
    await bundle(records, path)
    with BundleSource(path) as source:
        assert await read_all(source) == {place: line for place, line in records.places.items() if line}
        assert source.origin.extents[0].commits == {Topic.PUSHES: Commit(3, "words")}


async def test_only_some_partitions_may_be_asked_for_and_all_are_checked(made: Path, tmp_path: Path) -> None:
    with BundleSource(made) as source:
        assert [p.number async for p in source.partitions({2})] == [2]
    changed = lines(made)
    change(changed, 4)
    with BundleSource(write(tmp_path / "b", changed)) as source, pytest.raises(BundleBroken, match="line 6"):
        [p async for p in source.partitions({2})]


# ---- what cannot be done to it


def change(all_lines: list[bytes], at: int) -> None:
    all_lines[at] = all_lines[at].replace(b'"timestamp":1', b'"timestamp":2', 1)


def cut_out(all_lines: list[bytes], at: int) -> None:
    del all_lines[at]


def insert_a_copy(all_lines: list[bytes], at: int) -> None:
    all_lines.insert(at, all_lines[at])


def move(all_lines: list[bytes], at: int) -> None:
    all_lines.insert(at + 1, all_lines.pop(at))


def exchange(all_lines: list[bytes], at: int) -> None:
    """With a line of another partition."""
    other = next(n for n, line in enumerate(all_lines) if b'"partition":2' in line)
    all_lines[at], all_lines[other] = all_lines[other], all_lines[at]


TAMPERING: list[Callable[[list[bytes], int], None]] = [change, cut_out, insert_a_copy, move, exchange]


async def refused(path: Path) -> str:
    with pytest.raises(BundleBroken) as raised, BundleSource(path) as source:
        await read_all(source)
    return str(raised.value)


@pytest.mark.parametrize("tamper", TAMPERING, ids=lambda tamper: tamper.__name__)
@pytest.mark.parametrize("where", ["first", "middle", "last"])
async def test_a_line_that_is_not_as_it_was_is_found(
    made: Path, tmp_path: Path, tamper: Callable[[list[bytes], int], None], where: str
) -> None:
    changed = lines(made)
    of_one = [n for n, line in enumerate(changed) if b'"partition":1' in line]
    at = {"first": of_one[0], "middle": of_one[len(of_one) // 2], "last": of_one[-1]}[where]
    tamper(changed, at)
    said = await refused(write(tmp_path / "b", changed))

    assert str(tmp_path / "b") in said
    assert any(f"line {n}" in said for n in range(at, at + 4)) or "outside" in said or "partition 1" in said, said


@given(data=st.data())
async def test_no_byte_of_a_line_can_be_changed(
    made: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    changed = lines(made)
    n = data.draw(st.integers(0, len(changed) - 2), label="line")
    at = data.draw(st.integers(0, len(changed[n]) - 1), label="byte")
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != changed[n][at]), label="to")
    changed[n] = changed[n][:at] + bytes([other]) + changed[n][at + 1 :]
    await refused(write(tmp_path_factory.mktemp("b") / "b", changed))


async def test_whoever_makes_the_chain_anew_has_another_seal(made: Path, tmp_path: Path) -> None:
    """Hashes alone prove nothing to who was not told the seal."""
    changed = lines(made)
    raws = [load_record(line[:-1])[0] for line in changed[1:-1]]
    forged = [
        RawRecord(r.place, r.offset, r.timestamp, r.key, (r.value or b"").replace(b"acme", b"evil"), r.headers)
        for r in raws
    ]
    records = Records({}, 3, log_id=LOG_ID, pipelines=forged[:1])
    for raw in forged[1:]:
        records.of(raw.place.topic, raw.place.partition).append(raw)
    seal = await bundle(records, tmp_path / "b")
    with BundleSource(made) as source, BundleSource(tmp_path / "b") as other:
        await read_all(source)
        await read_all(other)
        assert other.seal == seal != source.seal


@pytest.mark.parametrize("kept", [1, 2, 10, -1])
async def test_a_bundle_that_was_cut_is_found(made: Path, tmp_path: Path, kept: int) -> None:
    assert "ends before its last line" in await refused(write(tmp_path / "b", lines(made)[:kept]))


async def test_a_file_that_was_cut_in_the_middle_is_found(made: Path, tmp_path: Path) -> None:
    path = tmp_path / "b"
    path.write_bytes(made.read_bytes()[:-40])  # noqa: ASYNC240 - a small file of a test
    assert "cut" in await refused(path)


async def test_something_behind_the_last_line_is_found(made: Path, tmp_path: Path) -> None:
    assert "after the last line" in await refused(write(tmp_path / "b", [*lines(made), b"{}\n"]))


async def test_a_last_line_of_another_count_is_found(made: Path, tmp_path: Path) -> None:
    changed = lines(made)
    last = from_json(changed[-1])
    changed[-1] = to_json(last | {"records": last["records"] + 1}) + b"\n"
    assert "should be" in await refused(write(tmp_path / "b", changed))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "ends before its last line"),
        (b"not zstd at all", "not zstd"),
        (ZstdCompressor().compress(b'{"some": "json"}\n'), "not a bundle"),
        (ZstdCompressor().compress(b"words\n"), "not a bundle"),
        (ZstdCompressor().compress(b"x" * 100), "cut"),
    ],
)
async def test_a_file_that_is_no_bundle_is_refused_in_words(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "b"
    path.write_bytes(content)
    assert said in await refused(path)


async def test_a_bundle_of_a_later_version_is_refused_in_words(made: Path, tmp_path: Path) -> None:
    changed = lines(made)
    changed[0] = changed[0].replace(b'"version":1', b'"version":2')
    assert "version 2" in await refused(write(tmp_path / "b", changed))


def test_a_file_that_is_not_there_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        BundleSource(tmp_path / "nothing")


async def test_every_random_shuffle_is_found(made: Path, tmp_path: Path) -> None:
    for seed in range(20):
        changed = lines(made)
        body = changed[1:-1]
        Random(seed).shuffle(body)
        if body != changed[1:-1]:
            await refused(write(tmp_path / f"b{seed}", [changed[0], *body, changed[-1]]))
