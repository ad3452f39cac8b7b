"""Where a chain stands, as History shows it (design section 6, "HTTP: console")."""

from enum import StrEnum
from typing import NamedTuple

from hookline.chain.events import HaltReason
from hookline.chain.state import Chain

__all__ = ["Standing", "Status", "standing"]


class Status(StrEnum):
    """Docker Hub's words: running; completed; halted by callback_failure; every other halt."""

    PENDING = "pending"
    SUCCESS = "success"
    FAILURE = "failure"
    ERROR = "error"


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
