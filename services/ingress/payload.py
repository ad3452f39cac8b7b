"""The body that hooks get for pushes of producers other than Docker Hub: in Docker Hub's shape (design section 6)."""

from hookline.chain.events import Payload
from services.ingress.delivery import Push

__all__ = ["docker_hub_payload"]


def docker_hub_payload(push: Push, pushed_at: int) -> Payload:
    """`pushed_at` in Unix ms. What is not known is left out, or has Docker Hub's own value for nothing.

    `push_data.digest`, `push_data.artifact_type` and `repository.registry` are additions to Docker Hub's keys. Its `media_type` is
    that of what is in the manifest, such as `application/vnd.docker.container.image.v1+json`; where only the manifest's is known,
    that one.
    """
    namespace, _, name = push.repository.rpartition("/")
    seconds = pushed_at // 1000
    push_data: Payload = {
        "pushed_at": seconds,
        "pusher": push.pusher or "",
        "tag": push.tag,
        "images": [],
        "media_type": push.artifact_media_type or push.media_type,
        "digest": push.digest,
        "artifact_type": None if push.artifact_type is None else push.artifact_type.value,
    }
    repository: Payload = {
        "status": "Active",
        "namespace": namespace,
        "name": name,
        "repo_name": push.repository,
        "repo_url": f"https://{push.registry}/{push.repository}" if push.registry else "",
        "description": "",
        "full_description": "",
        "star_count": 0,
        "comment_count": 0,
        "is_private": True,
        "is_trusted": False,
        "is_official": False,
        "owner": namespace,
        "date_created": seconds,
        "registry": push.registry,
    }
    return {"push_data": _known(push_data), "repository": _known(repository)}


def _known(fields: Payload) -> Payload:
    return {key: value for key, value in fields.items() if value is not None}
