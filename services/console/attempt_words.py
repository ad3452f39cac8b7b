"""Why an attempt failed, as pages and API say it."""

from hookline.chain.events import AttemptError, HookAttemptFailed

__all__ = ["attempt_words"]

_ERRORS = {
    AttemptError.DNS: "its host name did not resolve",
    AttemptError.CONNECT: "no connection to its receiver",
    AttemptError.TLS: "no secure connection (TLS) to its receiver",
    AttemptError.TIMEOUT: "no answer in time",
    AttemptError.BLOCKED: "hooks may not be sent there",
    AttemptError.BROKEN: "no readable answer",
}


def attempt_words(failed: HookAttemptFailed) -> str:
    """The kind, and what the event says beyond it."""
    is_status = failed.error is AttemptError.STATUS
    kind = f"its receiver answered {failed.status}" if is_status else _ERRORS[failed.error]
    return kind if failed.detail is None else f"{kind}: {failed.detail}"
