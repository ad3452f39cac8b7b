"""Standard Webhooks (its specification, version 1.0.0): id, time and body of a delivery are signed together."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterator, Mapping
from typing import ClassVar

from hookline.clock import Clock
from services.ingress.checks import NO_HEADERS, Check
from services.ingress.credentials import CredentialId, Credentials, id_of
from services.ingress.delivery import Delivery

__all__ = ["MESSAGE_ID", "StandardWebhooks"]

MESSAGE_ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
"""Headers."""
PREFIX = b"whsec_"
"""Of a secret; behind it is the key, in base64."""
VERSION = "v1,"
"""Of a signature: symmetric. Others (`v1a`, with a public key) may stand beside it."""
TOLERANCE_S = 300
"""How far the time of a delivery may be from ours, either way."""
MAX_SIGNATURES = 20
"""In one header: a producer that changes its secret sends two."""
SIGNATURE_LENGTH = len(base64.b64encode(bytes(hashlib.sha256().digest_size)))
MAX_TIMESTAMP = 12
"""Digits."""


class StandardWebhooks(Check):
    """HMAC-SHA256 of `id.timestamp.body`, one signature of several; a delivery that is older than five minutes is none."""

    of_body: ClassVar = True

    def __init__(self, clock: Clock) -> None:
        self.name = f"Standard Webhooks (hmac-sha256 in {SIGNATURE})"
        self._clock = clock

    def claims(self, head: Delivery) -> bool:
        return bool(head.headers.get(MESSAGE_ID)) and self._is_in_time(head) and any(_signatures(head))

    async def good(self, delivery: Delivery, credentials: Credentials) -> CredentialId | None:
        if not self.claims(delivery):
            return None
        signatures = list(_signatures(delivery))
        good = None
        for secret in credentials.secrets:
            own = self._sign(delivery.headers[MESSAGE_ID], delivery.headers[TIMESTAMP], delivery.body, secret)
            for signature in signatures:
                if hmac.compare_digest(signature, own):
                    good = id_of(secret)
        return good

    def present(self, body: bytes, secret: bytes, kept: Mapping[str, str] = NO_HEADERS) -> dict[str, str]:
        message_id = kept.get(MESSAGE_ID) or f"msg_{hashlib.sha256(body).hexdigest()[:32]}"
        timestamp = str(self._clock.now_ms() // 1000)
        signature = self._sign(message_id, timestamp, body, secret).decode()
        return {MESSAGE_ID: message_id, TIMESTAMP: timestamp, SIGNATURE: VERSION + signature}

    def fault(self, secret: bytes) -> str:
        try:
            return "" if _key(secret) else "a secret of Standard Webhooks has a key behind whsec_"
        except binascii.Error:
            return "a secret of Standard Webhooks is whsec_ and base64"

    def _is_in_time(self, head: Delivery) -> bool:
        written = head.headers.get(TIMESTAMP, "")
        if not written.isascii() or not written.isdigit() or len(written) > MAX_TIMESTAMP:
            return False
        return abs(self._clock.now_ms() / 1000 - int(written)) <= TOLERANCE_S

    def _sign(self, message_id: str, timestamp: str, body: bytes, secret: bytes) -> bytes:
        signed = b".".join((message_id.encode("utf-8", "surrogateescape"), timestamp.encode(), body))
        return base64.b64encode(hmac.digest(_key(secret), signed, "sha256"))


def _key(secret: bytes) -> bytes:
    """Raises binascii.Error."""
    return base64.b64decode(secret.removeprefix(PREFIX), validate=True)


def _signatures(head: Delivery) -> Iterator[bytes]:
    given = head.headers.get(SIGNATURE, "").split(maxsplit=MAX_SIGNATURES)[:MAX_SIGNATURES]
    for one in given:
        signature = one.removeprefix(VERSION).encode("utf-8", "surrogateescape")
        if one.startswith(VERSION) and len(signature) == SIGNATURE_LENGTH:
            yield signature
