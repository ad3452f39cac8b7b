"""The registry of pushes whose producer names none: `?registry=HOST` in the URL that it was given, or a header that it was told to send."""

from services.ingress.delivery import Delivery
from services.ingress.reading import clean

__all__ = ["QUERY", "REGISTRY_HEADER", "given_registry"]

QUERY = "registry"
REGISTRY_HEADER = "x-hookline-registry"
"""Kept with every delivery, so that a replay, and a retry from quarantine, has it too."""


def given_registry(delivery: Delivery) -> str | None:
    """As it was given: it is checked with the push's other names. None where there is none."""
    given = delivery.query.get(QUERY) or delivery.headers.get(REGISTRY_HEADER)
    return clean(given) if given else None
