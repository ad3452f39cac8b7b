"""The table of answers (design section 6), as far as the log decides it: pure, one row after the other."""

from enum import StrEnum

from hookline.chain.events import Verdict
from hookline.chain.state import UNCAUSED, Chain, FirstVerdict

__all__ = ["Answer", "first_verdict", "judge"]


class Answer(StrEnum):
    """What the log says to a callback."""

    OK = "ok"
    """200 `"OK"`: it is the first verdict of its step, or equal to it."""
    NOT_ALLOWED = "not_allowed"
    """400 `"Update not allowed"`."""
    CLOSING = "closing"
    """503: a halt of that step is intended and undecided; a repeat gets its answer when that is over."""
    APPEND = "append"
    """None of these: the verdict is to be appended, read back, and judged again."""


def judge(chain: Chain | None, step: int, state: Verdict, *, expired: bool) -> Answer:
    """The answer to `state` for `step` of a chain as it was read; None: it ended and was forgotten.

    Every answer but APPEND may be given only where the logs were read to their ends (`services.callbacks.gate`).
    expired: the token's time was over when the request came.
    """
    if chain is None or step > len(chain.steps):
        # Tokens are signed, so a step too many is that of another chain: the log was restored from a backup.
        return Answer.NOT_ALLOWED
    closing = chain.being_closed(step)
    if (verdict := first_verdict(chain, step)) is not None:
        if _halted_unheard(chain, step):
            return Answer.NOT_ALLOWED
        if closing:
            return Answer.CLOSING
        return Answer.OK if verdict.state is state else Answer.NOT_ALLOWED
    if chain.ending is not None or expired:
        return Answer.NOT_ALLOWED
    return Answer.CLOSING if closing else Answer.APPEND


def first_verdict(chain: Chain | None, step: int) -> FirstVerdict | None:
    """The verdict of that step that counts, if it is known."""
    return chain.step(step).verdict if chain is not None and step <= len(chain.steps) else None


def _halted_unheard(chain: Chain, step: int) -> bool:
    """Was the chain halted at that step by no verdict and no user? Then no verdict of it counts."""
    ending = chain.ending
    return ending is not None and ending.step == step and ending.reason in UNCAUSED
