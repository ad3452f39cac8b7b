"""The body of a callback: JSON whatever its Content-Type says, as Docker Hub's clients send it (design section 6)."""

import json
from collections.abc import Mapping
from typing import NamedTuple, NoReturn

from hookline.chain.events import Verdict
from hookline.errors import Invalid
from hookline.web.body import without_bom

__all__ = ["LIMITS", "MAX_BODY", "CallbackBody", "parse_body"]

MAX_BODY = 64 * 1024
"""Bytes."""

LIMITS: Mapping[str, int] = {"description": 255, "context": 100, "target_url": 2048}
"""The optional fields, and how many characters each may have."""

WHOLE = "non_field_errors"
_STATES = frozenset(verdict.value for verdict in Verdict)


class CallbackBody(NamedTuple):
    """A verdict, and what the receiver says about it; a field that is missing, null or empty is None."""

    state: Verdict
    description: str | None
    context: str | None
    target_url: str | None


def parse_body(body: bytes) -> CallbackBody:
    """Raises Invalid, with every field that is wrong. Unknown fields are fine."""
    fields = _object(body)
    errors: dict[str, list[str]] = {}
    state = _state(fields, errors)
    texts = {name: _text(fields.get(name), limit, name, errors) for name, limit in LIMITS.items()}
    if state is None or errors:
        raise Invalid(errors)
    return CallbackBody(state, **texts)


def _object(body: bytes) -> dict[str, object]:
    try:
        value: object = json.loads(
            without_bom(body).decode(), object_pairs_hook=_without_duplicates, parse_constant=_refuse_constant
        )
    except UnicodeDecodeError:
        raise Invalid({WHOLE: ["The body is not UTF-8."]}) from None
    except json.JSONDecodeError as error:
        said = f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        raise Invalid({WHOLE: [said]}) from None
    except RecursionError:
        raise Invalid({WHOLE: ["The body is nested too deeply."]}) from None
    except ValueError:  # an integer of thousands of digits
        raise Invalid({WHOLE: ["The body has a number that is too long."]}) from None
    if not isinstance(value, dict):
        raise Invalid({WHOLE: ["The body must be a JSON object."]})
    return value


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Two readers of one body must not see two verdicts."""
    made = dict(pairs)
    if len(made) < len(pairs):
        raise Invalid({WHOLE: ["The body has a key twice."]})
    return made


def _refuse_constant(_: str) -> NoReturn:
    raise Invalid({WHOLE: ["The body is not JSON: NaN and Infinity are not JSON numbers."]})


def _state(fields: Mapping[str, object], errors: dict[str, list[str]]) -> Verdict | None:
    value = fields.get("state")
    if isinstance(value, str) and value in _STATES:
        return Verdict(value)
    said = "This field is required." if value is None else 'Must be "success", "failure" or "error".'
    errors["state"] = [said]
    return None


def _text(value: object, limit: int, name: str, errors: dict[str, list[str]]) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        errors[name] = ["Must be a string."]
    elif len(value) > limit:
        errors[name] = [f"Must have at most {limit} characters."]
    elif "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
        errors[name] = ["Must not have null characters or half of a surrogate pair."]
    else:
        return value
    return None
