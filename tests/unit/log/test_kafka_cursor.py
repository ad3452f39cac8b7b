"""A cursor over what was fetched: from its position on, and no further than what is sound."""

import pytest
from aiokafka.client import ConnectionGroup
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from hookline.log.kafka_cursor import Cursor, Pace
from hookline.log.records import Place, Topic

HERE = Place(Topic.PUSHES, 2)


def batch(first: int, *values: bytes) -> bytes:
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1 << 16)
    for at, value in enumerate(values):
        builder.append(at, 1_000 + at, b"key", value, [("name", b"header")])
    data = bytearray(builder.build())
    data[:8] = first.to_bytes(8, "big")  # the broker's: not under the CRC
    return bytes(data)


def cursor(position: int) -> Cursor:
    return Cursor(HERE, position, Pace(ConnectionGroup.DEFAULT, 0), paused=False)


def test_records_come_whole_and_move_the_position_one_by_one() -> None:
    at = cursor(5)
    records = at.unpack(batch(5, b"a", b"b"))
    first = next(records)
    assert (first.place, first.offset, first.timestamp, first.key, first.value) == (HERE, 5, 1000, b"key", b"a")
    assert first.headers == {"name": b"header"}
    assert at.position == 6
    assert [record.value for record in records] == [b"b"]
    assert at.position == 7


def test_a_batch_that_is_read_from_its_middle_on() -> None:
    at = cursor(6)
    assert [record.value for record in at.unpack(batch(5, b"a", b"b", b"c"))] == [b"b", b"c"]
    assert at.position == 8


def test_a_batch_that_is_not_what_was_written_is_not_read() -> None:
    good, bad = batch(5, b"a"), bytearray(batch(6, b"b"))
    bad[-1] ^= 1
    at = cursor(5)
    records = at.unpack(good + bytes(bad))
    assert next(records).value == b"a"
    with pytest.raises(CorruptRecordException):
        next(records)
    assert at.position == 6


def test_a_batch_that_came_in_part_is_left_for_the_next_fetch() -> None:
    at = cursor(5)
    assert [record.value for record in at.unpack(batch(5, b"a") + batch(6, b"b")[:-3])] == [b"a"]
    assert at.position == 6
