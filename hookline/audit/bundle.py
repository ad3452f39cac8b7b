"""A bundle: an exported log as zstd JSON lines, in which nothing can be changed, cut, inserted or moved unnoticed.

    header   {"hookline": "bundle", "version": 1, "log_id", "prefix", "taken_at", "partitions": [{"logs": {"pushes":
             [start, end], ...}, "snapshots": [start, end], "commits": {"pushes": [offset, metadata], ...}}, ...]}
    record   {"topic", "partition", "offset", "timestamp", "headers", "key", "value", "previous"};
             and "damaged": [the offset after it, why], where it stands for a batch that could not be read
    last     {"records": n, "last": {"pipelines": hash, "0": hash, ...}}

Records come by section: all of `pipelines`, then each partition with its snapshot and its four logs (in the order of
`hookline.audit.order`). `previous` is the SHA-256 (hex) of the line before in its section, without the newline, for the
first one of the header. Text is text, other bytes are `{"base64": ...}`; `timestamp` is Unix ms.
The SHA-256 of the last line, the *seal*, stands for the whole: who was told it can tell whether this is that bundle.
"""

import base64
from functools import lru_cache
from hashlib import sha256
from typing import Final, Literal, TypeAlias
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json, to_json

from hookline.audit.source import Extent, Origin, Span
from hookline.errors import BundleBroken
from hookline.log.cluster import Commit
from hookline.log.records import LOGS, DamagedBatch, Place, RawRecord, Topic, damaged

__all__ = [
    "PIPELINES",
    "LastLine",
    "Section",
    "dump_header",
    "dump_last",
    "dump_record",
    "hash_of",
    "load_header",
    "load_record",
    "section_of",
]

VERSION: Final = 1
PIPELINES: Final = "pipelines"

Section: TypeAlias = str
"""`pipelines`, or a partition's number."""


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Partition(_Line):
    logs: dict[Topic, tuple[int, int]]
    snapshots: tuple[int, int]
    commits: dict[Topic, tuple[int, str]]


class _Header(_Line):
    hookline: Literal["bundle"] = "bundle"
    version: int
    log_id: UUID | None
    prefix: str
    taken_at: int
    partitions: tuple[_Partition, ...] = Field(min_length=1)


class LastLine(_Line):
    """`last`: the hash of the last line of each section (of the header, where it has none). `records`: lines between."""

    records: int
    last: dict[Section, str]


def hash_of(line: bytes) -> str:
    """What the next line of the section names."""
    return sha256(line).hexdigest()


def section_of(place: Place) -> Section:
    return PIPELINES if place.topic is Topic.PIPELINES else str(place.partition)


def dump_header(origin: Origin) -> bytes:
    return to_json(
        {
            "hookline": "bundle",
            "version": VERSION,
            "log_id": origin.log_id,
            "prefix": origin.prefix,
            "taken_at": origin.taken_at,
            "partitions": [
                {
                    "logs": {topic: list(span) for topic, span in extent.logs.items()},
                    "snapshots": list(extent.snapshots),
                    "commits": {topic: list(commit) for topic, commit in extent.commits.items()},
                }
                for extent in origin.extents
            ],
        }
    )


def load_header(line: bytes) -> Origin:
    """Raises BundleBroken."""
    try:
        header = _Header.model_validate_json(line)
    except ValidationError:
        raise BundleBroken(
            "this is not a bundle of `hookline audit export`: its first line is not a bundle's"
        ) from None
    if header.version != VERSION:
        raise BundleBroken(f"this is a bundle of version {header.version}, and this Hookline reads version {VERSION}")
    if any(set(partition.logs) != set(LOGS) for partition in header.partitions):
        raise BundleBroken("line 1: a partition does not say where its four logs begin and end")
    return Origin(header.log_id, header.prefix, header.taken_at, tuple(map(_extent, header.partitions)))


def dump_record(raw: RawRecord, previous: str) -> bytes:
    damage = {"damaged": [raw.until, raw.why]} if isinstance(raw, DamagedBatch) else {}
    return to_json(
        {
            "topic": raw.place.topic,
            "partition": raw.place.partition,
            "offset": raw.offset,
            "timestamp": raw.timestamp,
            "headers": {name: _text(value) for name, value in raw.headers.items()},
            "key": _text(raw.key),
            "value": _text(raw.value),
            "previous": previous,
            **damage,
        }
    )


def load_record(line: bytes) -> tuple[RawRecord, str]:
    """The record, and the hash of the line before it. Raises ValueError. (By hand: a model takes twice as long.)"""
    said = from_json(line, cache_strings="keys")
    try:
        headers = {
            name: value.encode() if type(value) is str else _from_base64(value)
            for name, value in said["headers"].items()
        }
        place = _place(said["topic"], said["partition"])
        offset, timestamp, previous = said["offset"], said["timestamp"], said["previous"]
        raw = RawRecord(place, offset, timestamp, _bytes(said["key"]), _bytes(said["value"]), headers)
        if "damaged" in said:
            raw = damaged(place, offset, int(said["damaged"][0]), str(said["damaged"][1]))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(str(error)) from None
    if not (type(offset) is type(timestamp) is int and type(previous) is str):
        raise ValueError("offset, timestamp or previous")
    return raw, previous


def dump_last(last: LastLine) -> bytes:
    return to_json(last)


def _extent(partition: _Partition) -> Extent:
    logs = {topic: Span(*partition.logs[topic]) for topic in LOGS}
    return Extent(
        logs, Span(*partition.snapshots), {topic: Commit(*commit) for topic, commit in partition.commits.items()}
    )


def _text(value: bytes | None) -> object:
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}


def _bytes(value: object) -> bytes | None:
    """The opposite of `_text`. Raises ValueError, KeyError, TypeError."""
    if type(value) is str:
        return value.encode()
    return None if value is None else _from_base64(value)


def _from_base64(value: object) -> bytes:
    if not isinstance(value, dict):
        raise ValueError("neither text nor base64")
    return base64.b64decode(value["base64"], validate=True)


@lru_cache(maxsize=10_000)
def _place(topic: str, partition: object) -> Place:
    """The few places there are, made once. Raises ValueError."""
    if type(partition) is not int:
        raise ValueError("partition")
    return Place(Topic(topic), partition)
