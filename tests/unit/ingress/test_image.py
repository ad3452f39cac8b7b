"""Which pushes are of a tagged image."""

import pytest

from hookline.errors import Unreadable
from services.ingress.delivery import Ignored, Push
from services.ingress.image import image_push

HEX = "a" * 64
OCI, DOCKER = "application/vnd.oci.image", "application/vnd.docker.distribution.manifest"


@pytest.mark.parametrize(
    ("push", "reason"),
    [
        (Push("a/b", tag="v1"), None),
        (Push("a/b", tag="v1", media_type=f"{OCI}.manifest.v1+json"), None),
        (Push("a/b", tag="v1", media_type=f"{OCI}.index.v1+json"), None),
        (Push("a/b", tag="v1", media_type=f"{DOCKER}.v2+json"), None),
        (Push("a/b", tag="v1", media_type=f"{DOCKER}.list.v2+json"), None),
        (Push("a/b", tag="v1", media_type="application/octet-stream"), None),
        (Push("a/b", tag="v1", media_type="application/vnd.acr.helm.chart"), None),
        (Push("a/b", media_type="application/octet-stream"), "blob"),
        (Push("a/b", tag=f"sha256:{HEX}", media_type="application/octet-stream"), "blob"),
        (Push("a/b", media_type=f"{OCI}.Manifest.v1+json; charset=utf-8"), "untagged"),
        (Push("a/b"), "untagged"),
        (Push("a/b", tag=f"sha256:{HEX}"), "untagged"),
        (Push("a/b", tag="sha512:ab"), "untagged"),
        (Push("a/b", tag=f"sha256-{HEX}"), "referrer"),
        (Push("a/b", tag=f"sha256-{HEX}.sig"), "referrer"),
        (Push("a/b", tag="sha256"), None),
    ],
)
def test_what_starts_something(push: Push, reason: str | None) -> None:
    outcome = image_push(push)
    assert (outcome.reason if isinstance(outcome, Ignored) else None) == reason


def test_names_are_lowered_and_bared() -> None:
    made = image_push(
        Push("/Acme/Team/App/", registry="Registry.Example.com:5000", tag="V1", digest=f"sha256:{'a' * 64}")
    )
    assert made == Push("acme/team/app", registry="registry.example.com:5000", tag="V1", digest=f"sha256:{'a' * 64}")


@pytest.mark.parametrize("repository", ["", "/", "a//b", "//"])
def test_without_a_name_it_is_unreadable(repository: str) -> None:
    with pytest.raises(Unreadable, match="no repository"):
        image_push(Push(repository, tag="v1"))
