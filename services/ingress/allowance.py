"""How much may be delivered with one credential to one source: deliveries and bytes a second, in one process."""

import math
from typing import NamedTuple

from hookline.clock import Clock
from hookline.errors import TooMany
from hookline.web.token_bucket import TokenBucket
from services.ingress import metrics
from services.ingress.credentials import CredentialId

__all__ = ["BURST_S", "Allowance", "Rates"]

BURST_S = 10
"""What was not used is kept for so long: a registry that was held up may deliver it all at once."""


class Rates(NamedTuple):
    """A second."""

    deliveries: int
    size: int
    """Bytes, of bodies as they were sent or inflated, whichever is more."""


class Allowance:
    """Two buckets for each source and credential: there are never more of these than an operator has set.

    A delivery is let in while something is left, whatever its size, and what it takes beyond that is owed: so a large one
    is never refused forever.
    """

    def __init__(self, rates: Rates, clock: Clock) -> None:
        self._rates = rates
        self._clock = clock
        self._buckets: dict[tuple[str, CredentialId], tuple[TokenBucket, TokenBucket]] = {}

    def admit(self, source: str, credential: CredentialId, size: int) -> None:
        """Count a delivery, of that size as far as it is known. Raises TooMany; then it is not counted."""
        deliveries, sizes = self._filled(source, credential)
        if deliveries.left < 1:
            metrics.REFUSED.labels(source, "rate").inc()
            said = f"more than {self._rates.deliveries} deliveries a second with this credential"
            raise TooMany(said, _seconds(deliveries))
        if sizes.left <= 0:
            metrics.REFUSED.labels(source, "bytes").inc()
            said = f"more than {self._rates.size} bytes a second with this credential"
            raise TooMany(said, _seconds(sizes))
        deliveries.take()
        sizes.take(size)

    def charge(self, source: str, credential: CredentialId, size: int) -> None:
        """So many bytes more than were known of a delivery that was let in."""
        _, sizes = self._filled(source, credential)
        sizes.take(size)

    def _filled(self, source: str, credential: CredentialId) -> tuple[TokenBucket, TokenBucket]:
        now = self._clock.monotonic()
        found = self._buckets.get((source, credential))
        if found is None:
            full = (TokenBucket.full(rate * BURST_S, rate, now) for rate in self._rates)
            found = self._buckets[source, credential] = (next(full), next(full))
        for bucket in found:
            bucket.fill(now)
        return found


def _seconds(bucket: TokenBucket) -> int:
    return max(1, math.ceil(bucket.wait_s()))
