"""Judges what a record says beside its event: its key and headers follow from the event, and no writer puts others there (I13)."""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Final

from hookline.audit.findings import Invariant, Wrong
from hookline.chain.events import Fence, SkipRequested
from hookline.log.codec import CONTENT_TYPE, SPEC_VERSION, Identity, Record, identity_of

__all__ = ["judge_identity"]

SHOWN: Final = 80
"""Characters of what stands there that a finding repeats."""

_UUID = re.compile(rb"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_PARTITION = re.compile(rb"partition-(0|[1-9][0-9]*)")


def judge_identity(record: Record) -> Iterable[Wrong]:
    """The codec that writes every record says what is right."""
    right, headers = identity_of(record.event, record.partition), record.raw.headers
    subject, event_id = headers.get("ce_subject"), headers.get("ce_id")
    if (
        record.raw.key == right.key
        and event_id is not None
        and (_UUID.fullmatch(event_id) if right.event_id is None else event_id == right.event_id.encode())
        and subject == right.subject.encode()
        and all(headers.get(name) == value for name, value in _constants(right.source))
    ):
        return ()
    return _differences(record, right)


def _differences(record: Record, right: Identity) -> Iterator[Wrong]:
    headers = record.raw.headers
    subject, event_id = headers.get("ce_subject"), headers.get("ce_id")
    if record.raw.key != right.key:
        yield _differs("key", record.raw.key, right.key)
    if isinstance(record.event, Fence | SkipRequested):
        # Of no chain: that it names a partition is all that can be asked of a log that was copied into another place.
        if subject is None or _PARTITION.fullmatch(subject) is None:
            yield _differs("ce_subject", subject, right.subject.encode())
    elif subject != right.subject.encode():
        yield _differs("ce_subject", subject, right.subject.encode())
    if right.event_id is None:
        if event_id is None or _UUID.fullmatch(event_id) is None:
            yield Wrong(Invariant.I13, f"its ce_id {_shown(event_id)} is no UUID")
    elif event_id != right.event_id.encode():
        yield _differs("ce_id", event_id, right.event_id.encode())
    for name, value in _constants(right.source):
        if headers.get(name) != value:
            yield _differs(name, headers.get(name), value)


@cache
def _constants(source: str) -> tuple[tuple[str, bytes], ...]:
    """Of one service, the same beside every event."""
    return ("ce_source", source.encode()), ("ce_specversion", SPEC_VERSION), ("content-type", CONTENT_TYPE)


def _differs(what: str, there: bytes | None, right: bytes | None) -> Wrong:
    return Wrong(Invariant.I13, f"its {what} is {_shown(there)}, and its writer makes {_shown(right)} of its event")


def _shown(value: bytes | None) -> str:
    return "missing" if value is None else repr(value.decode(errors="replace")[:SHOWN])
