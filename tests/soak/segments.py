"""The batches of a partition as they lie on a broker's disk: found, checked, damaged. Kafka's message format, version 2.

A batch: its first offset, its length from there on, leader epoch, version, checksum (CRC-32C of all that follows), attributes,
the last offset less the first, and so on; then its records.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from aiokafka.record.util import calc_crc32c

__all__ = ["Batch", "batches", "flip_last_byte", "newest_segment"]

HEAD = struct.Struct(">qiibIhi")
"""First offset, length, leader epoch, version, checksum, attributes, last offset less the first."""
BEFORE_LENGTH = 12
BEFORE_CHECKED = 21


@dataclass(frozen=True)
class Batch:
    """`begin`, `end`: bytes of its file; `until`: the offset after its last; `whole`: its checksum is right."""

    first: int
    until: int
    begin: int
    end: int
    whole: bool


def batches(segment: bytes) -> Iterator[Batch]:
    """Those that are there in full."""
    at = 0
    while at + HEAD.size <= len(segment):
        first, length, _, _, checksum, _, delta = HEAD.unpack_from(segment, at)
        end = at + BEFORE_LENGTH + length
        if length <= 0 or end > len(segment):
            return
        yield Batch(first, first + delta + 1, at, end, calc_crc32c(segment[at + BEFORE_CHECKED : end]) == checksum)
        at = end


def flip_last_byte(file: Path, batch: Batch) -> None:
    """Of its last record: what frames records and batches stays as it is."""
    with file.open("r+b") as opened:
        opened.seek(batch.end - 1)
        (byte,) = opened.read(1)
        opened.seek(batch.end - 1)
        opened.write(bytes([byte ^ 0xFF]))


def newest_segment(folder: Path) -> Path:
    """Of a partition's folder."""
    return max(folder.glob("*.log"))
