"""The retry laws of registries that cannot be run here, and producers that keep them to the letter."""

from collections.abc import Awaitable, Callable
from itertools import accumulate, chain, repeat
from typing import NamedTuple

from hookline.testing.manual_clock import ManualClock

__all__ = ["LAWS", "Law", "Producer"]

Deliver = Callable[[], Awaitable[int]]
"""One POST of an event; the status, 0 for no answer."""

DAY_S = 24 * 3600


class Law(NamedTuple):
    """`waits_s`: before the second attempt, the third and so on; after the last the event is given up.

    `goes_silent`: after that many failures running nothing is sent any more, until somebody resets it by hand.
    `by_hand`: can somebody deliver an event again, under the same id?
    """

    waits_s: tuple[float, ...] = ()
    goes_silent: int | None = None
    by_hand: bool = False

    @property
    def attempts(self) -> int:
        return min(len(self.waits_s) + 1, self.goes_silent or DAY_S)


def _backoff(first_s: float, most_s: float, total_s: float) -> tuple[float, ...]:
    """Doubling waits up to `most_s`, as long as they fit into `total_s`."""
    waits = [min(first_s * 2**n, most_s) for n in range(200)]
    return tuple(wait for wait, sum_s in zip(waits, accumulate(waits), strict=True) if sum_s <= total_s)


LAWS = {
    # Three at once, then every second, without end (measured; here: a minute of it).
    "distribution": Law(tuple(chain((0.0, 0.0), repeat(1.0, 60)))),
    # maxretries, then it is dropped.
    "gitlab": Law((1.0,) * 10),
    # A job that fails three times is dead; its queue waits longer each time.
    "harbor": Law((16.0, 31.0)),
    # Five tries 30 s apart, but three failures running disable the notification for good.
    "quay": Law((30.0,) * 4, goes_silent=3),
    "github": Law(by_hand=True),
    "gitea": Law(by_hand=True),
    "forgejo": Law(by_hand=True),
    "zot": Law(),
    "acr": Law(),
    "nexus": Law(),
    # An API destination: up to 185 attempts within 24 hours.
    "ecr": Law(_backoff(1, 600, DAY_S)[:184]),
    # Pub/Sub: until it is acknowledged, at most 7 days.
    "gar": Law(_backoff(10, 600, DAY_S)),
    "jfrog": Law((10.0, 10.0)),
}
"""By source. Where documentation says nothing (`acr`, `jfrog`, `nexus`) the law is a guess, on the side of few."""


class Producer:
    """Delivers one event after the other by a law, on the clock of a test. `silent`: it was disabled."""

    def __init__(self, law: Law, clock: ManualClock) -> None:
        self.silent = False
        self._law, self._clock = law, clock
        self._failures = 0

    async def send(self, deliver: Deliver) -> bool:
        """Was the event taken, by the producer's own judgement?"""
        for wait_s in (0.0, *self._law.waits_s):
            self._clock.advance(wait_s)
            if self.silent:
                return False
            if 200 <= await deliver() < 300:
                self._failures = 0
                return True
            self._failures += 1
            self.silent = self._law.goes_silent is not None and self._failures >= self._law.goes_silent
        return False

    def reset(self) -> None:
        """Somebody enabled it again."""
        self.silent, self._failures = False, 0
