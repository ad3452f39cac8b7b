"""A cursor over what was fetched: from its position on, and no further than what is sound."""

import itertools
from collections.abc import Sequence

import pytest
from aiokafka.client import ConnectionGroup
from aiokafka.errors import KafkaError, LeaderNotAvailableError, OffsetOutOfRangeError, UnknownError
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from hookline.errors import LogError, LogTruncated, LogUnavailable, OffsetOutOfRange, Refused
from hookline.kafka import cursor as kafka_cursor
from hookline.kafka.cursor import Answer, Cursor, Pace
from hookline.log.records import PIPELINES, DamagedBatch, Place, RawRecord, Topic

HERE = Place(Topic.PUSHES, 2)


def batch(first: int, *values: bytes, stamped: int = 1_000) -> bytes:
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1 << 16)
    for at, value in enumerate(values):
        builder.append(at, stamped + at, b"key", value, [("name", b"header")])
    data = bytearray(builder.build())
    data[:8] = first.to_bytes(8, "big")  # the broker's: not under the CRC
    return bytes(data)


def cursor(position: int, place: Place = HERE) -> Cursor:
    return Cursor(place, position, Pace(ConnectionGroup.DEFAULT, 0), paused=False)


def come(
    at: Cursor, data: bytes = b"", *, start: int = 0, end: int = 100, error: KafkaError | None = None
) -> list[RawRecord]:
    """What an answer brings. Raises what is wrong with the place."""
    assert at.answered(Answer(error, start, end, data, is_full=False)), "it is to be asked again"
    return taken(at)


def taken(at: Cursor) -> list[RawRecord]:
    """As a consumer takes it."""
    records = []
    try:
        for record in at.fetched or ():
            records.append(record)
    except LogError as said:
        at.error = said
    at.fetched = None
    if (error := at.fail()) is not None:
        raise error
    return records


def shown(records: Sequence[RawRecord]) -> list[tuple[int, int] | bytes | None]:
    """Values; for what stands for a damaged batch its first offset and the one after it."""
    return [(r.offset, r.until) if isinstance(r, DamagedBatch) else r.value for r in records]


def test_records_come_whole_and_move_the_position_one_by_one() -> None:
    at = cursor(5)
    assert at.answered(Answer(None, 0, 7, batch(5, b"a", b"b"), is_full=False))
    assert at.fetched is not None
    first = next(at.fetched)
    assert (first.place, first.offset, first.timestamp, first.key, first.value) == (HERE, 5, 1000, b"key", b"a")
    assert first.headers == {"name": b"header"}
    assert at.position == 6
    assert shown(taken(at)) == [b"b"]
    assert at.position == 7


def test_a_batch_that_is_read_from_its_middle_on() -> None:
    at = cursor(6)
    assert shown(come(at, batch(5, b"a", b"b", b"c"))) == [b"b", b"c"]
    assert at.position == 8


def test_a_batch_that_came_in_part_is_left_for_the_next_fetch() -> None:
    at = cursor(5)
    assert shown(come(at, batch(5, b"a") + batch(6, b"b")[:-3])) == [b"a"]
    assert at.position == 6


GOOD, BAD = batch(5, b"a"), batch(6, b"b", b"c", b"d")


@pytest.mark.parametrize(("byte", "mask"), list(itertools.product(range(12, len(BAD)), (1, 0x80, 0xFF))))
def test_whatever_byte_of_a_batch_is_changed_the_rest_of_the_log_is_read(byte: int, mask: int) -> None:
    """12: what brokers find a batch by, and its leader's epoch, are not under its checksum."""
    bad = bytearray(BAD)
    bad[byte] ^= mask
    at = cursor(5)
    said = shown(come(at, GOOD + bytes(bad) + batch(9, b"e")))
    assert said == ([b"a", b"b", b"c", b"d", b"e"] if byte < 16 else [b"a", (6, 9), b"e"])
    assert at.position == 10


@pytest.mark.parametrize("byte", range(16, len(BAD)))
def test_a_damaged_batch_without_a_neighbour_goes_no_further_than_is_sure(byte: int) -> None:
    """What it says of its own length may be what is damaged. It comes again with the next fetch."""
    bad = bytearray(BAD)
    bad[byte] ^= 0xFF
    at, said = cursor(6), []
    for _ in range(3):
        said += shown(come(at, bytes(bad), end=20))
    assert said == [(6, 7), (7, 8), (8, 9)]
    assert shown(come(at, batch(9, b"e"))) == [b"e"]
    last = cursor(6)
    assert {at for at, _ in shown(come(last, bytes(bad), end=9))} == {6}  # type: ignore[misc, union-attr]


@pytest.mark.parametrize("length", [-1, 0, 1, 1 << 20, (1 << 31) - 1])
def test_a_length_that_is_wrong_is_one_places_damage(length: int) -> None:
    bad = bytearray(BAD)
    bad[8:12] = length.to_bytes(4, "big", signed=True)
    at = cursor(6)
    assert shown(come(at, bytes(bad)))[0] == (6, 7)


