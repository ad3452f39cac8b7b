"""What a source may check a delivery against, and what a request shows; everything is compared in constant time."""

import base64
import binascii
import hmac
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TypeAlias

from services.ingress.delivery import Delivery
from services.ingress.issuers import Issuer

__all__ = ["TOKEN_KEY", "CredentialId", "Credentials", "good_one", "id_of", "presented"]

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


CredentialId: TypeAlias = bytes
"""Which credential it was: its digest, so that nothing holds the credential itself."""


def good_one(candidates: Iterable[bytes], known: Iterable[bytes]) -> CredentialId | None:
    """The one of the known that a candidate is. Every one is compared with every one, whatever was found before."""
    digests = [id_of(secret) for secret in known]
    good = None
    for candidate in candidates:
        digest = id_of(candidate)
        for one in digests:
            if hmac.compare_digest(digest, one):
                good = one
    return good


def id_of(credential: bytes) -> CredentialId:
    return sha256(credential).digest()


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
