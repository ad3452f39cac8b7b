"""The interface of a source: one kind of producer, in one module of `services/ingress/sources/` that ends with `SOURCE = ...`."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import ClassVar, Self

from pydantic_core import to_json

from hookline.chain.events import Payload
from hookline.clock import Clock
from hookline.log.retention import LONGEST_WINDOW_S
from hookline.settings import Settings
from services.ingress.checks import NO_HEADERS, Check, IdToken, Token
from services.ingress.credentials import CredentialId, Credentials
from services.ingress.delivery import Delivery, Ignored, Part, Push
from services.ingress.form import form_payload
from services.ingress.reading import json_object
from services.ingress.several import Keys

__all__ = ["WINDOW_WITH_ID_S", "Source"]

WINDOW_WITH_ID_S = LONGEST_WINDOW_S
"""Seconds in which the same event id is a repeat (design section 3)."""


class Source(ABC):
    """One kind of producer. Override what differs; a source holds no state.

    `verify_head` or `verify_body`, then `parse` a delivery into its parts, then `normalise` each: they are called in this order.
    """

    name: ClassVar[str]
    """What stands behind `/events/` in its URL, and the `source` of its pushes."""

    title: ClassVar[str]
    """The product's name."""

    setup: ClassVar[str]
    """Lines of the registry's own configuration, to paste; `{url}`, `{token}` and `{secret}` stand for ours."""

    preview: ClassVar[bool] = False
    """Built from documentation and other receivers, never seen at work."""

    checks: ClassVar[tuple[Check, ...]] = (Token(),)
    """How its producers can prove who they are: one is enough."""

    window_s: ClassVar[int] = 120
    """Seconds in which the same body is a repeat, where the producer has no event id: longer than its retries take."""

    kept_headers: ClassVar[frozenset[str]] = frozenset()
    """Headers kept beside the usual ones, in lower case: ids and event names; never a credential (I11)."""

    by_settings: ClassVar[bool] = False
    """Do settings say what it reads of a body? Then nobody can tell later what it read."""

    handshake: ClassVar[bool] = False
    """Does it answer OPTIONS as CloudEvents' webhooks ask before they send anything?"""

    tags_at: ClassVar[tuple[Keys, ...]] = ()
    """Where its events have their tag: a list there is several pushes, and `normalise` sees one of them (`several`)."""

    def with_settings(self, settings: Settings) -> Self:
        """The source as it is set up. Raises ConfigError."""
        return self

    def further(self, settings: Settings, clock: Clock) -> Iterable["Source"]:
        """Sources that settings make beside this one, each with a name below its own (`generic/NAME`). Raises ConfigError."""
        return ()

    def below(self, name: str) -> "Source | None":
        """The source with that name below its own, as one knows it who has no settings; None where it has none such."""
        return None

    def unset(self) -> str:
        """What must be set, other than a credential, before it can take anything; "" for nothing."""
        return ""

    def can_verify(self, credentials: Credentials) -> bool:
        """Is there a credential that it could check?"""
        return any(check.can(credentials) for check in self.checks)

    async def verify_head(self, head: Delivery, credentials: Credentials) -> CredentialId | None:
        """The good credential that the head shows; in constant time. Raises Unavailable where that cannot be told now."""
        return await self._verify(head, credentials, of_body=False)

    def claims_signature(self, head: Delivery, credentials: Credentials) -> bool:
        """May there be a good signature of the body? Then it must be read to tell."""
        return any(check.of_body and check.can(credentials) and check.claims(head) for check in self.checks)

    async def verify_body(self, delivery: Delivery, credentials: Credentials) -> CredentialId | None:
        """The credential that the body is signed with, if it is good; in constant time. The body is as it was sent."""
        return await self._verify(delivery, credentials, of_body=True)

    async def _verify(self, delivery: Delivery, credentials: Credentials, *, of_body: bool) -> CredentialId | None:
        for check in self.checks:
            if check.of_body is not of_body or not check.can(credentials):
                continue
            if (good := await check.good(delivery, credentials)) is not None:
                return good
        return None

    def present(self, body: bytes, credentials: Credentials, kept: Mapping[str, str] = NO_HEADERS) -> dict[str, str]:
        """Headers that show a credential with that body; empty where none of these can (a JWT is its issuer's to sign).

        `kept`: headers that are sent anyway, which may be signed, too.
        """
        for check in self.checks:
            known = credentials.secrets or (credentials.tokens if check.takes_tokens else ())
            chosen = credentials.widest(known)
            if chosen is not None and (headers := check.present(body, chosen, kept)):
                return headers
        return {}

    def answer_to_handshake(self, delivery: Delivery) -> dict[str, str] | None:
        """What to answer to a POST that only asks whether we want events; None for every other, which is taken in."""
        return None

    def parse(self, delivery: Delivery) -> Iterable[Part]:
        """The events of a delivery: one, the body, unless the source knows envelopes. Raises Unreadable for the whole.

        A form's field `payload` counts as the body: GitHub, Gitea and others send one if told so.
        """
        payload = form_payload(delivery)
        yield Part(json_object(delivery.body if payload is None else payload), delivery.body)

    def raw_of(self, event: Payload) -> bytes:
        """A body with this event alone, as `parse` reads it."""
        return to_json(event)

    @abstractmethod
    def normalise(self, event: Payload, delivery: Delivery) -> Push | Ignored:
        """What the event is; it may be changed in place, and its numbers are tidy. Raises Unreadable for this event only."""

    def dedupe_window_s(self, push: Push) -> int:
        return self.window_s if push.producer_id is None else WINDOW_WITH_ID_S

    @property
    def takes_tokens(self) -> bool:
        """Can its producers show a token as it is?"""
        return any(check.takes_tokens for check in self.checks)

    @property
    def takes_issuers(self) -> bool:
        """Do its producers send JWTs?"""
        return any(isinstance(check, IdToken) for check in self.checks)

    @property
    def credential_to_set(self) -> str:
        """What to do where there is no credential that it could check."""
        if self.takes_tokens:
            return (
                "set HOOKLINE_INGRESS_TOKENS (comma-separated) and send one of them as Authorization: Bearer, "
                "as the password of HTTP Basic, or as ?token="
            )
        key = f'"{self.name}"' if "/" in self.name else self.name
        return f'set HOOKLINE_INGRESS_SECRETS_FILE to a TOML file with {key} = ["SECRET"]; the registry signs with that secret'