def test_offsets_that_are_missing_are_said() -> None:
    at = cursor(5)
    assert shown(come(at, batch(7, b"a"))) == [(5, 7), b"a"]
    compacted = cursor(5, PIPELINES)
    assert shown(come(compacted, batch(7, b"a"))) == [b"a"], "compaction takes records out"


def test_what_a_broker_cannot_give_is_damage_once_it_is_sure(monkeypatch: pytest.MonkeyPatch) -> None:
    at = cursor(5)
    assert not at.answered(Answer(UnknownError(), -1, -1, b"", is_full=False))
    assert not at.answered(Answer(None, 0, 9, b"", is_full=False)), "it is there, and nothing comes"
    monkeypatch.setattr(kafka_cursor, "SURE_S", 0)
    assert shown(come(at, error=UnknownError())) == [(5, 6)]
    assert shown(come(at, end=9)) == [(6, 7)]
    assert come(at, end=7) == []
    assert at.answered(Answer(None, 0, 9, b"", is_full=True)), "there was no room for it"


# ---- is it still that log?


def doubting(position: int = 5) -> Cursor:
    """It has read "a" there, and then lost its connection."""
    at = cursor(position)
    assert shown(come(at, batch(position, b"a"))) == [b"a"]
    at.in_doubt = True
    return at


def test_the_last_record_read_is_read_again_and_not_handed_out_twice() -> None:
    at = doubting()
    assert at.reads_from == 5
    assert shown(come(at, batch(5, b"a") + batch(6, b"b"))) == [b"b"]
    assert (at.in_doubt, at.reads_from) == (False, 7)


@pytest.mark.parametrize("other", [batch(5, b"x"), batch(5, b"a", stamped=2_000), batch(4, b"a", b"x"), batch(7, b"x")])
def test_another_record_there_is_another_log(other: bytes) -> None:
    """Whatever lies there: also where it has grown past the position, and under the same leader epoch."""
    at = doubting()
    with pytest.raises(LogTruncated, match=r"callbacks\[2\]@6|pushes\[2\]@6"):
        come(at, other + batch(8, b"y"))
    assert at.has_failed
    at.seek(0)
    assert not at.has_failed


def test_a_log_that_ends_at_the_last_record_read_has_lost_it_once_it_is_sure(monkeypatch: pytest.MonkeyPatch) -> None:
    at = doubting()
    assert not at.answered(Answer(None, 0, 5, b"", is_full=False)), "a new leader says so for a moment"
    monkeypatch.setattr(kafka_cursor, "SURE_S", 0)
    with pytest.raises(LogTruncated, match="the log ends at 5"):
        come(at, end=5)


def test_an_offset_that_is_not_there_is_believed_once_it_is_sure(monkeypatch: pytest.MonkeyPatch) -> None:
    at = doubting()
    for asked_next in (6, 5, 6):
        assert not at.answered(Answer(OffsetOutOfRangeError(), -1, -1, b"", is_full=False))
        assert at.reads_from == asked_next
    assert not at.answered(Answer(None, 0, 6, batch(6, b"z"), is_full=False)), "grown meanwhile: compared all the same"
    assert at.reads_from == 5
    monkeypatch.setattr(kafka_cursor, "SURE_S", 0)
    with pytest.raises(OffsetOutOfRange, match="not in the log"):
        come(at, error=OffsetOutOfRangeError())


def test_a_log_whose_records_were_all_deleted_by_its_retention_is_the_same() -> None:
    at = doubting()
    assert not at.answered(Answer(OffsetOutOfRangeError(), -1, -1, b"", is_full=False))
    assert shown(come(at, start=6, end=6)) == []
    assert not at.in_doubt


@pytest.mark.parametrize("error", [Refused("no right"), LogUnavailable("away")])
def test_what_says_nothing_about_its_log_is_raised_once_and_asked_for_again(error: LogError) -> None:
    at = cursor(3)
    at.error = error
    assert at.fail() is error
    assert at.fail() is None
    assert not at.has_failed
    assert at.reads_from == 3


def test_another_leader_leaves_it_in_doubt() -> None:
    at = cursor(5)
    assert shown(come(at, batch(5, b"a"))) == [b"a"]
    assert not at.answered(Answer(LeaderNotAvailableError(), -1, -1, b"", is_full=False))
    assert at.in_doubt


def test_a_seek_elsewhere_leaves_nothing_to_compare() -> None:
    at = doubting()
    at.seek(6)
    assert at.reads_from == 5, "on from where it was"
    at.seek(2)
    assert at.reads_from == 2
    assert shown(come(at, batch(2, b"q"))) == [b"q"]
    assert not at.in_doubt


def test_the_last_record_of_a_compacted_topic_may_be_gone() -> None:
    at = cursor(5, PIPELINES)
    assert shown(come(at, batch(5, b"a"))) == [b"a"]
    at.in_doubt = True
    assert shown(come(at, batch(6, b"b"))) == [b"b"]
    at.in_doubt = True
    with pytest.raises(LogTruncated):
        come(at, batch(6, b"other"))
