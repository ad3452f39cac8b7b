"""Where a push's fields stand in a body of JSON, as an operator says it; and the pushes that are found there.

A body is one push, or several: where `image`, `repository`, `tag` or `digest` finds a list, each element is a push, and another
field's list of the same length goes with it; where `each` finds a list, each element is looked at by itself, beside the body.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from pydantic import JsonValue

from hookline.chain.events import Payload
from hookline.chain.registry_names import registry_name
from hookline.errors import Unreadable
from services.ingress.contents import TOO_MANY
from services.ingress.delivery import Ignored, IgnoredReason, Push
from services.ingress.expression import Expression
from services.ingress.image import DIGEST
from services.ingress.reading import id_text, millis_of, seconds_to_millis, tag_text, text
from services.ingress.reference import Reference, host_of, split_reference

__all__ = ["FIELDS", "BodyMapping", "Finding", "numbered"]

NAMES = ("image", "repository")
"""One of them must be mapped: what has neither is no push of an image."""
MAKES_SEVERAL = (*NAMES, "tag", "digest")
OF_A_PUSH = (*MAKES_SEVERAL, "registry", "media_type", "pusher", "pushed_at", "id")
WHEN, EACH = "when", "each"
REQUIRED = frozenset({*NAMES, WHEN, EACH})
"""What of these fails on a body makes it unreadable; of all others a failure is the same as finding nothing."""
FIELDS = (*OF_A_PUSH, WHEN, EACH)

BODY, ELEMENT = "body", "each"
"""What expressions see where `each` takes a body apart."""

Finding: TypeAlias = Payload | Ignored | Unreadable
"""Of one push: what was found by field; or why there is none."""


@dataclass(frozen=True)
class BodyMapping:
    """Expressions by field. `called`: how an operator knows a field, for words about it.

    `default_registry`: of a push for which none is found, "" for none.
    """

    expressions: Mapping[str, Expression]
    called: Callable[[str], str]
    default_registry: str = ""

    @property
    def is_complete(self) -> bool:
        return any(name in self.expressions for name in NAMES)

    def findings(self, body: JsonValue, most: int) -> list[Finding]:
        """One for each push that the body may be. Raises Unreadable for the whole, and for more than `most`."""
        if EACH not in self.expressions:
            return self._in(body, most)
        elements = self._find(EACH, body)
        if elements is None or elements == []:
            nothing: JsonValue = {BODY: body, ELEMENT: None}
            if not self._is_push(nothing):
                return [Ignored(IgnoredReason.WHEN)]
            if elements is None:
                raise Unreadable(f"no list: {self.called(EACH)} finds none")
            return [Ignored(IgnoredReason.NO_IMAGE)]
        several = elements if isinstance(elements, list) else [elements]
        found: list[Finding] = []
        for element in several:
            found += self._in({BODY: body, ELEMENT: element}, most)
            if len(found) > most:
                raise Unreadable(TOO_MANY)
        return found

    def push_of(self, found: Payload) -> Push:
        """Raises Unreadable."""
        image = self._reference("image", found)
        own = self._reference("repository", found)
        written = text(found.get("repository")) or ""
        if image is None and own is None:
            names = [self.called(name) for name in NAMES if name in self.expressions]
            raise Unreadable(f"no repository: {' and '.join(names)} find{'s' if len(names) == 1 else ''} none")
        given = text(found.get("registry"))
        registry = host_of(given) or given
        if own is not None and registry is not None and _is_a_name_alone(own, written, registry):
            own = Reference(registry, written, None, None)
        tag, digest_of_tag = self._tag(found)
        references = [reference for reference in (own, image) if reference is not None]
        return Push(
            repository=references[0].repository,
            registry=registry
            or _first(reference.registry for reference in references)
            or self.default_registry
            or None,
            tag=tag or _first(reference.tag for reference in references),
            digest=_digest(text(found.get("digest")))
            or digest_of_tag
            or _first(reference.digest for reference in references),
            media_type=text(found.get("media_type")),
            pusher=text(found.get("pusher")),
            pushed_at=millis_of(found.get("pushed_at")) or seconds_to_millis(found.get("pushed_at")),
            producer_id=id_text(found.get("id")),
        )

    def _in(self, scope: JsonValue, most: int) -> list[Finding]:
        """What is found in a body, or in one element of it; one that cannot be read is so without the others."""
        try:
            if not self._is_push(scope):
                return [Ignored(IgnoredReason.WHEN)]
            found = {field: self._find(field, scope) for field in OF_A_PUSH}
            return self._several(found, most)
        except Unreadable as error:
            return [error]

    def _is_push(self, scope: JsonValue) -> bool:
        return WHEN not in self.expressions or not _is_false(self._find(WHEN, scope))

    def _several(self, found: Payload, most: int) -> list[Finding]:
        """One for each element of the lists in it. Raises Unreadable."""
        if any(found[name] == [] for name in NAMES):
            return [Ignored(IgnoredReason.NO_IMAGE)]
        for name in NAMES:
            if isinstance(value := found[name], list) and len(value) == 1:
                found[name] = value[0]
        lists = {field: value for field, value in found.items() if isinstance(value, list)}
        lengths = {field: len(lists[field]) for field in MAKES_SEVERAL if lists.get(field)}
        if len(set(lengths.values())) > 1:
            said = ", ".join(f"{self.called(field)} {length}" for field, length in lengths.items())
            raise Unreadable(f"lists of different lengths: {said}; take the body apart with {self.called(EACH)}")
        count = next(iter(lengths.values()), 1)
        if count > most:
            raise Unreadable(TOO_MANY)
        several: list[Finding] = []
        for number in range(count):
            own = {field: value[number] if len(value) == count else None for field, value in lists.items()}
            several.append({**found, **own})
        return several

    def _find(self, field: str, scope: JsonValue) -> JsonValue:
        """None where it is not mapped, or finds nothing. Raises Unreadable where it fails and may not."""
        expression = self.expressions.get(field)
        if expression is None:
            return None
        try:
            return expression.find(scope)
        except Unreadable as error:
            if field not in REQUIRED:
                return None
            raise Unreadable(f"{self.called(field)} {error}") from None

    def _reference(self, field: str, found: Payload) -> Reference | None:
        value = found.get(field)
        if _is_false(value):
            return None
        if not isinstance(value, str):
            raise Unreadable(f"{field}: {self.called(field)} finds no text")
        return split_reference(value.strip())

    def _tag(self, found: Payload) -> tuple[str | None, str | None]:
        """The tag that is mapped by itself, and a digest that stands with it; of a whole reference only these parts."""
        value = found.get("tag")
        tag = None if _is_false(value) else tag_text(value)
        if tag is None:
            return None, None
        if DIGEST.match(tag):
            return tag, None
        name, at, digest = tag.partition("@")
        if "/" not in name and ":" not in name:
            return name, (digest if at else None)
        whole = split_reference(tag)
        return whole.tag or tag, whole.digest


def numbered(ids: list[str | None]) -> list[str | None]:
    """Ids of the pushes of one body: those that several share are told apart by their place."""
    shared = Counter(ids)
    return [f"{one}/{n}" if one is not None and shared[one] > 1 else one for n, one in enumerate(ids, 1)]


def _is_a_name_alone(own: Reference, written: str, registry: str) -> bool:
    """Is `my.org/app` a repository, and no host's, since its registry stands elsewhere?"""
    is_elsewhere = own.registry is not None and registry_name(own.registry) != registry_name(registry)
    return is_elsewhere and ":" not in written and "@" not in written


def _digest(found: str | None) -> str | None:
    """Also of `name@sha256:...`, as engines list what they have."""
    return found.rpartition("@")[2] if found else None


def _first(values: Iterator[str | None]) -> str | None:
    return next((value for value in values if value), None)


def _is_false(value: JsonValue) -> bool:
    """In JMESPath's sense."""
    return value is None or value is False or value == "" or value == [] or value == {}
