"""A token bucket: how much may be taken at once, and how fast it fills again. Pure: whoever asks says what time it is."""

import math
from dataclasses import dataclass

__all__ = ["TokenBucket"]


@dataclass(slots=True)
class TokenBucket:
    """Full at first."""

    size: float
    per_s: float
    at: float
    """Seconds of a monotonic clock: when it was filled last."""
    left: float
    """Below 0: owed."""

    @classmethod
    def full(cls, size: float, per_s: float, at: float) -> "TokenBucket":
        return cls(size, per_s, at, size)

    def fill(self, now: float) -> float:
        """What is in it now."""
        self.left = min(self.size, self.left + (now - self.at) * self.per_s)
        self.at = now
        return self.left

    def take(self, tokens: float = 1, least: float = -math.inf) -> None:
        """Whether or not there are so many, but down to `least` at most."""
        self.left = max(least, self.left - tokens)

    def put_back(self, tokens: float = 1) -> None:
        self.left = min(self.size, self.left + tokens)

    def wait_s(self, tokens: float = 1) -> float:
        """Seconds until so many are in it, by what was in it when it was filled last."""
        return (tokens - self.left) / self.per_s
