"""How pages say things: durations, relative times, and a sentence for each word of the API."""

from collections.abc import Sequence

from hookline.chain.events import HaltReason

__all__ = ["duration", "milliseconds", "reason_words", "relative", "tags"]

_UNITS = ((86_400, "day"), (3600, "h"), (60, "min"), (1, "s"))
JUST_NOW_MS = 2000

_REASONS = {
    HaltReason.CALLBACK_FAILURE: "its receiver reported failure",
    HaltReason.CALLBACK_ERROR: "its receiver reported an error",
    HaltReason.CALLBACK_TIMEOUT: "its callback did not come in time",
    HaltReason.DELIVERY_FAILED: "it could not be delivered, and there are no attempts left",
    HaltReason.GONE: "its receiver answered 410 Gone",
    HaltReason.BLOCKED_ADDRESS: "hooks may not be sent to its address",
    HaltReason.CANCELLED: "it was cancelled",
}


def reason_words(reason: HaltReason | str) -> str:
    """Why a chain halted: `halted at step 2: ...`."""
    return _REASONS[HaltReason(reason)]


def duration(seconds: int) -> str:
    """`5 s`, `1 min 30 s`, `2 h`, `1 day`: at most the two largest units."""
    said: list[str] = []
    left = seconds
    for size, unit in _UNITS:
        count, left = divmod(left, size)
        if count:
            said.append(f"{count} {unit}s" if unit == "day" and count > 1 else f"{count} {unit}")
        elif said:
            break
    return " ".join(said[:2]) or "0 s"


def tags(wanted: Sequence[str] | str | None) -> str:
    """Which tags a pipeline is for."""
    if wanted is None:
        return "any"
    return f"versions in {wanted}" if isinstance(wanted, str) else " or ".join(wanted)


def milliseconds(took_ms: int) -> str:
    """`12 ms`, `1.3 s`, `2 min`."""
    if took_ms < 1000:
        return f"{took_ms} ms"
    return f"{took_ms / 1000:.1f} s" if took_ms < 60_000 else duration(took_ms // 1000)


def relative(at: int, now: int) -> str:
    """A time as seen from now (both Unix ms), in one unit: `3 min ago`, `in 2 h`."""
    distance = abs(now - at)
    if distance < JUST_NOW_MS:
        return "just now"
    seconds = distance // 1000
    size = next(size for size, _ in _UNITS if seconds >= size)
    said = duration(seconds // size * size)
    return f"in {said}" if at > now else f"{said} ago"
