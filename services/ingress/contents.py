"""What is in a delivery, as its source sees it: pushes, events that start nothing, and what cannot be read."""

import traceback
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import structlog

from hookline.chain.registry_names import RegistryNames, registry_name, repository_name
from hookline.errors import Unreadable
from services.ingress.delivery import Delivery, Ignored, IgnoredReason, Part, Push
from services.ingress.name_grammar import check_names
from services.ingress.reading import tidy
from services.ingress.registry_given import given_registry
from services.ingress.several import only_tag, tags_apart, with_own_id
from services.ingress.source import Source

__all__ = ["MAX_EVENTS", "MAX_RAW", "TOO_MANY", "Contents", "Unread", "contents_of"]

log = structlog.get_logger()

MAX_EVENTS = 500
"""Of one delivery: few enough that all are acked before a registry's patience ends. No registry is known to send more than one."""
MAX_RAW = 4 * 1024 * 1024
"""Bytes of all its parts: those of one event of many repeat what stands around it."""
TOO_MANY = f"more than {MAX_EVENTS} events, or {MAX_RAW // 1024 // 1024} MiB of them, in one body"


class Unread(NamedTuple):
    """A body, or one event of it, that cannot be read, and why."""

    raw: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class Contents:
    """All of a delivery, sorted: pushes with what was delivered of each (`Part.raw`)."""

    pushes: list[tuple[bytes, Push]] = field(default_factory=list)
    ignored: list[IgnoredReason] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)


def contents_of(source: Source, delivery: Delivery, names: RegistryNames) -> Contents:
    """Never raises: one event that cannot be read is `unread` and the others are taken."""
    contents = Contents()
    try:
        parts = _parts(source, delivery)
    except Exception as error:  # noqa: BLE001  as below
        contents.unread.append(Unread(delivery.body, _why(source, error)))
        return contents
    for part in parts:
        try:
            outcome = _outcome(source, part, delivery, names)
        except Exception as error:  # noqa: BLE001  our bug must not become a 500: a registry would block its queue behind it
            contents.unread.append(Unread(part.raw, _why(source, error)))
            continue
        if isinstance(outcome, Ignored):
            contents.ignored.append(outcome.reason)
        else:
            contents.pushes.append((part.raw, outcome))
    return contents


def _parts(source: Source, delivery: Delivery) -> list[Part]:
    """Raises Unreadable for more than we would append for one delivery: each part holds what it needs of the whole again."""
    parts: list[Part] = []
    size = 0
    for whole in source.parse(delivery):
        for part in _apart(source, whole):
            parts.append(part)
            size += len(part.raw)
            if len(parts) > MAX_EVENTS or size > MAX_RAW:
                raise Unreadable(TOO_MANY)
    return parts


def _apart(source: Source, part: Part) -> Iterable[Part]:
    """One part for each tag."""
    events = tags_apart(part.event, source.tags_at) if isinstance(part.event, dict) else None
    return (part,) if events is None else (Part(event, source.raw_of(event)) for event in events)


def _outcome(source: Source, part: Part, delivery: Delivery, names: RegistryNames) -> Push | Ignored:
    if not isinstance(part.event, dict):
        raise Unreadable("the event is not a JSON object")
    tidy(part.event)
    of_several = only_tag(part.event, source.tags_at)
    outcome = source.normalise(part.event, delivery)
    if isinstance(outcome, Ignored):
        return outcome
    if of_several:
        outcome = replace(outcome, producer_id=with_own_id(outcome))
    return _named(outcome, delivery, names)


def _named(push: Push, delivery: Delivery, names: RegistryNames) -> Push:
    """With the names that its registry and repository go by. Raises Unreadable."""
    host = given_registry(delivery) if push.registry is None else push.registry
    told = registry_name(host) if host is not None else None
    registry = names.of(told) if told is not None else None
    repository = repository_name(push.repository, registry)
    if (registry, told, repository) != (push.registry, push.registry, push.repository):  # a copy has its price
        alias_of = told if told != registry else None
        push = replace(push, registry=registry, told_registry=alias_of, repository=repository)
    check_names(push)
    return push


def _why(source: Source, error: Exception) -> str:
    if isinstance(error, Unreadable):
        return str(error)
    # Neither its text nor its trace: they may quote what was sent (I11).
    where = traceback.extract_tb(error.__traceback__)[-1]
    at = f"{type(error).__name__} at {where.name}:{where.lineno}"
    log.error("a bug: an event went to quarantine", source=source.name, error=at)
    return f"a bug in Hookline: {at}"
