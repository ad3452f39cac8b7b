"""The interface of a source: one kind of producer, in one module of `services/ingress/sources/` that ends with `SOURCE = ...`."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import ClassVar

from hookline.chain.events import Payload
from services.ingress.credentials import Tokens
from services.ingress.delivery import Delivery, Ignored, Part, Push
from services.ingress.reading import json_object

__all__ = ["WINDOW_WITH_ID_S", "Source"]

WINDOW_WITH_ID_S = 24 * 3600
"""Seconds in which the same event id is a repeat (design section 3)."""


class Source(ABC):
    """One kind of producer. Override what differs; a source holds no state.

    `verify`, then `parse` a delivery into its parts, then `normalise` each: they are called in this order.
    """

    name: ClassVar[str]
    """The last segment of its URL, and the `source` of its pushes."""

    window_s: ClassVar[int] = 120
    """Seconds in which the same body is a repeat, where the producer has no event id: longer than its retries take."""

    kept_headers: ClassVar[frozenset[str]] = frozenset()
    """Headers kept beside the usual ones, in lower case: ids and event names; never a credential (I11)."""

    def configured(self, tokens: Tokens) -> bool:
        """Is there a credential that `verify` could check?"""
        return bool(tokens)

    def verify(self, delivery: Delivery, tokens: Tokens) -> bool:
        """Does the delivery show a good credential? In constant time."""
        return tokens.accept(delivery)

    def parse(self, delivery: Delivery) -> Iterable[Part]:
        """The events of a delivery: one, the body, unless the source knows envelopes. Raises Unreadable for the whole."""
        yield Part(json_object(delivery.body), delivery.body)

    @abstractmethod
    def normalise(self, event: Payload, delivery: Delivery) -> Push | Ignored:
        """What the event is; it may be changed in place, and its numbers are tidy. Raises Unreadable for this event only."""

    def dedupe_window_s(self, push: Push) -> int:
        return self.window_s if push.producer_id is None else WINDOW_WITH_ID_S
