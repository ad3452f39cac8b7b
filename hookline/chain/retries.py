"""When a failed attempt is tried again (design section 3; the schedule is that of the Standard Webhooks specification)."""

from collections.abc import Callable, Sequence

from hookline.chain.events import AttemptError

__all__ = [
    "BLOCKED_RETRY_S",
    "JITTER",
    "MAX_RETRY_AFTER_S",
    "is_delivered",
    "is_elsewhere",
    "next_attempt_at",
]

MAX_RETRY_AFTER_S = 86_400
"""A receiver may lengthen a wait by Retry-After, up to this."""

BLOCKED_RETRY_S = 5
"""A blocked address is final only when seen on two attempts this far apart: a name may be in the middle of a change."""

JITTER = 0.1
"""A wait is this part longer or shorter, drawn at random."""
GONE = 410


def is_delivered(status: int) -> bool:
    """2xx, and the 3xx that may mean that the work was done here: the Jenkins plug-in answers 302. None is ever followed."""
    return 200 <= status < 400 and not is_elsewhere(status)


def is_elsewhere(status: int) -> bool:
    """Does it say that nothing was done here, and the same request belongs to another URL (RFC 9110 section 15.4)?"""
    return status in (301, 307, 308)


def next_attempt_at(
    *,
    attempt: int,
    error: AttemptError,
    status: int | None,
    was_blocked: bool,
    retry_after_s: float | None,
    delays_s: Sequence[int],
    now: int,
    random: Callable[[], float],
) -> int | None:
    """Unix ms of the next attempt after number `attempt` failed, or None: no more.

    was_blocked: the attempt before was refused by the address guard, too; random: uniform in [0, 1).
    """
    if status == GONE:
        return None
    if error is AttemptError.BLOCKED:
        return None if was_blocked else now + BLOCKED_RETRY_S * 1000
    if attempt > len(delays_s):
        return None
    wait_s = delays_s[attempt - 1] * (1 + JITTER * (2 * random() - 1))
    if retry_after_s is not None:
        wait_s = max(wait_s, min(retry_after_s, MAX_RETRY_AFTER_S))
    return now + round(wait_s * 1000)
