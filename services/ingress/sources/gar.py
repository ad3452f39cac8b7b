"""Google Artifact Registry: a push subscription of Pub/Sub to the topic `gcr`, with a JWT that Google signed."""

import base64
import binascii
from typing import ClassVar

from hookline.chain.events import Payload
from hookline.errors import Unreadable
from services.ingress.checks import Check, IdToken, Token
from services.ingress.delivery import Delivery, Ignored, IgnoredReason, Push
from services.ingress.image import image_push
from services.ingress.reading import json_object, member, millis_of, text
from services.ingress.reference import split_reference
from services.ingress.source import Source

__all__ = ["SOURCE", "GoogleArtifactRegistry"]

INSERT, DELETE = "INSERT", "DELETE"


class GoogleArtifactRegistry(Source):
    """A push of a tagged image is two messages: one with its digest alone, which starts nothing, and one with its tag."""

    name: ClassVar[str] = "gar"
    title: ClassVar[str] = "Google Artifact Registry"
    setup: ClassVar[str] = """\
gcloud pubsub topics create gcr
gcloud pubsub subscriptions create hookline --topic gcr --push-endpoint '{url}' \\
  --push-auth-service-account push@PROJECT.iam.gserviceaccount.com --push-auth-token-audience '{url}'
# ingress: HOOKLINE_INGRESS_SECRETS_FILE names a TOML file with
gar = [{{audience = "{url}", email = "push@PROJECT.iam.gserviceaccount.com"}}]
"""
    preview: ClassVar[bool] = True
    checks: ClassVar[tuple[Check, ...]] = (IdToken(), Token())

    def normalise(self, event: Payload, delivery: Delivery) -> Push | Ignored:
        message = member(event, "message")
        notice = _notice(message)
        action = text(notice.get("action"))
        if action != INSERT:
            return Ignored(IgnoredReason.DELETE if action == DELETE else IgnoredReason.OTHER_ACTION)
        tagged, by_digest = text(notice.get("tag")), text(notice.get("digest"))
        if tagged is None and by_digest is not None:
            return Ignored(IgnoredReason.UNTAGGED)
        registry, repository, tag, _ = split_reference(tagged or "")
        return image_push(
            Push(
                repository=repository,
                registry=registry,
                tag=tag,
                digest=split_reference(by_digest or "")[3],
                pushed_at=millis_of(message.get("publishTime")),
                producer_id=text(message.get("messageId")),
            )
        )


def _notice(message: Payload) -> Payload:
    data = text(message.get("data"))
    if data is None:
        raise Unreadable("no message.data")
    try:
        decoded = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise Unreadable("message.data is not base64") from None
    return json_object(decoded)


SOURCE = GoogleArtifactRegistry()
