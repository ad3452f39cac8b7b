"""A chain as one worker knew it: without what lies at or above the positions that it had read to."""

from hookline.chain.events import ReadTo
from hookline.chain.state import Chain
from hookline.log.records import Positions

__all__ = ["at_cut"]


def at_cut(chain: Chain, cancelled_at: int | None, read_to: Positions | ReadTo) -> Chain:
    """The fold of the same decisions, and of the verdicts, seals and cancels below `read_to` only.

    The fold is a join and keeps offsets, so taking facts out again is the same as never having folded them (a property
    test holds that). cancelled_at: offset in `commands` of the first CancelRequested.
    """
    cancelled = cancelled_at is not None and cancelled_at < read_to.commands
    if cancelled != chain.cancelled:
        chain = chain._replace(cancelled=cancelled)
    for number, step in enumerate(chain.steps, 1):
        if step.verdict is not None and step.verdict.offset >= read_to.callbacks:
            chain = chain.with_step(number, step._replace(verdict=None))
        elif step.seal is not None and step.seal >= read_to.callbacks:
            chain = chain.with_step(number, step._replace(seal=None))
    return chain
