"""Google Artifact Registry: a push subscription of Pub/Sub to the topic `gcr`, with a JWT that Google signed."""

from typing import ClassVar

from hookline.chain.events import Payload
from hookline.errors import Unreadable
from services.ingress.checks import Check, IdToken, Token
from services.ingress.delivery import Delivery, Ignored, IgnoredReason, Push
from services.ingress.envelopes import ENVELOPE_HEADERS, Opened, from_pubsub, opened
from services.ingress.image import image_push
from services.ingress.reading import member, tag_text, text
from services.ingress.reference import Reference, split_reference
from services.ingress.several import Keys
from services.ingress.source import Source
from services.ingress.unknown import no_push

__all__ = ["SOURCE", "GoogleArtifactRegistry"]

INSERT = "INSERT"
NO_PUSHES = {"DELETE": IgnoredReason.DELETE}
"""Actions that are none, by their names."""
FROM_EVENTARC = "google.cloud.pubsub.topic.v1.messagePublished"
"""The type of a CloudEvent that Eventarc puts around a message of Pub/Sub."""


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
# payload unwrapping works, too: add --push-no-wrapper --push-no-wrapper-write-metadata
"""
    preview: ClassVar[bool] = True
    checks: ClassVar[tuple[Check, ...]] = (IdToken(), Token())
    kept_headers: ClassVar[frozenset[str]] = ENVELOPE_HEADERS
    tags_at: ClassVar[tuple[Keys, ...]] = (("tag",),)

    def normalise(self, event: Payload, delivery: Delivery) -> Push | Ignored:
        notice, message_id, published_at = _opened(event, delivery)
        if (ignored := no_push("action", notice.get("action"), (INSERT,), NO_PUSHES)) is not None:
            return ignored
        tagged, by_digest = tag_text(notice.get("tag")), text(notice.get("digest"))
        if tagged is None and by_digest is not None:
            return Ignored(IgnoredReason.UNTAGGED)
        image, pushed = _image(tagged or "", by_digest), split_reference(by_digest or "")
        return image_push(
            Push(
                repository=image.repository,
                registry=image.registry,
                tag=image.tag,
                digest=image.digest or pushed.digest,
                pushed_at=published_at,
                producer_id=message_id,
            )
        )


def _opened(event: Payload, delivery: Delivery) -> Opened:
    """The notice; wrapped, unwrapped, or wrapped by Eventarc, too. Raises Unreadable."""
    if event.get("type") == FROM_EVENTARC and isinstance(data := event.get("data"), dict):
        event = data
    if "message" in event:
        return from_pubsub(member(event, "message"))
    return opened(event, delivery)


def _image(tagged: str, by_digest: str | None) -> Reference:
    """What `tag` names: a whole reference, or a tag of what `digest` names. Raises Unreadable where it names no tag."""
    image = split_reference(tagged)
    if by_digest is not None and tagged and "/" not in tagged and ":" not in tagged:
        return split_reference(by_digest)._replace(tag=tagged)
    if image.tag is None and image.repository:
        raise Unreadable("tag: the notice's tag names none")
    return image


SOURCE = GoogleArtifactRegistry()
