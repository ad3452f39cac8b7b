"""Amazon ECR through EventBridge: its events as they are, or reshaped to CloudEvents by an input transformer."""

from collections.abc import Iterable
from typing import ClassVar

from hookline.chain.events import Payload
from hookline.errors import Unreadable
from services.ingress.checks import Check, SecretHeader, Token
from services.ingress.cloud_event import CE_HEADERS, cloud_events, event_fields, is_cloud_event, outcome_of_type
from services.ingress.delivery import Delivery, Ignored, IgnoredReason, Part, Push
from services.ingress.image import image_push
from services.ingress.reading import member, millis_of, tag_text, text
from services.ingress.source import Source

__all__ = ["SOURCE", "AmazonEcr"]

ACTION, PUSHED, SUCCESS = "ECR Image Action", "PUSH", "SUCCESS"


class AmazonEcr(Source):
    """An API destination POSTs them, with a key in a header, with Basic, or with OAuth. No event names who pushed."""

    name: ClassVar[str] = "ecr"
    title: ClassVar[str] = "Amazon ECR"
    setup: ClassVar[str] = """\
# EventBridge: a connection (API key: name Authorization, value Bearer {token}),
# an API destination (POST {url}), and a rule to it with the pattern
{{"source": ["aws.ecr"], "detail-type": ["ECR Image Action"], "detail": {{"action-type": ["PUSH"], "result": ["SUCCESS"]}}}}
"""
    preview: ClassVar[bool] = True
    checks: ClassVar[tuple[Check, ...]] = (Token(verbatim=True), SecretHeader("X-Api-Key"))
    kept_headers: ClassVar[frozenset[str]] = CE_HEADERS

    def parse(self, delivery: Delivery) -> Iterable[Part]:
        return cloud_events(delivery) if is_cloud_event(delivery) else super().parse(delivery)

    def normalise(self, event: Payload, delivery: Delivery) -> Push | Ignored:
        return _from_cloud_event(event) if "specversion" in event else _from_event_bridge(event)


def _from_event_bridge(event: Payload) -> Push | Ignored:
    if event.get("detail-type") != ACTION:
        return Ignored(IgnoredReason.OTHER_ACTION)
    detail = member(event, "detail")
    action = text(detail.get("action-type"))
    if action != PUSHED or detail.get("result") != SUCCESS:
        return Ignored(IgnoredReason.DELETE if action == "DELETE" else IgnoredReason.OTHER_ACTION)
    return image_push(
        Push(
            repository=_repository(text(detail.get("repository-name"))),
            registry=_registry(text(event.get("account")), text(event.get("region"))),
            tag=tag_text(detail.get("image-tag")),
            digest=text(detail.get("image-digest")),
            media_type=text(detail.get("manifest-media-type")),
            artifact_media_type=text(detail.get("artifact-media-type")),
            pushed_at=millis_of(event.get("time")),
            producer_id=text(event.get("id")),
        )
    )


def _from_cloud_event(event: Payload) -> Push | Ignored:
    """As argocd-image-updater's example reshapes it: `source` is urn:aws:ecr:<region>:<account>:repository/<name>."""
    fields = event_fields(event)
    if (reason := outcome_of_type(fields.type)) is not None:
        return Ignored(reason)
    data, parts = fields.data, fields.source.split(":")
    region, account = (parts[3], parts[4]) if parts[0] in ("urn", "arn") and len(parts) > 4 else (None, None)
    return image_push(
        Push(
            repository=_repository(text(data.get("repositoryName"))),
            registry=_registry(text(data.get("registryId")) or account, region),
            tag=tag_text(data.get("imageTag")),
            digest=text(data.get("imageDigest")),
            media_type=text(data.get("manifestMediaType")),
            artifact_media_type=text(data.get("artifactMediaType")),
            pushed_at=fields.time,
            producer_id=fields.id,
        )
    )


def _repository(name: str | None) -> str:
    if name is None:
        raise Unreadable("no repository: the event has no repository name")
    return name


def _registry(account: str | None, region: str | None) -> str | None:
    if account is None or region is None:
        return None
    return f"{account}.dkr.ecr.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"


SOURCE = AmazonEcr()
