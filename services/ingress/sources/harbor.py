"""Harbor's webhooks, in its default format and as CloudEvents: an event holds the resources that were pushed."""

from collections.abc import Iterator, Mapping
from typing import ClassVar

from pydantic import JsonValue
from pydantic_core import to_json

from hookline.chain.events import Payload
from hookline.errors import Unreadable
from services.ingress.checks import Check, Token
from services.ingress.cloud_event import CE_HEADERS, cloud_events, event_fields, is_cloud_event
from services.ingress.delivery import Delivery, Ignored, IgnoredReason, Part, Push
from services.ingress.image import image_push
from services.ingress.reading import json_object, member, seconds_to_millis, tag_text, text
from services.ingress.reference import host_of
from services.ingress.source import Source
from services.ingress.unknown import no_push

__all__ = ["SOURCE", "Harbor"]

PUSHED = frozenset({"PUSH_ARTIFACT", "pushImage", "harbor.artifact.pushed"})
"""Of 2.x, of 1.x, and as CloudEvents."""
OTHERS: Mapping[str, IgnoredReason] = {
    **dict.fromkeys(("PULL_ARTIFACT", "pullImage", "harbor.artifact.pulled"), IgnoredReason.PULL),
    **dict.fromkeys(("DELETE_ARTIFACT", "deleteImage", "harbor.artifact.deleted"), IgnoredReason.DELETE),
    **dict.fromkeys(
        ("UPLOAD_CHART", "DOWNLOAD_CHART", "DELETE_CHART", "uploadChart", "downloadChart", "deleteChart"),
        IgnoredReason.NO_IMAGE,
    ),
    **dict.fromkeys(
        (
            *("SCANNING_COMPLETED", "SCANNING_FAILED", "SCANNING_STOPPED", "scanningCompleted", "scanningFailed"),
            *("QUOTA_EXCEED", "QUOTA_WARNING", "REPLICATION", "TAG_RETENTION"),
            *("harbor.scan.completed", "harbor.scan.failed", "harbor.scan.stopped"),
            *("harbor.quota.exceeded", "harbor.quota.warned"),
            *("harbor.replication.status.changed", "harbor.tag_retention.finished"),
        ),
        IgnoredReason.OTHER_ACTION,
    ),
}
"""What it tells that starts nothing. Charts are those of its ChartMuseum: one that is an OCI artifact is pushed as such."""


class Harbor(Source):
    """Of an artifact with several tags it names the first; one without has its digest for a tag.

    The default format has no event id; a CloudEvent's is the same over all retries.
    """

    name: ClassVar[str] = "harbor"
    title: ClassVar[str] = "Harbor"
    setup: ClassVar[str] = """\
# a project's Webhooks, New Webhook
Notify Type      http
Payload Format   CloudEvents          (Default works too)
Event Type       Artifact pushed
Endpoint URL     {url}
Auth Header      Bearer {token}
"""
    checks: ClassVar[tuple[Check, ...]] = (Token(verbatim=True),)
    kept_headers: ClassVar[frozenset[str]] = CE_HEADERS

    def parse(self, delivery: Delivery) -> Iterator[Part]:
        if is_cloud_event(delivery):
            for part in cloud_events(delivery):
                yield from _one_a_resource(part, "data")
        else:
            yield from _one_a_resource(Part(json_object(delivery.body), delivery.body), "event_data")

    def normalise(self, event: Payload, delivery: Delivery) -> Push | Ignored:
        if "specversion" in event:
            fields = event_fields(event)
            operator = text(event.get("operator"))
            return _push(fields.type, fields.data, operator, fields.time, _part_id(fields.id, event))
        event_type = text(event.get("type"))
        if event_type is None:
            raise Unreadable("no type")
        occurred_at = seconds_to_millis(event.get("occur_at"))
        return _push(event_type, member(event, "event_data"), text(event.get("operator")), occurred_at, None)


def _one_a_resource(part: Part, key: str) -> Iterator[Part]:
    """Nearly always one; else as many bodies as there are resources."""
    event = part.event
    data = event.get(key) if isinstance(event, dict) else None
    resources = data.get("resources") if isinstance(data, dict) else None
    if (
        not isinstance(event, dict)
        or not isinstance(data, dict)
        or not isinstance(resources, list)
        or len(resources) < 2
    ):
        yield part
        return
    for number, resource in enumerate(resources, 1):
        one: dict[str, JsonValue] = {**event, key: {**data, "resources": [resource]}}
        if "specversion" in event:
            one["resource"] = number
        yield Part(one, to_json(one))


def _part_id(event_id: str, event: Payload) -> str:
    """The event's id; where it had several resources, with the number of this one."""
    return f"{event_id}/{event['resource']}" if "resource" in event else event_id


def _push(
    event_type: str, data: Payload, operator: str | None, pushed_at: int | None, producer_id: str | None
) -> Push | Ignored:
    if (ignored := no_push("type", event_type, PUSHED, OTHERS)) is not None:
        return ignored
    repository = member(data, "repository")
    resources = data.get("resources")
    resource = resources[0] if isinstance(resources, list) and resources else None
    if not isinstance(resource, dict):
        raise Unreadable("no resources")
    return image_push(
        Push(
            repository=_full_name(repository),
            registry=host_of(text(resource.get("resource_url"))),
            tag=tag_text(resource.get("tag")),
            digest=text(resource.get("digest")),
            pusher=operator,
            pushed_at=pushed_at,
            producer_id=producer_id,
        )
    )


def _full_name(repository: Payload) -> str:
    if full := text(repository.get("repo_full_name")):
        return full
    namespace, name = text(repository.get("namespace")), text(repository.get("name"))
    if name is None:
        raise Unreadable("no repository: event_data.repository is missing")
    return f"{namespace}/{name}" if namespace else name


SOURCE = Harbor()
