"""From the contents of a delivery to the records that are appended: PushReceived with its plans, and Quarantined."""

import re
from base64 import b64encode
from typing import Literal, NamedTuple
from uuid import UUID

from hookline.chain.events import Plan, PushReceived, Quarantined
from hookline.chain.ids import push_id
from services.ingress.contents import Unread
from services.ingress.delivery import Delivery, Push
from services.ingress.payload import docker_hub_payload
from services.ingress.reading import clean
from services.ingress.registry_given import REGISTRY_HEADER, given_registry
from services.ingress.source import Source

__all__ = ["Receipt", "kept_headers", "push_received", "quarantined"]

KEPT_HEADERS = frozenset({"content-type", "user-agent", "x-request-id"})
"""Kept of every delivery; a source adds its own. Never a credential (I11)."""

MAX_REGISTRY = 300
"""Characters of a given registry that are kept: more than any name has."""

_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")
"""Bytes that JSON text holds as six: a body with them is kept as base64, so that its record stays small."""


class Receipt(NamedTuple):
    """One delivery: to which source it came, and when (Unix ms)."""

    source: Source
    delivery: Delivery
    received_at: int


def push_received(
    receipt: Receipt,
    raw: bytes,
    push: Push,
    *,
    log_id: UUID,
    settings_offset: int,
    plans: tuple[Plan, ...],
    same_digest: tuple[str, ...] = (),
) -> PushReceived:
    """`raw`: what was delivered of the push. `settings_offset`: the position of the table that the plans were made from."""
    source, delivery, received_at = receipt
    pushed_at = push.pushed_at if push.pushed_at is not None else received_at
    return PushReceived(
        push_id=push_id(log_id, source.name, push.producer_id, raw),
        source=source.name,
        producer_id=push.producer_id,
        received_at=received_at,
        dedupe_window_s=source.dedupe_window_s(push),
        pushed_at=pushed_at,
        registry=push.registry,
        told_registry=push.told_registry,
        repository=push.repository,
        tag=push.tag,
        digest=push.digest,
        media_type=push.media_type,
        artifact_media_type=push.artifact_media_type,
        artifact_type=push.artifact_type,
        pusher=push.pusher,
        payload=push.payload if push.payload is not None else docker_hub_payload(push, pushed_at),
        raw=raw.decode(),
        headers=kept_headers(delivery, source.kept_headers),
        upstream_callback_url=push.upstream_callback_url,
        settings_offset=settings_offset,
        plans=plans,
        same_digest=same_digest,
    )


def quarantined(receipt: Receipt, unread: Unread, *, keep: frozenset[str] = frozenset()) -> Quarantined:
    """`keep`: names of headers to keep beside the source's, in lower case."""
    source, delivery, received_at = receipt
    text, encoding = _text(unread.raw)
    return Quarantined(
        source=source.name,
        received_at=received_at,
        reason=unread.reason,
        raw=text,
        raw_encoding=encoding,
        headers=kept_headers(delivery, source.kept_headers | keep),
    )


def kept_headers(delivery: Delivery, more: frozenset[str] = frozenset()) -> dict[str, str]:
    """The headers of the allow-list, names in lower case; bytes that are no UTF-8 are replaced.

    With the registry that the URL gave, for it is not kept itself: it may hold a token (I11).
    """
    headers = delivery.headers
    kept = {name: clean(value) for name in sorted(KEPT_HEADERS | more) if (value := headers.get(name)) is not None}
    registry = given_registry(delivery)
    return kept if registry is None else kept | {REGISTRY_HEADER: registry[:MAX_REGISTRY]}


def _text(raw: bytes) -> tuple[str, Literal["utf-8", "base64"]]:
    if not _CONTROL.search(raw):
        try:
            return raw.decode(), "utf-8"
        except UnicodeDecodeError:
            pass
    return b64encode(raw).decode(), "base64"
