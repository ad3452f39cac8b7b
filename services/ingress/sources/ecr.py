"""Amazon ECR through EventBridge: its events whole, their detail alone, or reshaped to CloudEvents; by an API destination or by SNS."""

from collections.abc import Iterable
from typing import ClassVar, NamedTuple

from hookline.chain.events import Payload
from hookline.errors import Unreadable
from services.ingress.checks import Check, SecretHeader, Token
from services.ingress.cloud_event import CE_HEADERS, cloud_events, event_fields, is_cloud_event
from services.ingress.delivery import Delivery, Ignored, IgnoredReason, Part, Push
from services.ingress.envelopes import ENVELOPE_HEADERS, Opened, opened
from services.ingress.image import image_push
from services.ingress.reading import first_of, id_text, member, millis_of, tag_text, text
from services.ingress.several import Keys
from services.ingress.source import Source
from services.ingress.unknown import no_push, unknown_event

__all__ = ["SOURCE", "AmazonEcr"]

PUSHES = {"ECR Image Action": "PUSH", "ECR Replication Action": "REPLICATE"}
"""Which action of which event is a push; a replication is one in the registry that it goes to."""
NO_PUSHES = {
    "ECR Image Scan": IgnoredReason.OTHER_ACTION,
    "ECR Scan Resource Change": IgnoredReason.OTHER_ACTION,
    "ECR Pull Through Cache Action": IgnoredReason.PULL,
    "ECR Referrer Action": IgnoredReason.REFERRER,
    "Inspector2 Scan": IgnoredReason.OTHER_ACTION,
    "Inspector2 Finding": IgnoredReason.OTHER_ACTION,
    "Inspector2 Coverage": IgnoredReason.OTHER_ACTION,
}
"""Events that are none, by their `detail-type`."""
NO_PUSH_ACTIONS = {"DELETE": IgnoredReason.DELETE, "UPDATE_STORAGE_CLASS": IgnoredReason.OTHER_ACTION}
NO_PUSH_DETAILS = {
    "scan-status": IgnoredReason.OTHER_ACTION,
    "scan-type": IgnoredReason.OTHER_ACTION,
    "sync-status": IgnoredReason.PULL,
}
"""By which of its fields a detail that comes alone is known to be of an event that is none."""
NO_PUSH_TYPES = {
    "delete": IgnoredReason.DELETE,
    "deleted": IgnoredReason.DELETE,
    "scan": IgnoredReason.OTHER_ACTION,
    "scanned": IgnoredReason.OTHER_ACTION,
}
"""By the last word of a CloudEvent's type, which whoever reshapes the event makes up."""
PUSH_TYPES = frozenset({"push", "pushed", "replicate", "replicated"})
SUCCESS, FAILURES = "SUCCESS", ("FAILURE", "FAILED")
API_CALL, PUT_IMAGE = "AWS API Call via CloudTrail", "PutImage"

DOMAINS = {
    "cn-": "amazonaws.com.cn",
    "eusc-": "amazonaws.eu",
    "us-iso-": "c2s.ic.gov",
    "us-isob-": "sc2s.sgov.gov",
    "us-isof-": "csp.hci.ic.gov",
    "eu-isoe-": "cloud.adc-e.uk",
}
"""Of the regions outside of `amazonaws.com`, by how their names begin."""


class _Where(NamedTuple):
    """Which registry an event is of, as far as it says."""

    account: str | None
    region: str | None

    def host(self) -> str | None:
        if self.account is None or self.region is None:
            return None
        domain = next((name for start, name in DOMAINS.items() if self.region.startswith(start)), "amazonaws.com")
        return f"{self.account}.dkr.ecr.{self.region}.{domain}"


class AmazonEcr(Source):
    """An API destination POSTs them, with a key in a header, with Basic, or with OAuth; SNS with a token in the URL.

    No event names who pushed.
    """

    name: ClassVar[str] = "ecr"
    title: ClassVar[str] = "Amazon ECR"
    setup: ClassVar[str] = """\
# EventBridge: a connection (API key: name Authorization, value Bearer {token}),
# an API destination (POST {url}), and a rule to it with the pattern
{{"source": ["aws.ecr"], "detail-type": ["ECR Image Action"], "detail": {{"action-type": ["PUSH"], "result": ["SUCCESS"]}}}}
# or a rule with that pattern to an SNS topic, and a subscription of it (HTTPS):
# {url}?token={token}
"""
    preview: ClassVar[bool] = True
    checks: ClassVar[tuple[Check, ...]] = (Token(verbatim=True), SecretHeader("X-Api-Key"))
    kept_headers: ClassVar[frozenset[str]] = CE_HEADERS | ENVELOPE_HEADERS
    tags_at: ClassVar[tuple[Keys, ...]] = (
        ("detail", "image-tag"),
        ("image-tag",),
        ("data", "imageTag"),
        ("data", "image-tag"),
    )

    def parse(self, delivery: Delivery) -> Iterable[Part]:
        return cloud_events(delivery) if is_cloud_event(delivery) else super().parse(delivery)

    def normalise(self, event: Payload, delivery: Delivery) -> Push | Ignored:
        inside = opened(event, delivery)
        if "specversion" in inside.event:
            return _from_cloud_event(inside.event)
        if "detail-type" in inside.event:
            return _from_event_bridge(inside)
        return _from_detail_alone(inside)


