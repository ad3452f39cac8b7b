"""Azure Container Registry: its webhooks (one event of Distribution's format, without an envelope) and Event Grid's CloudEvents."""

from collections.abc import Iterable
from typing import ClassVar

from hookline.chain.events import Payload
from services.ingress.checks import Check, Token
from services.ingress.cloud_event import CE_HEADERS, cloud_events, event_fields, is_cloud_event
from services.ingress.delivery import Delivery, Ignored, IgnoredReason, Part, Push
from services.ingress.reading import text
from services.ingress.source import Source
from services.ingress.sources.distribution import distribution_push

__all__ = ["SOURCE", "AzureContainerRegistry"]

GRID_PUSHED, GRID_DELETED = "Microsoft.ContainerRegistry.ImagePushed", "Microsoft.ContainerRegistry.ImageDeleted"


class AzureContainerRegistry(Source):
    """A webhook sends no header but those it was told to; `ping` is its test. Event Grid asks by OPTIONS first."""

    name: ClassVar[str] = "acr"
    title: ClassVar[str] = "Azure Container Registry"
    setup: ClassVar[str] = """\
az acr webhook create --registry REGISTRY --name hookline --actions push \\
  --uri '{url}' --headers 'Authorization=Bearer {token}'
"""
    preview: ClassVar[bool] = True
    checks: ClassVar[tuple[Check, ...]] = (Token(verbatim=True),)
    kept_headers: ClassVar[frozenset[str]] = CE_HEADERS
    handshake: ClassVar[bool] = True

    def parse(self, delivery: Delivery) -> Iterable[Part]:
        return cloud_events(delivery) if is_cloud_event(delivery) else super().parse(delivery)

    def normalise(self, event: Payload, delivery: Delivery) -> Push | Ignored:
        if "specversion" in event:
            fields = event_fields(event)
            if fields.type != GRID_PUSHED:
                return Ignored(IgnoredReason.DELETE if fields.type == GRID_DELETED else IgnoredReason.OTHER_ACTION)
            return distribution_push(fields.data | {"action": "push"})
        if text(event.get("action")) == "ping":
            return Ignored(IgnoredReason.PING)
        return distribution_push(event)


SOURCE = AzureContainerRegistry()
