"""May a type keep its version? Pure: two JSON Schemas in, what forbids it in words out.

Old readers must read new records and new readers old ones, permanently. So the only change that keeps a version is a new
optional field (design section 2); everything else that a validator would notice needs the next version:

    a removed field, a new required one, one that becomes required or optional, another type, format, bound or default,
    an enum with fewer or more values.

Titles and descriptions are not compared.
"""

from collections.abc import Iterator

from pydantic import JsonValue

from hookline.schemas.models import Schema

__all__ = ["incompatibilities", "same_shape"]

_SAYS_NOTHING = frozenset({"$schema", "$id", "$comment", "title", "description", "examples", "deprecated"})
_BRANCHES = ("anyOf", "oneOf", "allOf")
_INNER = ("items", "additionalProperties")
_NAMED = ("properties", "required")


def incompatibilities(old: Schema, new: Schema) -> list[str]:
    """Why `new` may not go under the same version as `old`, a sentence each; empty when it may."""
    return list(_compare(_plain(old, old), _plain(new, new), ""))


def same_shape(one: Schema, other: Schema) -> bool:
    """Equal for a validator, whatever their descriptions say."""
    return _plain(one, one) == _plain(other, other)


def _plain(schema: Schema, root: Schema) -> Schema:
    """Without references and descriptions. Our models do not refer to themselves, so this ends."""
    plain: Schema = {}
    for word, value in schema.items():
        match word, value:
            case "$ref", str():
                plain |= _plain(_at(root, value), root)
            case "properties", dict():
                plain[word] = {name: _plain(_schema(inner), root) for name, inner in value.items()}
            case _ if word in _INNER and isinstance(value, dict):
                plain[word] = _plain(value, root)
            case _ if word in _BRANCHES and isinstance(value, list):
                plain[word] = [_plain(_schema(branch), root) for branch in value]
            case "required" | "enum", list():
                plain[word] = sorted(value, key=repr)
            case _ if word not in _SAYS_NOTHING and word != "$defs":
                plain[word] = value
    return plain


def _at(root: Schema, ref: str) -> Schema:
    found: JsonValue = root
    for part in ref.removeprefix("#/").split("/"):
        found = _schema(found)[part]
    return _schema(found)


def _schema(value: JsonValue) -> Schema:
    assert isinstance(value, dict), "our generator writes no boolean schemas here"
    return value


def _compare(old: Schema, new: Schema, at: str) -> Iterator[str]:
    yield from _compare_fields(old, new, at)
    for word in sorted((old.keys() | new.keys()) - set(_NAMED)):
        before, after = old.get(word), new.get(word)
        match before, after:
            case dict(), dict() if word in _INNER:
                yield from _compare(before, after, f"{at}[]")
            case list(), list() if word in _BRANCHES and len(before) == len(after):
                for one, other in zip(before, after, strict=True):
                    yield from _compare(_schema(one), _schema(other), at)
            case list(), list() if word == "enum":
                yield from _compare_enums(before, after, at)
            case _ if before != after or (word in old) != (word in new):
                yield f"{at or 'the whole'}: {word} was {_say(old, word)}, is now {_say(new, word)}"


def _compare_fields(old: Schema, new: Schema, at: str) -> Iterator[str]:
    before, after = _schema(old.get("properties", {})), _schema(new.get("properties", {}))
    needed_before, needed_after = _names(old), _names(new)
    for name, schema in before.items():
        field = f"{at}.{name}" if at else name
        if name not in after:
            yield f"{field}: removed"
            continue
        if name in needed_before and name not in needed_after:
            yield f"{field}: was required, is now optional"
        if name not in needed_before and name in needed_after:
            yield f"{field}: was optional, is now required"
        yield from _compare(_schema(schema), _schema(after[name]), field)
    for name in after.keys() - before.keys():
        if name in needed_after:
            yield f"{f'{at}.{name}' if at else name}: new and required; a new field needs a default"


def _compare_enums(before: list[JsonValue], after: list[JsonValue], at: str) -> Iterator[str]:
    if lost := [value for value in before if value not in after]:
        yield f"{at}: enum lost {', '.join(map(repr, lost))}"
    if gained := [value for value in after if value not in before]:
        yield f"{at}: enum gained {', '.join(map(repr, gained))}"


def _names(schema: Schema) -> list[JsonValue]:
    names = schema.get("required", [])
    assert isinstance(names, list)
    return names


def _say(schema: Schema, word: str) -> str:
    return repr(schema[word]) if word in schema else "not set"
