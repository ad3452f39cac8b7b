"""Which pushes are of a tagged image, and the parts of an image's name."""

import pytest

from hookline.errors import Unreadable
from services.ingress.delivery import Ignored, Push
from services.ingress.image import host_of, image_push, split_reference

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
        (Push("a/b", tag="v1", media_type="application/octet-stream"), "blob"),
        (Push("a/b", tag="v1", media_type="application/vnd.acr.helm.chart"), "blob"),
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


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("https://Harbor.dev/library/x", "harbor.dev"),
        ("http://user:pass@harbor.dev:8443/x", "harbor.dev:8443"),
        ("harbor.dev/library/x:1", "harbor.dev"),
        ("localhost/x", "localhost"),
        ("registry:5000/x", "registry:5000"),
        ("https://registry/x", "registry"),
        ("library/x", None),
        ("", None),
        ("https://", None),
        (None, None),
    ],
)
def test_hosts(address: str | None, host: str | None) -> None:
    assert host_of(address) == host


@pytest.mark.parametrize(
    ("reference", "parts"),
    [
        ("ghcr.io/acme/app:1.0", ("ghcr.io", "acme/app", "1.0", None)),
        ("ghcr.io/acme/app:", ("ghcr.io", "acme/app", None, None)),
        (f"us-docker.pkg.dev/p/r/app@sha256:{HEX}", ("us-docker.pkg.dev", "p/r/app", None, f"sha256:{HEX}")),
        (f"h:5000/app:1@sha256:{HEX}", ("h:5000", "app", "1", f"sha256:{HEX}")),
        ("acme/app:1", (None, "acme/app", "1", None)),
        ("app", (None, "app", None, None)),
        ("app:1", (None, "app", "1", None)),
        ("", (None, "", None, None)),
    ],
)
def test_references(reference: str, parts: tuple[str | None, ...]) -> None:
    assert split_reference(reference) == parts
