"""A chain at a glance: its steps as a picture, and where it stands in one sentence. Pure."""

from enum import StrEnum
from typing import NamedTuple

from hookline.chain.events import HookPlan, Verdict
from hookline.chain.state import Chain, StepState
from services.console.pages.words import reason_words
from services.console.readmodel.history import ChainRow
from services.console.readmodel.standing import StepStanding, step_standing

__all__ = ["Look", "ShownStep", "Summary", "picture", "summary"]


class Look(StrEnum):
    """How a step is drawn."""

    DONE = "done"
    OPEN = "open"
    HALTED = "halted"
    LATER = "later"
    SKIPPED = "skipped"


class ShownStep(NamedTuple):
    """`word`: where it stands; `until`: with it, a time (Unix ms) that is waited for."""

    number: int
    hook: HookPlan
    look: Look
    word: str
    until: int | None = None


class Summary(NamedTuple):
    """A sentence, and the time (Unix ms) that it ends with, if any."""

    text: str
    at: int | None = None


def picture(chain: Chain) -> list[ShownStep]:
    """Every step of its plan."""
    return [_shown(chain, number, hook) for number, hook in enumerate(chain.plan.hooks, 1)]


def summary(chain: Chain, row: ChainRow) -> Summary:
    """Where the chain stands."""
    count = len(chain.steps)
    if row.reason is not None:
        return Summary(f"Halted at step {row.step} of {count}: {reason_words(row.reason)}.")
    if chain.ending is not None and chain.plan.expect_final_callback:
        return Summary("Completed: every step reported success.")
    if chain.ending is not None:
        return Summary("Completed: the last step was delivered, and no final callback is expected.")
    number = chain.current
    if number > count:
        return Summary("Every step reported success; it is about to be completed.")
    if chain.cancelled:
        return Summary(f"A user cancelled it, and it is about to halt at step {number}.")
    return _open_step(chain, number, chain.step(number))


def _open_step(chain: Chain, number: int, state: StepState) -> Summary:
    which = f"Step {number} of {len(chain.steps)}"
    if state.verdict is not None:
        return Summary(f"{which} reported {state.verdict.state}; the chain is about to end.")
    if state.closing is not None:
        return Summary(f"{which} is being closed: {reason_words(state.closing.reason)}.")
    if state.expires_at is not None:
        return Summary(f"{which} was delivered; its verdict is awaited until", state.expires_at)
    if state.retry_at is not None:
        failed = "1 attempt" if state.failed == 1 else f"{state.failed} attempts"
        return Summary(f"{which}: {failed} failed; the next one is due at", state.retry_at)
    return Summary(f"{which} is due: its hook is being called.")


def _shown(chain: Chain, number: int, hook: HookPlan) -> ShownStep:
    state, ending = chain.step(number), chain.ending
    if ending is not None and ending.reason is not None and ending.step == number:
        return ShownStep(number, hook, Look.HALTED, f"halted: {ending.reason}")
    match step_standing(chain, number):
        case StepStanding.SKIPPED:
            return ShownStep(number, hook, Look.SKIPPED, "skipped")
        case StepStanding.VERIFIED if state.verdict is not None:
            is_done = state.verdict.state is Verdict.SUCCESS or ending is not None
            return ShownStep(number, hook, Look.DONE if is_done else Look.OPEN, state.verdict.state.value)
        case StepStanding.DELIVERED if ending is not None:
            return ShownStep(number, hook, Look.DONE, "delivered")
        case StepStanding.DELIVERED:
            return ShownStep(number, hook, Look.OPEN, "delivered, verdict until", state.expires_at)
        case StepStanding.CLOSING:
            return ShownStep(number, hook, Look.OPEN, "being closed")
        case StepStanding.PENDING if state.retry_at is not None:
            return ShownStep(number, hook, Look.OPEN, f"attempt {state.failed + 1} due", state.retry_at)
        case StepStanding.PENDING:
            return ShownStep(number, hook, Look.OPEN, "due")
        case StepStanding.FAILED:
            return ShownStep(number, hook, Look.HALTED, "failed")
        case _:
            return ShownStep(number, hook, Look.LATER, "not reached")
