"""What a manifest says of what is in it, where a producer sends one along: in OCI's own letters, or in GitHub's."""

from typing import NamedTuple

from hookline.chain.events import Payload
from hookline.errors import Unreadable
from services.ingress.reading import json_object, member, text

__all__ = ["Described", "described", "described_by_text"]


class Described(NamedTuple):
    """`artifact_media_type`: its `artifactType`, else its config's media type; `has_subject`: is it attached to another manifest?"""

    artifact_media_type: str | None
    has_subject: bool


def described(manifest: Payload) -> Described:
    """Of a manifest, or of as much of it as there is."""
    config = member(manifest, "config")
    return Described(
        text(manifest.get("artifactType"))
        or text(manifest.get("artifact_type"))
        or text(config.get("mediaType"))
        or text(config.get("media_type")),
        bool(manifest.get("subject")),
    )


def described_by_text(manifest: str | None) -> Described:
    """Of a manifest as JSON text; one that cannot be read tells nothing."""
    try:
        return described(json_object((manifest or "").encode("utf-8", "replace")))
    except Unreadable:
        return Described(None, has_subject=False)
