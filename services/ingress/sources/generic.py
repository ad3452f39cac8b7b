"""Any producer that POSTs JSON: where each field of a push stands in it is said in settings, in JMESPath."""

from typing import ClassVar, Self

import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.parser import ParsedResult
from pydantic import JsonValue

from hookline.chain.events import Payload
from hookline.errors import ConfigError, Unreadable
from hookline.settings import Settings
from services.ingress.checks import Check, Hmac, Token
from services.ingress.delivery import Delivery, Ignored, IgnoredReason, Push
from services.ingress.image import image_push
from services.ingress.reading import id_text, millis_of, seconds_to_millis, tag_text, text
from services.ingress.reference import host_of
from services.ingress.source import Source

__all__ = ["SOURCE", "Generic"]

PREFIX = "generic_"
"""Of the settings: HOOKLINE_GENERIC_REPOSITORY and so on, each a JMESPath expression."""
FIELDS = ("repository", "tag", "digest", "registry", "media_type", "pusher", "pushed_at", "id", "when")


class Generic(Source):
    """`when`: what must be true (JMESPath's sense) of a body that is a push; without it every body is one."""

    name: ClassVar[str] = "generic"
    title: ClassVar[str] = "JSON of any other producer"
    setup: ClassVar[str] = """\
# ingress: where each field stands in the body, in JMESPath. For {{"event": "push", "image": {{"name": "acme/app", "tag": "1"}}}}:
HOOKLINE_GENERIC_REPOSITORY="image.name"
HOOKLINE_GENERIC_TAG="image.tag"
HOOKLINE_GENERIC_WHEN="event == 'push'"
# the producer: POST {url}, with
Authorization: Bearer {token}
"""
    checks: ClassVar[tuple[Check, ...]] = (Token(verbatim=True), Hmac("X-Hub-Signature-256", "sha256="))
    by_settings: ClassVar[bool] = True

    def __init__(self, **expressions: ParsedResult) -> None:
        self._expressions = expressions

    def with_settings(self, settings: Settings) -> Self:
        given = {field: str(getattr(settings, PREFIX + field)) for field in FIELDS}
        return type(self)(**{field: _compiled(field, text) for field, text in given.items() if text})

    def unset(self) -> str:
        if "repository" in self._expressions:
            return ""
        return "set HOOKLINE_GENERIC_REPOSITORY (and _TAG and so on) to where the field stands in the body, in JMESPath"

    def normalise(self, event: Payload, delivery: Delivery) -> Push | Ignored:
        if "when" in self._expressions and _is_false(self._find("when", event)):
            return Ignored(IgnoredReason.OTHER_ACTION)
        repository = text(self._find("repository", event))
        if repository is None:
            raise Unreadable("no repository: HOOKLINE_GENERIC_REPOSITORY finds none")
        registry, pushed_at = text(self._find("registry", event)), self._find("pushed_at", event)
        return image_push(
            Push(
                repository=repository,
                registry=host_of(registry) or registry,
                tag=tag_text(self._find("tag", event)),
                digest=text(self._find("digest", event)),
                media_type=text(self._find("media_type", event)),
                pusher=text(self._find("pusher", event)),
                pushed_at=millis_of(pushed_at) or seconds_to_millis(pushed_at),
                producer_id=id_text(self._find("id", event)),
            )
        )

    def _find(self, field: str, event: Payload) -> JsonValue:
        """None where there is no such expression, or it finds nothing. Raises Unreadable."""
        expression = self._expressions.get(field)
        if expression is None:
            return None
        try:
            found: JsonValue = expression.search(event)
        except (JMESPathError, TypeError, AttributeError) as error:
            raise Unreadable(f"HOOKLINE_GENERIC_{field.upper()} fails on it: {type(error).__name__}") from None
        return found


def _compiled(field: str, expression: str) -> ParsedResult:
    try:
        return jmespath.compile(expression)
    except JMESPathError as error:
        said = str(error).splitlines()[0]
        raise ConfigError(f"HOOKLINE_GENERIC_{field.upper()} is not JMESPath: {said}") from None


def _is_false(value: JsonValue) -> bool:
    return value is None or value is False or value == "" or value == [] or value == {}


SOURCE = Generic()
