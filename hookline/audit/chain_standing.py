"""Where a chain stands, in words for people and in fields for machines."""

from typing import TypedDict

from hookline.chain.state import Chain, StepState
from hookline.times import show_time

__all__ = ["Standing", "StepStanding", "standing", "status", "words"]


class StepStanding(TypedDict):
    """`StepState`, its times as RFC 3339. `verdict` and `closing` with the offset that they lie at."""

    failed: int
    retry_at: str | None
    expires_at: str | None
    verdict: dict[str, str | int] | None
    closing: dict[str, str | int] | None


class Standing(TypedDict):
    """`status`: running, completed, halted. `step`: the one under way, or the one it ended at."""

    status: str
    step: int
    reason: str | None
    ended_at: str | None
    cancelled: bool
    steps: list[StepStanding]


def standing(chain: Chain) -> Standing:
    ending = chain.ending
    return {
        "status": status(chain),
        "step": ending.step if ending else min(chain.current, len(chain.steps)),
        "reason": ending.reason if ending else None,
        "ended_at": show_time(ending.at) if ending else None,
        "cancelled": chain.cancelled,
        "steps": [_step(step) for step in chain.steps],
    }


def status(chain: Chain) -> str:
    if chain.ending is None:
        return "running"
    return "completed" if chain.ending.reason is None else "halted"


def words(chain: Chain) -> str:
    """One line."""
    last = len(chain.steps)
    if (ending := chain.ending) is not None:
        return "completed" if ending.reason is None else f"halted at step {ending.step} of {last}: {ending.reason}"
    if chain.current > last:
        return f"all {last} steps succeeded, to complete"
    said = f"step {chain.current} of {last} {_state(chain.step(chain.current))}"
    return f"{said}, to be cancelled" if chain.cancelled else said


def _state(state: StepState) -> str:
    if state.verdict is not None:
        return f"judged {state.verdict.state}"
    if state.closing is not None:
        return f"being closed: {state.closing.reason}"
    if state.expires_at is not None:
        return f"delivered, its verdict is awaited until {show_time(state.expires_at)}"
    if state.retry_at is not None:
        return f"failed {state.failed} times, again at {show_time(state.retry_at)}"
    return "due"


def _step(state: StepState) -> StepStanding:
    verdict, closing = state.verdict, state.closing
    return {
        "failed": state.failed,
        "retry_at": None if state.retry_at is None else show_time(state.retry_at),
        "expires_at": None if state.expires_at is None else show_time(state.expires_at),
        "verdict": None if verdict is None else {"state": verdict.state.value, "offset": verdict.offset},
        "closing": None if closing is None else {"reason": closing.reason.value, "offset": closing.offset},
    }
