"""Bodies that are a form with the JSON in its field `payload`: GitHub, Gitea and Forgejo send them if told so."""

from urllib.parse import parse_qsl

from services.ingress.delivery import Delivery

__all__ = ["form_payload"]

FORM = "application/x-www-form-urlencoded"
FIELD = "payload"
MAX_FIELDS = 20


def form_payload(delivery: Delivery) -> bytes | None:
    """The field's text; None where the body is no form, or has no such field."""
    if delivery.headers.get("Content-Type", "").partition(";")[0].strip().lower() != FORM:
        return None
    try:
        fields = parse_qsl(delivery.body.decode(), max_num_fields=MAX_FIELDS, errors="strict")
    except ValueError:
        return None
    return next((value.encode() for name, value in fields if name == FIELD), None)
