"""Any producer that POSTs JSON: where each field of a push stands in it is said in settings, in JMESPath.

One mapping is said by the settings HOOKLINE_GENERIC_*; any number of others, each under a name, in HOOKLINE_GENERIC_FILE.
"""

from collections.abc import Iterable, Iterator
from typing import ClassVar, NamedTuple, Self

from pydantic import JsonValue

from hookline.chain.events import Payload
from hookline.clock import Clock
from hookline.errors import ConfigError, Unreadable
from hookline.settings import Settings
from hookline.web.body import without_bom
from services.ingress.checks import Check, Hmac, Token
from services.ingress.contents import MAX_EVENTS, MAX_RAW
from services.ingress.delivery import Delivery, Ignored, IgnoredReason, Part, Push
from services.ingress.expression import Expression
from services.ingress.form import form_payload
from services.ingress.image import image_push
from services.ingress.mapping import FIELDS, BodyMapping, Finding, numbered
from services.ingress.mapping_file import NAME, NamedMapping, default_registry_of, read_mappings
from services.ingress.reading import check_bounds, header_text, id_text, parse_json
from services.ingress.source import Source
from services.ingress.standard_webhooks import MESSAGE_ID, StandardWebhooks

__all__ = ["SOURCE", "Generic"]

PREFIX = "generic_"
"""Of the settings: HOOKLINE_GENERIC_REPOSITORY and so on, each a JMESPath expression."""
NUMBER, BODY = "hookline_part", "body"
"""Keys of what is kept of one push of several: its place among them, and the body as it was sent."""
IGNORED, UNREADABLE = "ignored", "unreadable"
"""Keys of an event that is no push; every other has the fields of one."""
AROUND = 40
"""More bytes than stand around the body in that."""
MAX_ID = 255
"""Characters of a message's id that pushes are known by."""


def _setting(field: str) -> str:
    return f"HOOKLINE_{PREFIX}{field}".upper()


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
    kept_headers: ClassVar[frozenset[str]] = frozenset({MESSAGE_ID})

    def __init__(self, mapping: BodyMapping | None = None) -> None:
        self._mapping = mapping or BodyMapping({}, _setting)

    def with_settings(self, settings: Settings) -> Self:
        given = {field: str(getattr(settings, PREFIX + field)) for field in FIELDS}
        expressions = {field: _compiled(field, text) for field, text in given.items() if text}
        registry = settings.generic_default_registry
        try:
            registry = default_registry_of(registry) if registry else ""
        except ValueError as error:
            raise ConfigError(f"{_setting('default_registry')} is {error}") from None
        return type(self)(BodyMapping(expressions, _setting, registry))

    def further(self, settings: Settings, clock: Clock) -> Iterable[Source]:
        return [_named(mapping) for mapping in read_mappings(settings.generic_file, clock)]

    def below(self, name: str) -> Source | None:
        given = name.removeprefix(f"{self.name}/")
        if given == name or not NAME.fullmatch(given):
            return None
        return _named(NamedMapping(given, BodyMapping({}, _setting), ()))

    def unset(self) -> str:
        if self._mapping.is_complete:
            return ""
        return (
            "set HOOKLINE_GENERIC_REPOSITORY (or _IMAGE, and _TAG and so on) to where the field stands in the body, "
            "in JMESPath; or name mappings in HOOKLINE_GENERIC_FILE, each with a URL of its own"
        )

    def parse(self, delivery: Delivery) -> Iterator[Part]:
        sent = _sent(delivery)
        most = max(1, min(MAX_EVENTS, MAX_RAW // max(1, len(sent.text) - AROUND)))
        findings = self._mapping.findings(sent.body, most)
        events = [_event(finding) for finding in findings]
        message_id = self._message_id(delivery)
        for event, known in zip(events, numbered([_id_of(event) or message_id for event in events]), strict=True):
            event["id"] = known
        if sent.number is None and len(events) == 1:
            yield Part(events[0], delivery.body)
        elif sent.number is None:
            for number, event in enumerate(events, 1):
                yield Part(event, _one_of(number, sent.text))
        elif 0 < sent.number <= len(events):
            yield Part(events[sent.number - 1], delivery.body)
        else:
            raise Unreadable(f"it was push {sent.number} of a body in which there are {len(events)} now")

    def normalise(self, event: Payload, delivery: Delivery) -> Push | Ignored:
        if UNREADABLE in event:
            raise Unreadable(str(event[UNREADABLE]))
        if IGNORED in event:
            return Ignored(IgnoredReason(str(event[IGNORED])))
        return image_push(self._mapping.push_of(event))

    def _message_id(self, delivery: Delivery) -> str | None:
        """What pushes are known by that have no id of their own, where it is signed with them."""
        if not any(isinstance(check, StandardWebhooks) for check in self.checks):
            return None
        message_id = header_text(delivery, MESSAGE_ID)
        return message_id if message_id is not None and len(message_id) <= MAX_ID else None


class _Sent(NamedTuple):
    """JSON, and how it was written; `number`: of the one push that it is kept for, None for all."""

    body: JsonValue
    text: bytes
    number: int | None


def _sent(delivery: Delivery) -> _Sent:
    """Also of a form, and of what was kept of one push of several. Raises Unreadable."""
    text = without_bom(delivery.body)
    if not text.lstrip().startswith((b"{", b"[")):
        text = without_bom(form_payload(delivery) or text)
    body = parse_json(text)
    if not isinstance(body, dict | list):
        raise Unreadable("neither a JSON object nor an array")
    check_bounds(body)
    if isinstance(body, dict) and body.keys() == {NUMBER, BODY}:
        number = body[NUMBER]
        return _Sent(body[BODY], text, number if isinstance(number, int) else 0)
    return _Sent(body, text, None)


def _one_of(number: int, body: bytes) -> bytes:
    """What is kept of one push of several: numbers in it stay as they were written."""
    return b'{"%s":%d,"%s":%s}' % (NUMBER.encode(), number, BODY.encode(), body)


def _event(finding: Finding) -> Payload:
    if isinstance(finding, Ignored):
        return {IGNORED: finding.reason.value}
    return {UNREADABLE: str(finding)} if isinstance(finding, Unreadable) else finding


def _id_of(event: Payload) -> str | None:
    return id_text(event.get("id"))


def _compiled(field: str, written: str) -> Expression:
    try:
        return Expression(written)
    except ValueError as error:
        raise ConfigError(f"{_setting(field)} is {error}") from None


def _named(given: NamedMapping) -> Generic:
    """A mapping of the file is a source by itself: what a source is called and checks are matters of its class."""
    proof = " or ".join(check.name for check in given.checks)

    class Named(Generic):
        name: ClassVar[str] = f"{Generic.name}/{given.name}"
        title: ClassVar[str] = f"JSON, by the mapping {given.name} of HOOKLINE_GENERIC_FILE"
        setup: ClassVar[str] = (
            f"# the producer: POST {{url}}\n# its secret: {{secret}}\n# proves itself by: {proof}\n"
            if given.checks
            else Generic.setup.partition("# the producer:")[1] + Generic.setup.partition("# the producer:")[2]
        )
        checks: ClassVar[tuple[Check, ...]] = given.checks or Generic.checks

    return Named(given.mapping)


SOURCE = Generic()
