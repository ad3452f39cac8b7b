"""The ways in which producers prove who they are: a source names those that its producers can do."""

import hashlib
import hmac
import re
from abc import ABC, abstractmethod
from typing import ClassVar, Literal

from services.ingress.credentials import CredentialId, Credentials, good_one, id_of, presented
from services.ingress.delivery import Delivery
from services.ingress.form import form_payload

__all__ = ["Check", "Hmac", "IdToken", "SecretHeader", "Token"]

_STRINGS_AND_SPACES = re.compile(rb'("(?:[^"\\]++|\\.?)*+"?)|\s+', re.DOTALL)
"""Never fails within a string, also in one without an end: so it takes time in proportion to the body, whatever that is."""
MAX_COMPACTED = 64 * 1024
"""Bytes of a body whose spaces are looked for, before anyone has proved anything: Nexus' events have less than one of 64."""


class Check(ABC):
    """One way to check a delivery. `name`: as `hookline sources` says it."""

    name: str
    takes_tokens: ClassVar[bool] = False
    """Does a token do, shown as it is?"""
    of_body: ClassVar[bool] = False
    """Must the body be there? All others are judged before one byte of it is read."""

    def can(self, credentials: Credentials) -> bool:
        """Is there anything to check against?"""
        return bool(credentials.secrets or (self.takes_tokens and credentials.tokens))

    def claims(self, head: Delivery) -> bool:
        """Does the head look as if the check could come out well? Else no body is read for it."""
        return True

    @abstractmethod
    async def good(self, delivery: Delivery, credentials: Credentials) -> CredentialId | None:
        """The good credential that the delivery shows; in constant time. Raises Unavailable where that cannot be told now."""

    def present(self, body: bytes, secret: bytes) -> dict[str, str]:
        """Headers that show this secret with this body; empty where a secret is not enough."""
        return {}


class Token(Check):
    """A secret as it is: `Authorization: Bearer`, the password of HTTP Basic, `?token=`; `verbatim`: Authorization itself."""

    takes_tokens: ClassVar = True

    def __init__(self, *, verbatim: bool = False) -> None:
        self.name = "token (Authorization: Bearer, password of HTTP Basic, ?token="
        self.name += ", Authorization as it is)" if verbatim else ")"
        self._verbatim = verbatim

    async def good(self, delivery: Delivery, credentials: Credentials) -> CredentialId | None:
        return good_one(presented(delivery, verbatim=self._verbatim), (*credentials.secrets, *credentials.tokens))

    def present(self, body: bytes, secret: bytes) -> dict[str, str]:
        return {"Authorization": f"Bearer {secret.decode('utf-8', 'surrogateescape')}"}


class SecretHeader(Check):
    """A secret as it is, in a header of the producer's own."""

    takes_tokens: ClassVar = True

    def __init__(self, header: str) -> None:
        self.name = f"secret in {header}"
        self._header = header

    async def good(self, delivery: Delivery, credentials: Credentials) -> CredentialId | None:
        given = delivery.headers.get(self._header, "").encode("utf-8", "surrogateescape")
        return good_one((given,), (*credentials.secrets, *credentials.tokens))

    def present(self, body: bytes, secret: bytes) -> dict[str, str]:
        return {self._header: secret.decode("utf-8", "surrogateescape")}


class Hmac(Check):
    """A signature of the body in a header: hexadecimal, behind `prefix`.

    `of_form`: where the body is a form, its field `payload` may be what was signed; `compact`: the JSON may have been
    signed before spaces were put between its parts.
    """

    of_body: ClassVar = True

    def __init__(
        self,
        header: str,
        prefix: str = "",
        *,
        algorithm: Literal["sha256", "sha1"] = "sha256",
        of_form: bool = False,
        compact: bool = False,
    ) -> None:
        self.name = f"hmac-{algorithm} in {header}"
        self._header, self._prefix, self._algorithm = header, prefix, algorithm
        self._of_form, self._compact = of_form, compact

    def claims(self, head: Delivery) -> bool:
        return len(self._given(head)) == 2 * hashlib.new(self._algorithm).digest_size

    async def good(self, delivery: Delivery, credentials: Credentials) -> CredentialId | None:
        signature = self._given(delivery)
        good = None
        for body in self._signed(delivery) if signature else ():
            for secret in credentials.secrets:
                if hmac.compare_digest(signature, self._sign(body, secret)):
                    good = id_of(secret)
        return good

    def present(self, body: bytes, secret: bytes) -> dict[str, str]:
        return {self._header: self._prefix + self._sign(body, secret).decode()}

    def _given(self, head: Delivery) -> bytes:
        """The signature; empty where there is none."""
        given = head.headers.get(self._header, "").strip()
        if not given.startswith(self._prefix):
            return b""
        return given.removeprefix(self._prefix).lower().encode("utf-8", "surrogateescape")

    def _sign(self, body: bytes, secret: bytes) -> bytes:
        return hmac.new(secret, body, self._algorithm).hexdigest().encode()

    def _signed(self, delivery: Delivery) -> list[bytes]:
        signed = [delivery.body]
        if self._of_form and (payload := form_payload(delivery)) is not None:
            signed.append(payload)
        if self._compact and len(delivery.body) <= MAX_COMPACTED:
            signed.append(_STRINGS_AND_SPACES.sub(rb"\1", delivery.body))
        return signed


class IdToken(Check):
    """A JWT that an OpenID issuer signed for us, in `Authorization: Bearer`."""

    def __init__(self) -> None:
        self.name = "OIDC JWT"

    def can(self, credentials: Credentials) -> bool:
        return bool(credentials.issuers)

    async def good(self, delivery: Delivery, credentials: Credentials) -> CredentialId | None:
        scheme, _, token = delivery.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        for issuer in credentials.issuers:
            if await issuer.accepts(token.strip()):
                return id_of(issuer.name.encode())
        return None
