"""The ways in which producers prove who they are: a source names those that its producers can do."""

import base64
import hashlib
import hmac
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Literal, TypeAlias

from services.ingress.credentials import CredentialId, Credentials, good_one, id_of, presented
from services.ingress.delivery import Delivery
from services.ingress.form import form_payload

__all__ = ["NO_HEADERS", "Algorithm", "Check", "Encoding", "Hmac", "IdToken", "SecretHeader", "Token"]

Algorithm: TypeAlias = Literal["sha1", "sha256", "sha512"]
Encoding: TypeAlias = Literal["hex", "base64"]
NO_HEADERS: Mapping[str, str] = MappingProxyType({})

_STRINGS_AND_SPACES = re.compile(rb'("(?:[^"\\]++|\\.?)*+"?)|\s+', re.DOTALL)
"""Never fails within a string, also in one without an end: so it takes time in proportion to the body, whatever that is."""
_STANDARD_BASE64 = bytes.maketrans(b"-_", b"+/")
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

    def present(self, body: bytes, secret: bytes, kept: Mapping[str, str] = NO_HEADERS) -> dict[str, str]:
        """Headers that show this secret with this body and those that are sent anyway; empty where a secret is not enough."""
        return {}

    def fault(self, secret: bytes) -> str:
        """Why nothing can be checked against this secret, in words without it; "" where it can."""
        return ""


class Token(Check):
    """A secret as it is: `Authorization: Bearer`, the password of HTTP Basic, `?token=`; `verbatim`: Authorization itself."""

    takes_tokens: ClassVar = True

    def __init__(self, *, verbatim: bool = False) -> None:
        self.name = "token (Authorization: Bearer, password of HTTP Basic, ?token="
        self.name += ", Authorization as it is)" if verbatim else ")"
        self._verbatim = verbatim

    async def good(self, delivery: Delivery, credentials: Credentials) -> CredentialId | None:
        return good_one(presented(delivery, verbatim=self._verbatim), (*credentials.secrets, *credentials.tokens))

    def present(self, body: bytes, secret: bytes, kept: Mapping[str, str] = NO_HEADERS) -> dict[str, str]:
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

    def present(self, body: bytes, secret: bytes, kept: Mapping[str, str] = NO_HEADERS) -> dict[str, str]:
        return {self._header: secret.decode("utf-8", "surrogateescape")}


class Hmac(Check):
    """A signature of the body in a header, behind `prefix`: hexadecimal, or base64 in either alphabet, padded or not.

    `of_form`: where the body is a form, its field `payload` may be what was signed; `compact`: the JSON may have been
    signed before spaces were put between its parts; `bare`: the prefix may be missing.
    """

    of_body: ClassVar = True

    def __init__(
        self,
        header: str,
        prefix: str = "",
        *,
        algorithm: Algorithm = "sha256",
        encoding: Encoding = "hex",
        of_form: bool = False,
        compact: bool = False,
        bare: bool = False,
    ) -> None:
        self.name = f"hmac-{algorithm} in {header}{', in base64' if encoding == 'base64' else ''}"
        self._header, self._prefix = header, prefix
        self._algorithm, self._encoding = algorithm, encoding
        self._of_form, self._compact, self._bare = of_form, compact, bare

    def claims(self, head: Delivery) -> bool:
        return len(self._given(head)) == len(self._written(bytes(hashlib.new(self._algorithm).digest_size)))

    async def good(self, delivery: Delivery, credentials: Credentials) -> CredentialId | None:
        signature = self._given(delivery)
        good = None
        for body in self._signed(delivery) if signature else ():
            for secret in credentials.secrets:
                if hmac.compare_digest(signature, self._sign(body, secret)):
                    good = id_of(secret)
        return good

    def present(self, body: bytes, secret: bytes, kept: Mapping[str, str] = NO_HEADERS) -> dict[str, str]:
        signature = hmac.digest(secret, body, self._algorithm)
        written = signature.hex() if self._encoding == "hex" else base64.b64encode(signature).decode()
        return {self._header: self._prefix + written}

    def _given(self, head: Delivery) -> bytes:
        """The signature; empty where there is none."""
        given = head.headers.get(self._header, "").strip()
        if not given.startswith(self._prefix) and not self._bare:
            return b""
        signature = given.removeprefix(self._prefix).encode("utf-8", "surrogateescape")
        return signature.lower() if self._encoding == "hex" else signature.translate(_STANDARD_BASE64).rstrip(b"=")

    def _sign(self, body: bytes, secret: bytes) -> bytes:
        return self._written(hmac.digest(secret, body, self._algorithm))

    def _written(self, signature: bytes) -> bytes:
        """As `_given` gives one."""
        return signature.hex().encode() if self._encoding == "hex" else base64.b64encode(signature).rstrip(b"=")

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
