"""Where a chain stands, as History shows it (design section 6, "HTTP: console")."""

from enum import StrEnum
from typing import NamedTuple

from hookline.chain.events import HaltReason
from hookline.chain.state import Chain

__all__ = ["Standing", "Status", "StepStanding", "standing", "step_standing"]


class Status(StrEnum):
    """Docker Hub's words: running; completed; halted by callback_failure; every other halt."""

    PENDING = "pending"
    SUCCESS = "success"
    FAILURE = "failure"
    ERROR = "error"


class StepStanding(StrEnum):
    """skipped: before the run's first step; pending: due or to be tried again; delivered: its verdict is awaited;
    closing: its halt is announced; verified: judged; failed: the chain ended here undelivered."""

    SKIPPED = "skipped"
    NOT_REACHED = "not_reached"
    PENDING = "pending"
    DELIVERED = "delivered"
    CLOSING = "closing"
    VERIFIED = "verified"
    FAILED = "failed"


class Standing(NamedTuple):
    """`step`: the one under way, or the one it ended at; `ended_at`: Unix ms."""

    step: int
    status: Status
    reason: HaltReason | None = None
    ended_at: int | None = None


def standing(chain: Chain) -> Standing:
    """Read off the folded chain."""
    ending = chain.ending
    if ending is None:
        return Standing(min(chain.current, len(chain.steps)), Status.PENDING)
    if ending.reason is None:
        status = Status.SUCCESS
    elif ending.reason is HaltReason.CALLBACK_FAILURE:
        status = Status.FAILURE
    else:
        status = Status.ERROR
    return Standing(ending.step, status, ending.reason, ending.at)


def step_standing(chain: Chain, number: int) -> StepStanding:
    """Where one step stands."""
    state = chain.step(number)
    if number < chain.first_step:
        return StepStanding.SKIPPED
    if state.verdict is not None:
        return StepStanding.VERIFIED
    if state.expires_at is not None:
        return StepStanding.DELIVERED
    if state.closing is not None and chain.ending is None and number == chain.current:
        return StepStanding.CLOSING
    if chain.ending is None:
        return StepStanding.PENDING if number == chain.current else StepStanding.NOT_REACHED
    return StepStanding.FAILED if state.failed or chain.ending.step == number else StepStanding.NOT_REACHED
