"""GitHub's container registry (ghcr.io): the webhook event `package`, or its older twin `registry_package`."""

from typing import ClassVar

from hookline.chain.events import Payload
from hookline.errors import Unreadable
from services.ingress.checks import Check, Hmac
from services.ingress.delivery import Delivery, Ignored, IgnoredReason, Push
from services.ingress.image import image_push
from services.ingress.manifest import described
from services.ingress.reading import header_text, member, millis_of, tag_text, text
from services.ingress.reference import split_reference
from services.ingress.several import Keys
from services.ingress.source import Source
from services.ingress.unknown import unknown_event

__all__ = ["SOURCE", "GitHub"]

EVENT, DELIVERY = "x-github-event", "x-github-delivery"
PACKAGES = ("package", "registry_package")
ACTIONS = ("published", "updated")
CONTAINERS = frozenset({"container", "docker"})
REGISTRY = "ghcr.io"
OTHERS = frozenset(
    [
        "branch_protection_configuration",
        "branch_protection_rule",
        "check_run",
        "check_suite",
        "code_scanning_alert",
        "commit_comment",
        "create",
        "custom_property",
        "custom_property_promoted_to_enterprise",
        "custom_property_values",
        "delete",
        "dependabot_alert",
        "deploy_key",
        "deployment",
        "deployment_protection_rule",
        "deployment_review",
        "deployment_status",
        "discussion",
        "discussion_comment",
        "dismissal_request_code_scanning",
        "dismissal_request_dependabot",
        "dismissal_request_secret_scanning",
        "exemption_request_push_ruleset",
        "exemption_request_secret_scanning",
        "fork",
        "github_app_authorization",
        "gollum",
        "installation",
        "installation_repositories",
        "installation_target",
        "issue_comment",
        "issue_dependencies",
        "issues",
        "label",
        "marketplace_purchase",
        "member",
        "membership",
        "merge_group",
        "meta",
        "milestone",
        "org_block",
        "organization",
        "page_build",
        "personal_access_token_request",
        "project",
        "project_card",
        "project_column",
        "projects_v2",
        "projects_v2_item",
        "projects_v2_status_update",
        "public",
        "pull_request",
        "pull_request_review",
        "pull_request_review_comment",
        "pull_request_review_thread",
        "push",
        "release",
        "repository",
        "repository_advisory",
        "repository_dispatch",
        "repository_import",
        "repository_ruleset",
        "repository_vulnerability_alert",
        "secret_scanning_alert",
        "secret_scanning_alert_location",
        "secret_scanning_scan",
        "security_advisory",
        "security_and_analysis",
        "sponsorship",
        "star",
        "status",
        "sub_issues",
        "team",
        "team_add",
        "watch",
        "workflow_dispatch",
        "workflow_job",
        "workflow_run",
    ]
)
"""Its other webhook events: a hook that is told everything sends them too."""


class GitHub(Source):
    """Signed deliveries only. It sends each once; a redelivery by hand keeps the id."""

    name: ClassVar[str] = "github"
    title: ClassVar[str] = "GitHub Container Registry"
    setup: ClassVar[str] = """\
# an organisation's or a repository's Settings, Webhooks, Add webhook
Payload URL      {url}
Content type     application/json
Secret           {secret}
Which events     Let me select individual events: Packages
"""
    checks: ClassVar[tuple[Check, ...]] = (Hmac("X-Hub-Signature-256", "sha256="),)
    kept_headers: ClassVar[frozenset[str]] = frozenset({EVENT, DELIVERY})
    tags_at: ClassVar[tuple[Keys, ...]] = tuple(
        (name, "package_version", "container_metadata", "tag", "name") for name in PACKAGES
    )

    def normalise(self, event: Payload, delivery: Delivery) -> Push | Ignored:
        name = header_text(delivery, EVENT) or next((key for key in PACKAGES if key in event), None)
        if name == "ping":
            return Ignored(IgnoredReason.PING)
        if name in OTHERS:
            return Ignored(IgnoredReason.OTHER_ACTION)
        if name not in PACKAGES:
            raise unknown_event(EVENT, name)
        action, package = text(event.get("action")), member(event, name)
        if action == "deleted":
            return Ignored(IgnoredReason.DELETE)
        if action not in ACTIONS:
            raise unknown_event("action", event.get("action"))
        if not package:
            raise Unreadable(f"no {name}")
        if not _is_container(package):
            return Ignored(IgnoredReason.NO_IMAGE)
        return image_push(_push(event, package, header_text(delivery, DELIVERY)))


def _is_container(package: Payload) -> bool:
    """By any of its three words for it, in any case: samples have another in each."""
    kinds = (package.get("package_type"), package.get("ecosystem"), member(package, "registry").get("type"))
    return any((text(kind) or "").lower() in CONTAINERS for kind in kinds)


def _push(event: Payload, package: Payload, delivery_id: str | None) -> Push:
    version = member(package, "package_version")
    metadata = member(version, "container_metadata")
    manifest, tag = member(metadata, "manifest"), member(metadata, "tag")
    registry, repository = _place(package, text(version.get("package_url")))
    version_name = text(version.get("version")) or ""
    artifact, has_subject = described(manifest)
    return Push(
        repository=repository,
        registry=registry,
        tag=tag_text(tag.get("name")),
        digest=(
            text(manifest.get("digest"))
            or text(tag.get("digest"))
            or (version_name if version_name.startswith("sha256:") else None)
        ),
        media_type=text(manifest.get("media_type")),
        artifact_media_type=artifact,
        has_subject=has_subject,
        pusher=text(member(event, "sender").get("login")),
        pushed_at=_time(version) or _time(package),
        producer_id=delivery_id,
    )


def _place(package: Payload, url: str | None) -> tuple[str, str]:
    """Registry and repository: of `package_url` (`ghcr.io/owner/app:tag`, or with nothing behind the colon), else of the names."""
    if url is not None:
        host, repository, _, _ = split_reference(url.partition("://")[2] or url)
        if host is not None and "/" in repository:
            return host, repository
    owner, name = text(member(package, "owner").get("login")), text(package.get("name"))
    if owner is None or name is None:
        raise Unreadable("no repository: neither package_url nor owner and name")
    return REGISTRY, f"{owner}/{name}"


def _time(of: Payload) -> int | None:
    """`updated_at`, else `created_at`; GitHub writes year 1 for none."""
    return millis_of(of.get("updated_at")) or millis_of(of.get("created_at"))


SOURCE = GitHub()
