"""How far this process's clock is from the brokers', as acks tell: deadlines are absolute, and every service reads its own
clock.

A record of a topic with `message.timestamp.type` LogAppendTime has the time at which its broker appended it, and the ack
says it. That moment lies between sending and ack, so whatever these two do not explain is a difference of clocks. A slow
ack explains more, and is never taken for one.
"""

import math

from prometheus_client import Gauge

__all__ = ["SKEW", "note_ack", "skew_ms"]

SKEW = Gauge(
    "hookline_clock_skew_seconds",
    "How far this process's clock is ahead of the brokers' at least (behind: below 0); NaN before the first ack that tells",
)
SKEW.set(math.nan)


def skew_ms(sent_at: int, stamped_at: int, acked_at: int) -> int:
    """Milliseconds that our clock is ahead, at least. sent_at, acked_at: by our clock; stamped_at: by the broker's."""
    if sent_at > stamped_at:
        return sent_at - stamped_at
    return min(0, acked_at - stamped_at)


def note_ack(sent_at: int, stamped_at: int | None, acked_at: int) -> None:
    """Export what that ack says; where it has no time of the broker's, nothing."""
    if stamped_at is not None:
        SKEW.set(skew_ms(sent_at, stamped_at, acked_at) / 1000)
