"""Batches on a disk: found where Kafka's own format has them, and a changed byte is seen."""

from pathlib import Path

from aiokafka.record.default_records import DefaultRecordBatchBuilder

from tests.soak.segments import batches, flip_last_byte, newest_segment


def batch(first: int, *values: bytes) -> bytes:
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 16_384)
    for number, value in enumerate(values):
        builder.append(number, 1_000, b"key", value, [("ce_type", b"hookline.PushReceived.v1")])
    made = bytearray(builder.build())
    made[:8] = first.to_bytes(8, "big")  # as its broker numbers it: what the checksum is of begins behind that
    return bytes(made)


def test_batches_are_found_with_their_offsets_and_what_is_half_written_is_not() -> None:
    one, two = batch(0, b"a"), batch(1, b"b", b"c", b"d")
    found = list(batches(one + two + one[:40]))
    assert [(b.first, b.until, b.whole) for b in found] == [(0, 1, True), (1, 4, True)]
    assert [(b.begin, b.end) for b in found] == [(0, len(one)), (len(one), len(one + two))]
    assert list(batches(b"")) == []


def test_a_changed_byte_damages_its_batch_and_no_other_and_changed_again_mends_it(tmp_path: Path) -> None:
    file = tmp_path / "00000000000000000000.log"
    file.write_bytes(batch(0, b"a") + batch(1, b"b") + batch(2, b"c"))
    middle = list(batches(file.read_bytes()))[1]
    flip_last_byte(file, middle)
    assert [b.whole for b in batches(file.read_bytes())] == [True, False, True]
    flip_last_byte(file, middle)
    assert all(b.whole for b in batches(file.read_bytes()))


def test_of_a_partition_the_newest_segment_is_taken(tmp_path: Path) -> None:
    for offset in (0, 1_200, 90):
        (tmp_path / f"{offset:020}.log").touch()
    assert newest_segment(tmp_path).name == f"{1_200:020}.log"
