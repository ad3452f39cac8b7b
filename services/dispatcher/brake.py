"""How long a partition waits before its next incarnation: longer whenever the same cause ends several in a row."""

from random import Random

from hookline.errors import LogError

__all__ = ["Brake"]

MIN_S, MAX_S = 0.05, 60.0
LOG_MAX_S = 5.0
"""Where the log is the cause: Kafka comes back, or another worker has the partition."""
FORGET_S = 60.0
"""Seconds in RUNNING after which an incarnation's end is the first in a row again."""


class Brake:
    """Of one partition. Its pauses are random, so that two owners do not fence each other in step."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._cause = ""
        self._pause_s = MIN_S

    def pause_s(self, error: Exception, ran_s: float) -> float:
        """Seconds. error: what ended the incarnation; ran_s: how long it had been RUNNING, 0 where it did not get there."""
        cause, most_s = type(error).__name__, LOG_MAX_S if isinstance(error, LogError) else MAX_S
        again = cause == self._cause and ran_s < FORGET_S
        self._pause_s = min(2 * self._pause_s, most_s) if again else MIN_S
        self._cause = cause
        return self._pause_s * (0.5 + self._random.random())
