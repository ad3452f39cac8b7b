"""How far this process's clock is from the brokers', as acks tell: deadlines are absolute, and every service reads its own
clock.

A record of a topic with `message.timestamp.type` LogAppendTime has the time at which its broker appended it, and the ack
says it. That moment lies between sending and ack, so whatever these two do not explain is a difference of clocks. A slow
ack explains more, and is never taken for one.
"""

import math

import structlog
from prometheus_client import Gauge

from hookline.clock import Clock
from hookline.settings import MAX_CLOCK_SKEW_S

__all__ = ["SKEW", "ClockSkew", "skew_ms"]

log = structlog.get_logger()

SKEW = Gauge(
    "hookline_clock_skew_seconds",
    "How far this process's clock is ahead of the brokers', at least (negative: behind); NaN before the first ack that tells",
)
SKEW.set(math.nan)


def skew_ms(sent_at: int, stamped_at: int, acked_at: int) -> int:
    """Milliseconds that our clock is ahead, at least. sent_at, acked_at: by our clock; stamped_at: by the broker's."""
    if sent_at > stamped_at:
        return sent_at - stamped_at
    return min(0, acked_at - stamped_at)


class ClockSkew:
    """May this clock be gone by? By the last ack that told, and by what it has gone further since than time has passed.

    limit_s: HOOKLINE_MAX_CLOCK_SKEW. meanwhile: what is not done while it is further off than that, for readiness and the log.
    """

    def __init__(self, clock: Clock, limit_s: float = MAX_CLOCK_SKEW_S, meanwhile: str = "") -> None:
        self._clock = clock
        self._limit_ms = limit_s * 1000
        self._meanwhile = meanwhile
        self._acked = False
        self._measured_ms: int | None = None
        """By the last ack that told; None where topics keep the producer's time: then nobody can tell, and it is gone by."""
        self._base_ms = 0.0
        """Wall time less monotonic time, as they were at that ack."""
        self._missed = False
        """Was it asked for before any ack?"""
        self._said = False

    def note(self, sent_at: int, stamped_at: int | None, acked_at: int) -> None:
        """Take what an ack says, as `skew_ms`; and export it."""
        self._acked = True
        if stamped_at is None:
            return
        self._measured_ms = skew_ms(sent_at, stamped_at, acked_at)
        self._base_ms = self._wall_less_monotonic()
        SKEW.set(self._measured_ms / 1000)
        self._say()

    @property
    def ahead_ms(self) -> int:
        """Milliseconds that our clock is ahead now, as far as is known."""
        if self._measured_ms is None:
            return 0
        return self._measured_ms + round(self._wall_less_monotonic() - self._base_ms)

    @property
    def too_far(self) -> bool:
        """Is it known to be further off than the limit, by an ack and still?

        Not where only the clocks here say so: a machine that slept is woken with a right clock.
        """
        return self._measured_ms is not None and min(abs(self._measured_ms), abs(self.ahead_ms)) > self._limit_ms

    @property
    def doubtful(self) -> bool:
        """Must nothing that cannot be taken back be decided by it: is it, or may it be, further off than the limit?"""
        self._missed = self._missed or not self._acked
        return not self._acked or self._is_off()

    def words(self) -> str:
        """What is wrong with it, in words; "" where nothing is. Said in the log, too, once for each time that it goes wrong."""
        self._say()
        if self._acked:
            return f"{self._distance()}{self._consequence()}" if self._is_off() else ""
        if self._missed:
            return f"this clock has not been compared with the brokers' yet: nothing has been appended{self._consequence()}"
        return ""

    def _is_off(self) -> bool:
        return abs(self.ahead_ms) > self._limit_ms

    def _say(self) -> None:
        if (is_off := self._is_off()) == self._said:
            return
        self._said = is_off
        if is_off:
            log.error("the clock is wrong", reason=self._distance(), meanwhile=self._meanwhile)
        else:
            log.info("the clock is right again", ahead_s=self.ahead_ms / 1000)

    def _distance(self) -> str:
        seconds = abs(self.ahead_ms) / 1000
        return (
            f"this clock is {seconds:.0f} s {'ahead of' if self.ahead_ms > 0 else 'behind'} the brokers', more than"
            f" HOOKLINE_MAX_CLOCK_SKEW ({self._limit_ms / 1000:g} s): set it right"
        )

    def _consequence(self) -> str:
        return f"; meanwhile {self._meanwhile}" if self._meanwhile else ""

    def _wall_less_monotonic(self) -> float:
        return self._clock.now_ms() - self._clock.monotonic() * 1000
