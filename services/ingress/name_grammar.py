"""What a push may name: the one check of every source's pushes, before anything is made of them.

The OCI distribution-spec (v1.1.1, "Pulling manifests") says what repositories and tags are, the image-spec ("Descriptors") what
digests are. A registry is a host with or without a port, as it stands before the first slash of an image's name.
"""

import re

from hookline.errors import Unreadable
from services.ingress.delivery import Push

__all__ = ["NAME_LETTERS", "check_names", "is_digest", "is_registry", "is_repository", "is_tag"]

NAME_LETTERS = 255
"""Of registry and repository, with the slash between them."""
DIGEST_LETTERS = 256

_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_PART}(?:/{_PART})*")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
_DIGEST = re.compile(r"[a-z0-9]+(?:[+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+")
_HEXADECIMAL = {
    "sha256": re.compile(r"[a-f0-9]{64}"),
    "sha384": re.compile(r"[a-f0-9]{96}"),
    "sha512": re.compile(r"[a-f0-9]{128}"),
}
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-f:.]{{2,45}}\])(?::([0-9]{{1,5}}))?")
LAST_PORT = 65_535


def check_names(push: Push) -> None:
    """Raises Unreadable with the name of the field that is none, and never with what it holds."""
    if not is_repository(push.repository):
        raise Unreadable("repository: not a name that the OCI distribution-spec allows")
    if push.registry is not None and not is_registry(push.registry):
        raise Unreadable("registry: not a host with or without a port")
    if len(push.repository) + len(push.registry or "") + 1 > NAME_LETTERS:
        raise Unreadable(f"repository: with its registry more than {NAME_LETTERS} characters")
    if push.tag is not None and not is_tag(push.tag):
        raise Unreadable("tag: not one that the OCI distribution-spec allows")
    if push.digest is not None and not is_digest(push.digest):
        raise Unreadable("digest: not one that the OCI image-spec allows")


def is_repository(text: str) -> bool:
    """Such as `library/nginx`."""
    return len(text) <= NAME_LETTERS and _REPOSITORY.fullmatch(text) is not None


def is_tag(text: str) -> bool:
    """Such as `1.2.3`."""
    return _TAG.fullmatch(text) is not None


def is_registry(text: str) -> bool:
    """Such as `registry.example.com:5000`, in lower case."""
    found = _HOST.fullmatch(text) if len(text) <= NAME_LETTERS else None
    return found is not None and (found[1] is None or 0 < int(found[1]) <= LAST_PORT)


def is_digest(text: str) -> bool:
    """Such as `sha256:` and 64 hexadecimal digits; of an algorithm that is not registered, any."""
    if len(text) > DIGEST_LETTERS or not _DIGEST.fullmatch(text):
        return False
    algorithm, _, encoded = text.partition(":")
    return algorithm not in _HEXADECIMAL or _HEXADECIMAL[algorithm].fullmatch(encoded) is not None
