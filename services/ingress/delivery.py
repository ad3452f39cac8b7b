"""What a producer delivers, and what its source makes of it: pushes, ignored events, or nothing readable."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from multidict import MultiMapping
from pydantic import JsonValue

from hookline.chain.artifacts import ArtifactType
from hookline.chain.events import Payload

__all__ = ["Delivery", "Ignored", "IgnoredReason", "Part", "Push"]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One request. `Source.verify_head` gets no body, `verify_body` as it was sent, all others without its Content-Encoding."""

    body: bytes
    headers: Mapping[str, str]
    query: MultiMapping[str]


@dataclass(frozen=True, slots=True)
class Part:
    """One event of a delivery. `raw` is what a replay would read again: the body, or a body with this event only."""

    event: JsonValue
    raw: bytes


class IgnoredReason(StrEnum):
    """Why an event starts nothing and is not kept (label of a metric)."""

    PULL = "pull"
    MOUNT = "mount"
    DELETE = "delete"
    OTHER_ACTION = "other_action"
    WHEN = "when"
    """What `when` of a mapping is not true of."""
    BLOB = "blob"
    UNTAGGED = "untagged"
    REFERRER = "referrer"
    NO_IMAGE = "no_image"
    PING = "ping"


@dataclass(frozen=True, slots=True)
class Ignored:
    """An event that starts nothing: counted by reason, never in Kafka."""

    reason: IgnoredReason


@dataclass(frozen=True, slots=True)
class Push:
    """A push, normalised (design section 2, PushReceived).

    `payload`: what hooks get, None for Docker Hub's shape made of the other fields.
    `told_registry`: what the producer calls the registry, where an alias gives it another name.
    `pushed_at`: Unix ms, None where the producer does not say. `media_type`: the manifest's; `artifact_media_type`: of what is in
    it, which is the manifest's `artifactType`, else its config's media type; `has_subject`: is it attached to another manifest?
    `artifact_type`: in the producer's own words, else by these three; None where nothing tells.
    """

    repository: str
    payload: Payload | None = None
    registry: str | None = None
    told_registry: str | None = None
    tag: str | None = None
    digest: str | None = None
    media_type: str | None = None
    artifact_media_type: str | None = None
    has_subject: bool = False
    artifact_type: ArtifactType | None = None
    pusher: str | None = None
    pushed_at: int | None = None
    producer_id: str | None = None
    upstream_callback_url: str | None = None
