"""Takes any way of writing an image apart: `host:port/ns/app:tag@digest`, a URL of it, or a package URL (purl).

Only taken apart: what its parts hold is checked with every other push's, in `name_grammar`.
"""

import re
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote

from hookline.chain.registry_names import DOCKER_HUB

__all__ = ["Reference", "host_of", "names_another_package", "split_reference"]

PURL = "pkg:"
IMAGE_KINDS = ("oci", "docker")
"""Types of purls that name images."""
_ANOTHER_PACKAGE = re.compile(rf"pkg:(?!/*(?:{'|'.join(IMAGE_KINDS)})/)", re.IGNORECASE)
ALGORITHM_LETTERS = 32
"""More than any digest's algorithm has: what is longer before a colon is no digest."""


class Reference(NamedTuple):
    """The parts of an image's name; what is not there is None. `repository` is never None, and may be empty."""

    registry: str | None
    repository: str
    tag: str | None
    digest: str | None


def split_reference(reference: str) -> Reference:
    """Of `host/ns/app:tag@digest` with or without each part, with or without a scheme (`https://`, `oci://`, `docker://`), or a purl.

    Which first part is a host is said by Docker's reference grammar: one with a dot, a colon or a capital, or `localhost`.
    A purl is read as the purl-spec's types `oci` and `docker` say.
    """
    if reference.startswith(PURL):
        return _split_purl(reference)
    scheme, found, rest = reference.partition("://")
    name, _, digest = (rest if found else scheme).partition("@")
    head, slash, last = name.rpartition("/")
    last, _, tag = last.partition(":")
    name = head + slash + last
    host = host_of(f"{scheme}://{name}" if found else name) if slash else None
    repository = name.partition("/")[2] if host else name
    return Reference(host, repository, tag or None, digest or None)


def host_of(address: str | None) -> str | None:
    """The host (and port) that a URL or an image's name begins with: of `https://h:1/x` and of `h:1/ns/app`; else None."""
    if address is None:
        return None
    scheme, found, rest = address.partition("://")
    host = (rest if found else scheme).partition("/")[0].rpartition("@")[2]
    looks_like_one = found or "." in host or ":" in host or host == "localhost"
    return host.lower() if host and looks_like_one else None


def names_another_package(reference: str) -> bool:
    """Is it a purl of what is no image, such as `pkg:npm/app@1`?"""
    return _ANOTHER_PACKAGE.match(reference) is not None


def _split_purl(purl: str) -> Reference:
    """`pkg:oci/app@sha256%3A...?repository_url=host/ns/app&tag=1`: the version is the digest, the qualifiers say where it is.

    Of the type `docker` the version may be a tag, and the namespace stands before the name. Every other type names no image.
    """
    rest, _, _ = purl.removeprefix(PURL).lstrip("/").partition("#")
    path, _, query = rest.partition("?")
    path, _, version = path.partition("@")
    kind, _, name = path.strip("/").partition("/")
    kind, name, version = kind.lower(), unquote(name), unquote(version)
    if kind not in IMAGE_KINDS or not name:
        return Reference(None, "", None, None)
    qualifiers = {key.lower(): value for key, value in parse_qsl(query)}
    is_digest = 0 < version.find(":") <= ALGORITHM_LETTERS
    tag = qualifiers.get("tag") or (version if version and not is_digest else None)
    digest = version if is_digest else None
    place = qualifiers.get("repository_url", "").partition("://")
    registry, slash, repository = (place[2] or place[0]).strip("/").partition("/")
    if kind == "docker":
        return Reference(registry.lower() or DOCKER_HUB, name, tag, digest)
    if not slash:
        return Reference(registry.lower() or None, name, tag, digest)
    if repository.rpartition("/")[2].lower() != name.lower():  # the place of several
        repository = f"{repository}/{name}"
    return Reference(registry.lower(), repository, tag, digest)
