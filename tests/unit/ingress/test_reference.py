"""The parts of an image's name, however it is written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingress.reference import host_of, split_reference

HEX = "a" * 64
DIGEST = f"sha256:{HEX}"


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
        ("https://h.example.com/ns/app:1", ("h.example.com", "ns/app", "1", None)),
        ("oci://registry/app", ("registry", "app", None, None)),
        (
            f"pkg:oci/app@sha256%3A{HEX}?repository_url=mycr.io/acme/app&tag=1.2.3",
            ("mycr.io", "acme/app", "1.2.3", DIGEST),
        ),
        (
            f"pkg:oci/app@sha256:{HEX}?repository_url=https://mycr.io:5000/acme",
            ("mycr.io:5000", "acme/app", None, DIGEST),
        ),
        (f"pkg:oci/app@sha256%3A{HEX}?repository_url=mycr.io&arch=amd64", ("mycr.io", "app", None, DIGEST)),
        (f"pkg:OCI/App@sha256%3A{HEX}?tag=1#sub/path", (None, "App", "1", DIGEST)),
        ("pkg:docker/acme/app@1.2.3?repository_url=gcr.io", ("gcr.io", "acme/app", "1.2.3", None)),
        (f"pkg:docker/nginx@sha256:{HEX}?tag=1", ("docker.io", "nginx", "1", DIGEST)),
        ("pkg:npm/app@1.2.3", (None, "", None, None)),
        ("pkg:oci", (None, "", None, None)),
        ("pkg:", (None, "", None, None)),
    ],
)
def test_references(reference: str, parts: tuple[str | None, ...]) -> None:
    assert split_reference(reference) == parts


@given(st.text(max_size=300))
def test_whatever_it_is_it_is_taken_apart(reference: str) -> None:
    for text in (reference, f"pkg:{reference}", f"pkg:oci/{reference}", f"https://{reference}"):
        split_reference(text)


@given(
    st.sampled_from([None, "registry.example.com:5000", "localhost", "ghcr.io"]),
    st.lists(st.sampled_from(["acme", "app", "a-b", "x__y"]), min_size=1, max_size=4),
    st.sampled_from([None, "1.2.3", "latest"]),
    st.sampled_from([None, DIGEST]),
)
def test_its_parts_are_those_that_it_was_made_of(
    registry: str | None, path: list[str], tag: str | None, digest: str | None
) -> None:
    repository = "/".join(path)
    written = f"{registry}/" if registry else ""
    written += repository + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")
    assert split_reference(written) == (registry, repository, tag, digest)
