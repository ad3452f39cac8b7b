"""The credentials of ingress, compared in constant time (design section 6)."""

import base64
import binascii
import hmac
from collections.abc import Iterable, Iterator
from hashlib import sha256

from services.ingress.delivery import Delivery

__all__ = ["TOKEN_KEY", "Tokens", "presented"]

TOKEN_KEY = "token"
"""The query key; what stands under it goes nowhere but here."""


class Tokens:
    """Tokens that are good for every source that can carry one. Only their hashes are held; two or more allow rotation."""

    def __init__(self, tokens: Iterable[str]) -> None:
        self._hashes = tuple(sha256(token.encode()).digest() for token in tokens)

    def __bool__(self) -> bool:
        """Is there anything to check against?"""
        return bool(self._hashes)

    def accept(self, delivery: Delivery) -> bool:
        """Is one of the presented credentials one of ours? Every one is compared with every one."""
        good = False
        for candidate in presented(delivery):
            digest = sha256(candidate).digest()
            for known in self._hashes:
                good |= hmac.compare_digest(digest, known)
        return good


def presented(delivery: Delivery) -> Iterator[bytes]:
    """What a request shows: `Authorization: Bearer`, the password of HTTP Basic, `?token=`."""
    scheme, _, rest = delivery.headers.get("Authorization", "").partition(" ")
    given = rest.strip().encode("utf-8", "surrogateescape")
    match scheme.lower():
        case "bearer":
            yield given
        case "basic":
            yield _password(given)
    for value in delivery.query.getall(TOKEN_KEY, ()):
        yield value.encode("utf-8", "surrogateescape")


def _password(given: bytes) -> bytes:
    try:
        return base64.b64decode(given, validate=True).partition(b":")[2]
    except binascii.Error:
        return b""
