"""What a chain needs now: `decide(chain, now) -> Action`, pure (design section 3).

decide          when
Complete        every verdict is success; or the last step was delivered or judged and no final callback is expected
Halt            a verdict that is not success; a cancel; an intent that is sealed
Seal            an intent that is not sealed
Close           the current step was delivered and its deadline has passed: the intent comes before the halt
Post            the current step is due
Wait            until a retry is due or a deadline passes
"""

from typing import NamedTuple, TypeAlias

from hookline.chain.events import HaltReason, Verdict
from hookline.chain.state import Chain

__all__ = ["Action", "Close", "Complete", "Halt", "Post", "Seal", "Wait", "decide"]


class Post(NamedTuple):
    """POST that step now, as that attempt."""

    step: int
    attempt: int


class Wait(NamedTuple):
    """Nothing to do before `until` (Unix ms)."""

    step: int
    until: int


class Close(NamedTuple):
    """Append StepClosing: the callback did not come in time."""

    step: int


class Seal(NamedTuple):
    """Append StepSealed to `callbacks` for the intent at that offset of `deliveries`."""

    step: int
    intent: int


class Halt(NamedTuple):
    """Append ChainHalted."""

    step: int
    reason: HaltReason


class Complete(NamedTuple):
    """Append ChainCompleted."""

    step: int


Action: TypeAlias = Post | Wait | Close | Seal | Halt | Complete

_BY_VERDICT = {Verdict.FAILURE: HaltReason.CALLBACK_FAILURE, Verdict.ERROR: HaltReason.CALLBACK_ERROR}


def decide(chain: Chain, now: int) -> Action:
    """The one thing to do for an open chain at `now` (Unix ms)."""
    last = len(chain.steps)
    number = chain.current
    if number > last:
        return Complete(last)
    state = chain.step(number)
    ends_on_delivery = number == last and not chain.plan.expect_final_callback
    if state.verdict is not None:
        # A verdict proves delivery; where no final callback is expected it decides nothing more.
        return Complete(number) if ends_on_delivery else Halt(number, _BY_VERDICT[state.verdict.state])
    if chain.cancelled:
        return Halt(number, HaltReason.CANCELLED)
    if state.expires_at is not None and ends_on_delivery:
        return Complete(number)
    if state.closing is not None:
        return Seal(number, state.closing.offset) if state.seal is None else Halt(number, state.closing.reason)
    if state.expires_at is not None:
        return Close(number) if now >= state.expires_at else Wait(number, state.expires_at)
    if state.retry_at is not None and now < state.retry_at:
        return Wait(number, state.retry_at)
    return Post(number, state.failed + 1)
