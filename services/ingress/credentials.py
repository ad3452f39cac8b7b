"""What a source may check a delivery against, and what a request shows; everything is compared in constant time."""

import base64
import binascii
import hmac
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256

from services.ingress.delivery import Delivery
from services.ingress.issuers import Issuer

__all__ = ["TOKEN_KEY", "Credentials", "is_one_of", "presented"]

TOKEN_KEY = "token"
"""The query key; what stands under it goes nowhere but here."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Of one source, newest first; two or more allow rotation.

    `tokens`: of HOOKLINE_INGRESS_TOKENS, good for every source that can carry one; `secrets` and `issuers` (of JWTs):
    the source's own, of HOOKLINE_INGRESS_SECRETS_FILE.
    """

    tokens: tuple[bytes, ...] = field(default=(), repr=False)
    secrets: tuple[bytes, ...] = field(default=(), repr=False)
    issuers: tuple[Issuer, ...] = ()


def is_one_of(candidates: Iterable[bytes], known: Iterable[bytes]) -> bool:
    """Every one is compared with every one, whatever was found before."""
    digests = [sha256(secret).digest() for secret in known]
    good = False
    for candidate in candidates:
        digest = sha256(candidate).digest()
        for one in digests:
            good |= hmac.compare_digest(digest, one)
    return good


def presented(delivery: Delivery, *, verbatim: bool = False) -> Iterator[bytes]:
    """What a request shows: `Authorization: Bearer`, the password of HTTP Basic, `?token=`.

    `verbatim`: the whole of `Authorization` too, for producers that send it just as it was typed in.
    """
    authorization = delivery.headers.get("Authorization", "").strip()
    scheme, _, rest = authorization.partition(" ")
    given = _bytes(rest.strip())
    match scheme.lower():
        case "bearer":
            yield given
        case "basic":
            yield _password(given)
    if verbatim and authorization:
        yield _bytes(authorization)
    for value in delivery.query.getall(TOKEN_KEY, ()):
        yield _bytes(value)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _password(given: bytes) -> bytes:
    try:
        return base64.b64decode(given, validate=True).partition(b":")[2]
    except binascii.Error:
        return b""