def _from_event_bridge(inside: Opened) -> Push | Ignored:
    event = inside.event
    detail_type, detail = text(event.get("detail-type")), member(event, "detail")
    if detail_type in NO_PUSHES:
        return Ignored(NO_PUSHES[detail_type])
    if detail_type == API_CALL:
        return _from_cloud_trail(detail)
    if detail_type not in PUSHES:
        raise unknown_event("detail-type", event.get("detail-type"))
    if (ignored := _no_push(detail, (PUSHES[detail_type],))) is not None:
        return ignored
    where = _Where(id_text(event.get("account")), text(event.get("region")))
    event_id = text(event.get("id")) or inside.message_id
    return _push(detail, where, millis_of(event.get("time")) or inside.published_at, event_id)


def _from_cloud_trail(detail: Payload) -> Ignored:
    """A call of the API; the one that pushes is told once more by an event of its own. Raises Unreadable."""
    call = text(detail.get("eventName"))
    if call is None:
        raise unknown_event("eventName", detail.get("eventName"))
    if call == PUT_IMAGE:
        raise Unreadable(
            "PutImage by way of CloudTrail: let the rule match the detail-type ECR Image Action, which says more"
        )
    return Ignored(IgnoredReason.OTHER_ACTION)


def _from_detail_alone(inside: Opened) -> Push | Ignored:
    """As the input path `$.detail` of a rule's target leaves it: without id, time, account and region."""
    detail = inside.event
    if "action-type" not in detail and not NO_PUSH_DETAILS.keys() & detail.keys():
        raise unknown_event("detail-type", None)
    if (mark := next((mark for mark in NO_PUSH_DETAILS if mark in detail), None)) is not None:
        return Ignored(NO_PUSH_DETAILS[mark])
    if (ignored := _no_push(detail, tuple(PUSHES.values()))) is not None:
        return ignored
    return _push(detail, _Where(None, None), inside.published_at, inside.message_id)


def _no_push(detail: Payload, pushes: tuple[str, ...]) -> Ignored | None:
    """Why the action of that detail is no push; None for one. Raises Unreadable for an action or a result that is not known."""
    result = text(detail.get("result"))
    if (ignored := no_push("action-type", detail.get("action-type"), pushes, NO_PUSH_ACTIONS)) is not None:
        return ignored
    if result in FAILURES:
        return Ignored(IgnoredReason.OTHER_ACTION)
    if result != SUCCESS:
        raise unknown_event("result", detail.get("result"))
    return None


def _push(detail: Payload, where: _Where, pushed_at: int | None, event_id: str | None) -> Push | Ignored:
    return image_push(
        Push(
            repository=_repository(text(detail.get("repository-name"))),
            registry=where.host(),
            tag=tag_text(detail.get("image-tag")),
            digest=text(detail.get("image-digest")),
            media_type=text(detail.get("manifest-media-type")),
            artifact_media_type=text(detail.get("artifact-media-type")),
            pushed_at=pushed_at,
            producer_id=event_id,
        )
    )


def _from_cloud_event(event: Payload) -> Push | Ignored:
    """As argocd-image-updater's example reshapes it: `source` is urn:aws:ecr:<region>:<account>:repository/<name>.

    What `data` does not have stands in `subject` (`name:tag`) and in `source`. Or the type is EventBridge's, and `data` the detail.
    """
    fields = event_fields(event)
    data, (where, repository) = fields.data, _source(fields.source)
    if fields.type in (*PUSHES, *NO_PUSHES):
        whole: Payload = {"detail-type": fields.type, "detail": data, "account": where.account, "region": where.region}
        return _from_event_bridge(Opened(whole, fields.id, fields.time))
    word = fields.type.rpartition(".")[2].lower()
    if word in NO_PUSH_TYPES:
        return Ignored(NO_PUSH_TYPES[word])
    if word not in PUSH_TYPES:
        raise unknown_event("type", fields.type)
    if text(data.get("result")) in FAILURES:
        return Ignored(IgnoredReason.OTHER_ACTION)
    name, tag = _subject(fields.subject or "")
    return image_push(
        Push(
            repository=_repository(text(first_of(data, ("repositoryName", "repository-name"))) or name or repository),
            registry=_Where(id_text(data.get("registryId")) or where.account, where.region).host(),
            tag=tag_text(first_of(data, ("imageTag", "image-tag"))) or tag,
            digest=text(first_of(data, ("imageDigest", "image-digest"))),
            media_type=text(first_of(data, ("manifestMediaType", "manifest-media-type"))),
            artifact_media_type=text(first_of(data, ("artifactMediaType", "artifact-media-type"))),
            pushed_at=fields.time,
            producer_id=fields.id,
        )
    )


def _source(source: str) -> tuple[_Where, str | None]:
    """Registry and repository of `urn:aws:ecr:<region>:<account>:repository/<name>`, or of an ARN; nothing of anything else."""
    scheme, *parts = source.split(":", 5)
    if scheme not in ("urn", "arn") or len(parts) < len(("aws", "ecr", "region", "account")):
        return _Where(None, None), None
    kind, _, name = parts[4].partition("/") if len(parts) > 4 else ("", "", "")
    return _Where(parts[3] or None, parts[2] or None), name if kind == "repository" and name else None


def _subject(subject: str) -> tuple[str | None, str | None]:
    """Name and tag of `name:tag`. A first part with a dot is no host here: ECR's names may have dots."""
    name, colon, tag = subject.partition("@")[0].rpartition(":")
    return (name or None, tag or None) if colon else (None, None)


def _repository(name: str | None) -> str:
    if name is None:
        raise Unreadable("no repository: the event has no repository name")
    return name


SOURCE = AmazonEcr()
