"""How pages say things: which tags a pipeline is for, and a sentence for each word of the API."""

from collections.abc import Sequence

from hookline.chain.events import HaltReason

__all__ = ["reason_words", "tags"]

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


def tags(wanted: Sequence[str] | str | None) -> str:
    """Which tags a pipeline is for."""
    if wanted is None:
        return "any"
    return f"versions in {wanted}" if isinstance(wanted, str) else " or ".join(wanted)
