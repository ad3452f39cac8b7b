"""The record batches of a fetched log: each whole, or what is wrong with it; nothing here stops at one that is damaged."""

from collections.abc import Iterator, Sequence
from struct import Struct
from typing import NamedTuple

from aiokafka.record.memory_records import MemoryRecords

from hookline.log.records import Place, RawRecord

__all__ = ["Batch", "batches_of"]

_FRAME = Struct(">qi")
"""Offset of the first record, and the bytes that follow: what brokers find a batch by. Not under its CRC."""

_MAGIC_AT, _MAGIC = 16, 2
"""The format's version, which is not under the checksum either."""


class Batch(NamedTuple):
    """Offsets from `first` up to, not with, `next`. fault: why its records cannot be read, "" where they can."""

    first: int
    next: int
    records: Sequence[RawRecord]
    fault: str


def batches_of(place: Place, data: bytes, end: int) -> Iterator[Batch]:
    """Those that are there whole. end: of the log, for where a damaged one says nothing sound of itself.

    A broker cuts a log at any byte, but never in its first batch: one that seems to go on behind the data has a wrong length.
    """
    at = 0
    while at + _FRAME.size <= len(data):
        first, length = _FRAME.unpack_from(data, at)
        after = at + _FRAME.size + length
        if length < 0 or after > len(data):
            if at == 0:
                yield Batch(first, first + 1, (), "its length is wrong")
            return
        yield _batch(place, first, data[at:after], _first_at(data, after), end)
        at = after


def _batch(place: Place, first: int, data: bytes, following: int | None, end: int) -> Batch:
    """following: the offset that the next batch begins at, where there is one."""
    # What it says of itself may be what is damaged. So without a neighbour it counts for one offset, and the next fetch brings
    # it again; but where it ends with the log there can be none.
    until = first + 1 if following is None else following
    try:
        batch = MemoryRecords(data).next_batch()
        if following is None and batch.next_offset == end:
            until = end
        if data[_MAGIC_AT] != _MAGIC or not batch.validate_crc():
            fault = "its checksum is wrong"
        else:
            records = () if batch.is_control_batch else tuple(
                RawRecord(place, record.offset, record.timestamp, record.key, record.value, dict(record.headers))
                for record in batch
            )  # fmt: skip
            return Batch(first, batch.next_offset, records, "")
    except Exception as error:  # noqa: BLE001 - whatever its bytes are, they are one batch's
        fault = f"it cannot be unpacked ({type(error).__name__})"
    return Batch(first, max(first + 1, until), (), fault)


def _first_at(data: bytes, at: int) -> int | None:
    return _FRAME.unpack_from(data, at)[0] if at + _FRAME.size <= len(data) else None
