"""Azure Container Registry: its webhooks (one event of Distribution's format, without an envelope), and Event Grid in both schemas."""

from collections.abc import Iterable
from typing import ClassVar

from hookline.chain.events import Payload
from hookline.errors import Unreadable
from services.ingress.checks import Check, Token
from services.ingress.cloud_event import CE_HEADERS, cloud_events, event_fields, is_cloud_event
from services.ingress.delivery import Delivery, Ignored, IgnoredReason, Part, Push
from services.ingress.event_grid import VALIDATION, grid_data, grid_events, validation_code
from services.ingress.reading import text
from services.ingress.several import Keys
from services.ingress.source import Source
from services.ingress.sources.distribution import distribution_push
from services.ingress.unknown import no_push, unknown_event

__all__ = ["SOURCE", "AzureContainerRegistry"]

PUSHES = ("push", "chart_push")
"""A webhook's actions that are one; a chart of the chart repositories from before OCI says by its media type what it is."""
NO_PUSHES = {
    "delete": IgnoredReason.DELETE,
    "ping": IgnoredReason.PING,
    "quarantine": IgnoredReason.OTHER_ACTION,  # nobody can pull it yet; its push follows once it is let out
    "chart_delete": IgnoredReason.DELETE,
}
"""A webhook's actions that are none, by their names."""

GRID, GRID_PUSHES = "Microsoft.ContainerRegistry.", ("ImagePushed", "ChartPushed")
GRID_NO_PUSHES = {
    "ImageDeleted": IgnoredReason.DELETE,
    "ChartDeleted": IgnoredReason.DELETE,
    "Microsoft.EventGrid.SubscriptionDeletedEvent": IgnoredReason.OTHER_ACTION,
}
"""Event Grid's types that are none, without the prefix that it did not always send."""


class AzureContainerRegistry(Source):
    """A webhook sends no header but those it was told to; `ping` is its test.

    Event Grid asks first: by OPTIONS (CloudEvents), or with an event (its own schema).
    """

    name: ClassVar[str] = "acr"
    title: ClassVar[str] = "Azure Container Registry"
    setup: ClassVar[str] = """\
az acr webhook create --registry REGISTRY --name hookline --actions push \\
  --uri '{url}' --headers 'Authorization=Bearer {token}'
# or by Event Grid, in either schema (its handshake is answered):
az eventgrid event-subscription create --name hookline --source-resource-id "$(az acr show --name REGISTRY --query id -o tsv)" \\
  --included-event-types Microsoft.ContainerRegistry.ImagePushed --endpoint '{url}?token={token}'
"""
    preview: ClassVar[bool] = True
    checks: ClassVar[tuple[Check, ...]] = (Token(verbatim=True),)
    kept_headers: ClassVar[frozenset[str]] = CE_HEADERS
    handshake: ClassVar[bool] = True
    tags_at: ClassVar[tuple[Keys, ...]] = (("target", "tag"), ("data", "target", "tag"))

    def answer_to_handshake(self, delivery: Delivery) -> dict[str, str] | None:
        code = validation_code(delivery)
        return None if code is None else {"validationResponse": code}

    def parse(self, delivery: Delivery) -> Iterable[Part]:
        return cloud_events(delivery) if is_cloud_event(delivery) else grid_events(delivery)

    def normalise(self, event: Payload, delivery: Delivery) -> Push | Ignored:
        if "specversion" in event:
            fields = event_fields(event)
            return _from_event_grid(fields.type, fields.data, {"id": fields.id, "timestamp": event.get("time")})
        if "eventType" in event:
            about: Payload = {"id": event.get("id"), "timestamp": event.get("eventTime")}
            return _from_event_grid(text(event["eventType"]), grid_data(event), about)
        return no_push("action", event.get("action"), PUSHES, NO_PUSHES) or _push(event)


def _from_event_grid(event_type: str | None, data: Payload, about: Payload) -> Push | Ignored:
    """`data`: what a webhook sends; `about`: what the event says where that does not. Raises Unreadable."""
    if event_type == VALIDATION:
        raise Unreadable("Event Grid's handshake has no code that can be sent back, or other events beside it")
    name = (event_type or "").removeprefix(GRID)
    if name in GRID_NO_PUSHES:
        return Ignored(GRID_NO_PUSHES[name])
    if name not in GRID_PUSHES:
        raise unknown_event("type", event_type)
    return _push(about | data)


def _push(event: Payload) -> Push | Ignored:
    """Of an event in Distribution's format that is one, whatever its action is called here. Raises Unreadable."""
    return distribution_push(event | {"action": "push"})


SOURCE = AzureContainerRegistry()
