"""What a source may check a delivery against, and what a request shows; everything is compared in constant time."""

import base64
import binascii
import hmac
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TypeAlias

from services.ingress.delivery import Delivery
from services.ingress.issuers import Issuer
from services.ingress.scope import EVERYTHING, Scope

__all__ = ["TOKEN_KEY", "CredentialId", "Credentials", "good_one", "id_of", "presented"]

TOKEN_KEY = "token"
"""The query key; what stands under it goes nowhere but here."""


CredentialId: TypeAlias = bytes
"""Which credential it was: its digest, so that nothing holds the credential itself."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Of one source, newest first; two or more allow rotation.

    `tokens`: what is shown as it is, never signed with: those that name the source, and, where it has nothing of its own,
    those that name none; `secrets` and `issuers` (of JWTs): what stands under its name in HOOKLINE_INGRESS_SECRETS_FILE.
    `scopes`: of those that name repositories.
    """

    tokens: tuple[bytes, ...] = field(default=(), repr=False)
    secrets: tuple[bytes, ...] = field(default=(), repr=False)
    issuers: tuple[Issuer, ...] = ()
    scopes: Mapping[CredentialId, Scope] = field(default_factory=dict)

    def scope_of(self, credential: CredentialId) -> Scope:
        return self.scopes.get(credential, EVERYTHING)

    def widest(self, known: Iterable[bytes]) -> bytes | None:
        """The first of these that is good for every repository, else the first; None of none."""
        return min(known, key=lambda secret: self.scope_of(id_of(secret)) != EVERYTHING, default=None)


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
