"""Gitea's and Forgejo's container registry: the webhook event `package`; signed, or with a fixed Authorization header."""

from typing import ClassVar

from hookline.chain.events import Payload
from hookline.errors import Unreadable
from services.ingress.checks import Check, Hmac, Token
from services.ingress.delivery import Delivery, Ignored, IgnoredReason, Push
from services.ingress.image import image_push
from services.ingress.reading import header_text, member, millis_of, tag_text, text
from services.ingress.reference import host_of
from services.ingress.several import Keys
from services.ingress.source import Source
from services.ingress.unknown import no_push, unknown_event

__all__ = ["SOURCE", "Gitea"]

EVENTS = ("x-gitea-event", "x-forgejo-event", "x-gogs-event", "x-github-event")
DELIVERIES = ("x-gitea-delivery", "x-forgejo-delivery", "x-gogs-delivery", "x-github-delivery")
PUSHED = frozenset({"created", "updated"})
NO_PUSHES = {"deleted": IgnoredReason.DELETE}
OTHERS = frozenset(
    {
        *("create", "delete", "fork", "push", "repository", "release", "wiki", "status"),
        *("issues", "issue_assign", "issue_label", "issue_milestone", "issue_comment"),
        *("pull_request", "pull_request_assign", "pull_request_label", "pull_request_milestone"),
        *("pull_request_comment", "pull_request_sync", "pull_request_review", "pull_request_review_request"),
        *("pull_request_approved", "pull_request_rejected", "pull_request_review_approved"),
        *("pull_request_review_rejected", "pull_request_review_comment"),
        *("workflow_run", "workflow_job", "schedule"),
        *("action_run_failure", "action_run_recover", "action_run_success"),
    }
)
"""Its other webhook events."""


class Gitea(Source):
    """One attempt a delivery. A tagged package has no digest; one by digest has that for a version, and starts nothing."""

    name: ClassVar[str] = "gitea"
    title: ClassVar[str] = "Gitea and Forgejo"
    setup: ClassVar[str] = """\
# an owner's or a repository's Settings, Webhooks, Add webhook, Gitea (or Forgejo)
Target URL             {url}
HTTP Method            POST
Content Type           application/json
Secret                 {secret}
Trigger On             Custom events: Package
Authorization Header   (or, without a secret) Bearer {token}
# its app.ini must allow our address: [webhook] ALLOWED_HOST_LIST = external, hooks.example.com
"""
    checks: ClassVar[tuple[Check, ...]] = (
        Hmac("X-Gitea-Signature", of_form=True),
        Hmac("X-Forgejo-Signature", of_form=True),
        Hmac("X-Hub-Signature-256", "sha256=", of_form=True),
        Token(verbatim=True),
    )
    kept_headers: ClassVar[frozenset[str]] = frozenset({*EVENTS, *DELIVERIES})
    tags_at: ClassVar[tuple[Keys, ...]] = (("package", "version"),)

    def normalise(self, event: Payload, delivery: Delivery) -> Push | Ignored:
        name = _first(delivery, EVENTS)
        if name in OTHERS:
            return Ignored(IgnoredReason.OTHER_ACTION)
        if name not in (None, "package"):
            raise unknown_event("its header", name)
        package = member(event, "package")
        if not package:
            raise Unreadable("no package")
        if (ignored := no_push("action", event.get("action"), PUSHED, NO_PUSHES)) is not None:
            return ignored
        if (text(package.get("type")) or "").lower() != "container":
            return Ignored(IgnoredReason.NO_IMAGE)
        owner, image = text(member(package, "owner").get("login")), text(package.get("name"))
        if owner is None or image is None:
            raise Unreadable("no repository: package.owner.login or package.name is missing")
        return image_push(
            Push(
                repository=f"{owner}/{image}",
                registry=host_of(text(package.get("html_url"))),
                tag=tag_text(package.get("version")),
                pusher=text(member(event, "sender").get("login")) or text(member(package, "creator").get("login")),
                pushed_at=millis_of(package.get("created_at")),
                producer_id=_first(delivery, DELIVERIES),
            )
        )


def _first(delivery: Delivery, names: tuple[str, ...]) -> str | None:
    return next((value for name in names if (value := header_text(delivery, name))), None)


SOURCE = Gitea()
