"""The table of answers (design section 6), as far as the log decides it: pure, one row after the other."""

from enum import StrEnum

from hookline.chain.events import Verdict
from hookline.chain.state import Chain

__all__ = ["Answer", "answer_to_appended", "judge"]


class Answer(StrEnum):
    """What the log says to a callback."""

    OK = "ok"
    """200 `"OK"`: it is the first verdict of its step, or equal to it."""
    NOT_ALLOWED = "not_allowed"
    """400 `"Update not allowed"`."""
    TOO_LATE = "too_late"
    """The same, if it stays so when `callbacks` was read to its end: a verdict there that was answered 200 counts for its repeats."""
    APPEND = "append"
    """None of these: the verdict is to be appended, read back, and judged by what lies below it."""


def judge(chain: Chain | None, step: int, state: Verdict, *, expired: bool) -> Answer:
    """The answer to `state` for `step` of a chain as it was read so far; None: it is not read yet, or was forgotten.

    OK and NOT_ALLOWED are final, however little was read: what lies in `callbacks` first, a verdict or a StepSealed, stays first.
    expired: the token's time was over when the request came.
    """
    if (known := _first(chain, step, state)) is not None:
        return known
    return Answer.TOO_LATE if chain is None or chain.ending is not None or expired else Answer.APPEND


def answer_to_appended(chain: Chain | None, step: int, state: Verdict) -> Answer:
    """The answer to a verdict that was appended, and read back with all that lies below it; None: its chain was forgotten.

    What became of the chain meanwhile changes nothing: 200 says that it is the first, and no StepSealed lies below it.
    """
    return _first(chain, step, state) or Answer.NOT_ALLOWED


def _first(chain: Chain | None, step: int, state: Verdict) -> Answer | None:
    """By what `callbacks` says of that step first; None where it says nothing."""
    if chain is None:
        return None
    if step > len(chain.steps):
        # Tokens are signed, so a step too many is that of another chain: the log was restored from a backup.
        return Answer.NOT_ALLOWED
    judged = chain.step(step)
    if judged.verdict is not None:
        return Answer.OK if judged.verdict.state is state else Answer.NOT_ALLOWED
    return Answer.NOT_ALLOWED if judged.seal is not None else None
