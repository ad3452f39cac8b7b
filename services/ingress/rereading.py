"""Reads the raw body of a push again, as ingress read it: what an audit compares a PushReceived with."""

from base64 import b64decode
from collections.abc import Iterator, Mapping
from uuid import UUID

from multidict import CIMultiDict, MultiDict

from hookline.chain.events import PushReceived
from hookline.chain.registry_names import RegistryNames
from hookline.errors import Unreadable
from services.ingress.cloud_event import STRUCTURED
from services.ingress.contents import contents_of
from services.ingress.delivery import Delivery, Push
from services.ingress.push_records import Receipt, push_received
from services.ingress.source import Source
from services.ingress.sources import discover

__all__ = ["Rereader"]


class Rereader:
    """By the sources of this version, without any settings. (`hookline.audit.pushes.PushReader`)"""

    def __init__(self, sources: Mapping[str, Source] | None = None) -> None:
        self._sources = discover() if sources is None else sources

    def read_again(self, event: PushReceived, log_id: UUID) -> PushReceived | None:
        """What ingress would append, with the same plans; None for a source that is none of ours.

        Of a source that goes by settings the fields are taken as they stand, and the payload is made of them.
        Raises Unreadable where its source makes no push of the body; ValueError where that is neither text nor base64.
        """
        source = self._sources.get(event.source) or self._below(event.source)
        if source is None:
            return None
        body = b64decode(event.raw, validate=True) if event.raw_encoding == "base64" else event.raw.encode()
        delivery = Delivery(body, CIMultiDict(event.headers), MultiDict())
        found = [
            push_received(
                Receipt(source, delivery, event.received_at), raw, push,
                log_id=log_id, settings_offset=event.settings_offset, plans=event.plans, same_digest=event.same_digest,
            )
            for raw, push in _pushes(source, delivery, event)
        ]  # fmt: skip
        if not found:
            raise Unreadable("it has none")
        return next((again for again in found if again == event), found[0])

    def _below(self, name: str) -> Source | None:
        """The source of a mapping that settings named: they are in no log."""
        parent = self._sources.get(name.partition("/")[0])
        return parent.below(name) if parent is not None else None


def _pushes(source: Source, delivery: Delivery, event: PushReceived) -> Iterator[tuple[bytes, Push]]:
    """Every way in which it can be read. A part of an event that came in headers is kept as an event of its own."""
    if source.by_settings:
        yield delivery.body, _as_it_stands(event)
        return
    ways = [delivery]
    if "ce-specversion" in delivery.headers:
        ways.append(Delivery(delivery.body, CIMultiDict({"content-type": STRUCTURED}), delivery.query))
    reasons = []
    read = False
    told = event.told_registry
    names = RegistryNames({} if told is None or event.registry is None else {told: event.registry})
    for way in ways:
        contents = contents_of(source, way, names)
        reasons += [unread.reason for unread in contents.unread]
        for pair in contents.pushes:
            read = True
            yield pair
    if not read and reasons:
        raise Unreadable(reasons[0])


def _as_it_stands(event: PushReceived) -> Push:
    return Push(
        repository=event.repository,
        registry=event.registry,
        told_registry=event.told_registry,
        tag=event.tag,
        digest=event.digest,
        media_type=event.media_type,
        artifact_media_type=event.artifact_media_type,
        artifact_type=event.artifact_type,
        pusher=event.pusher,
        pushed_at=event.pushed_at,
        producer_id=event.producer_id,
        upstream_callback_url=event.upstream_callback_url,
    )
