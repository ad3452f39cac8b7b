"""Docker Hub: one push a request, without an event id or a digest; hooks get this very body (design section 6)."""

import re
from typing import ClassVar

from pydantic import JsonValue

from hookline.chain.events import Payload
from hookline.chain.registry_names import DOCKER_HUB, OFFICIAL
from hookline.errors import Unreadable
from services.ingress.artifact_types import artifact_type_of
from services.ingress.delivery import Delivery, Ignored, IgnoredReason, Push
from services.ingress.image import REFERRER
from services.ingress.reading import member, millis_of, seconds_to_millis, tag_text, text, whole
from services.ingress.reference import split_reference
from services.ingress.several import Keys
from services.ingress.source import Source

__all__ = ["SOURCE", "DockerHub"]

_SECONDS = re.compile(r"[0-9]{1,12}")
_NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")


class DockerHub(Source):
    """`callback_url` of the body is Docker Hub's own: it is kept as `upstream_callback_url`, and hooks get one of ours."""

    name: ClassVar[str] = "dockerhub"
    title: ClassVar[str] = "Docker Hub"
    setup: ClassVar[str] = """\
# the repository's Webhooks (it can send no header, so the token stands in the URL)
Webhook name   hookline
Webhook URL    {url}?token={token}
"""
    window_s: ClassVar[int] = 3600
    tags_at: ClassVar[tuple[Keys, ...]] = (("push_data", "tag"),)

    def normalise(self, event: Payload, delivery: Delivery) -> Push | Ignored:
        push_data, repository = member(event, "push_data"), member(event, "repository")
        host, name, tag_of_name, digest = split_reference(_full_name(repository))
        if not all(name.split("/")):
            raise Unreadable("no repository: its name has an empty part")
        tag = tag_text(push_data.get("tag")) or tag_of_name
        if tag is not None and REFERRER.fullmatch(tag):
            return Ignored(IgnoredReason.REFERRER)
        pushed_at = _millis_of(push_data.get("pushed_at"))
        upstream = text(event.pop("callback_url", None))
        kind = artifact_type_of(text(push_data.get("media_type")))
        _mend(push_data, repository)
        if kind is not None:
            push_data["artifact_type"] = kind.value
        return Push(
            repository=name.lower(),
            payload=event,
            registry=host or DOCKER_HUB,
            tag=tag,
            digest=text(push_data.get("digest")) or digest,
            media_type=text(push_data.get("media_type")),
            artifact_type=kind,
            pusher=text(push_data.get("pusher")),
            pushed_at=pushed_at,
            upstream_callback_url=upstream,
        )


def _millis_of(time: JsonValue) -> int | None:
    """Of seconds, also written as a text, or of RFC 3339; None for what is no time, or a local one."""
    if isinstance(time, str) and _SECONDS.fullmatch(time):
        return seconds_to_millis(int(time))
    return millis_of(time) if isinstance(time, str) else seconds_to_millis(time)


def _full_name(repository: Payload) -> str:
    """Design section 1: `repo_name` if it has a slash, else `namespace/name`, else `library/<name>`. Raises Unreadable."""
    repo_name = (text(repository.get("repo_name")) or "").strip("/")
    if "/" in repo_name:
        return repo_name
    name = text(repository.get("name")) or repo_name
    if not name:
        raise Unreadable("no repository: neither repository.repo_name nor repository.name")
    return f"{text(repository.get('namespace')) or OFFICIAL}/{name}"


def _mend(push_data: Payload, repository: Payload) -> None:
    """Types that strict receivers expect, where they stand: the tag as text, whole seconds, counts as numbers.

    A time that is no number and has no offset is left out: it is the local time of a place that nobody told us.
    """
    if (tag := tag_text(push_data.get("tag"))) is not None:
        push_data["tag"] = tag
    for parent, key in ((push_data, "pushed_at"), (repository, "date_created")):
        if isinstance(time := parent.get(key), float) and not time.is_integer():
            parent[key] = int(time)
        elif isinstance(time, str):
            millis = _millis_of(time)
            parent.pop(key) if millis is None else parent.update({key: millis // 1000})
    for key in ("star_count", "comment_count"):
        if isinstance(count := repository.get(key), str) and _NUMBER.fullmatch(count):
            repository[key] = whole(float(count))


SOURCE = DockerHub()
