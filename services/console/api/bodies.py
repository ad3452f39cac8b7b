"""What clients send: JSON objects in bodies, words and times in queries. Everything here raises Invalid."""

import json

from aiohttp import web

from hookline.errors import Invalid
from hookline.times import parse_rfc3339
from hookline.web.body import read_body, without_bom
from hookline.web.door import is_text

__all__ = ["query_flag", "query_time", "read_object"]

BODY_BYTES = 256 * 1024
_FLAGS = {"true": True, "1": True, "false": False, "0": False}


async def read_object(request: web.Request, limit: int = BODY_BYTES) -> dict[str, object]:
    """A JSON object, whatever the Content-Type says; nothing at all is an empty one."""
    body = without_bom(await read_body(request, limit))
    try:
        found = json.loads(body) if body.strip() else {}
    except (ValueError, RecursionError) as error:
        raise Invalid({"non_field_errors": [f"The body is not JSON: {error}."]}) from None
    if not _is_text_throughout(found):
        raise Invalid({"non_field_errors": ["The body must not have null characters or half of a surrogate pair."]})
    if not isinstance(found, dict):
        raise Invalid({"non_field_errors": ["The body must be a JSON object."]})
    return found


def _is_text_throughout(value: object) -> bool:
    """In every text and key of a JSON value."""
    todo = [value]
    while todo:
        match todo.pop():
            case str(text):
                if not is_text(text):
                    return False
            case dict(items):
                todo += [*items, *items.values()]
            case list(items):
                todo += items
    return True


def query_flag(request: web.Request, name: str) -> bool | None:
    """`?name=true` or `false`; None where it is not there."""
    text = request.query.get(name)
    if text is None:
        return None
    if (flag := _FLAGS.get(text.lower())) is None:
        raise Invalid({name: ["Must be true or false."]})
    return flag


def query_time(request: web.Request, name: str) -> int | None:
    """Unix ms of `?name=`, in RFC 3339 or Unix milliseconds; None where it is not there."""
    text = request.query.get(name)
    if text is None:
        return None
    if text.isascii() and text.isdigit() and len(text) < 16:
        return int(text)
    try:
        # A plus sign that was not escaped came as a space.
        return parse_rfc3339(text.replace(" ", "+"))
    except ValueError:
        raise Invalid({name: ["Must be a time such as 2026-11-24T10:40:00Z, or Unix milliseconds."]}) from None
