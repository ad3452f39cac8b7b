"""How often one step may be called back: a bucket for each step that a good token names, so that one receiver in a loop
holds up no other's verdict."""

import math

from cachetools import FIFOCache

from hookline.chain.callback_tokens import CallbackToken
from hookline.clock import Clock
from hookline.errors import TooMany
from hookline.web.token_bucket import TokenBucket

__all__ = ["CAPACITY", "PER_S", "CallbackLimit"]

PER_S = 10
"""Callbacks a second, and at once."""
CAPACITY = 20_000
"""Steps remembered, about 5 MB; beyond it the one that called longest ago is forgotten, and its bucket is full again."""


class CallbackLimit:
    """Of one process. Tokens of later attempts of a step share its bucket: a receiver gets a new one with each."""

    def __init__(self, clock: Clock, capacity: int = CAPACITY) -> None:
        self._clock = clock
        self._buckets: FIFOCache[tuple[str, int], TokenBucket] = FIFOCache(capacity)

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, token: CallbackToken) -> None:
        """Count one. Raises TooMany, with the seconds until there is room again; that one is not counted."""
        key, now = (str(token.chain_id), token.step), self._clock.monotonic()
        bucket = self._buckets[key] = self._buckets.get(key) or TokenBucket.full(PER_S, PER_S, now)
        if bucket.fill(now) < 1:
            raise TooMany(f"more than {PER_S} callbacks a second", math.ceil(bucket.wait_s()))
        bucket.take()
