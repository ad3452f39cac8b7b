"""Bodies that are a form with the JSON in its field `payload`: GitHub, Gitea and Forgejo send them if told so."""

import re

from services.ingress.delivery import Delivery

__all__ = ["form_payload"]

FORM = "application/x-www-form-urlencoded"
FIELD = b"payload="

_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_BYTES = {b"%02x" % n: bytes((n,)) for n in range(256)}


def form_payload(delivery: Delivery) -> bytes | None:
    """The field's text; None where the body is no form, or has no such field."""
    if delivery.headers.get("Content-Type", "").partition(";")[0].strip().lower() != FORM:
        return None
    _, found, behind = (b"&" + delivery.body).partition(b"&" + FIELD)
    if not found:
        return None
    # By hand: the standard library makes eighty times the body of one that is all escapes.
    return _ESCAPE.sub(lambda escape: _BYTES[escape[1].lower()], behind.partition(b"&")[0].replace(b"+", b" "))
