"""What all workers of a dispatcher share: clock, keys, sender, places, and the ways to the log."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from random import Random
from typing import Protocol

from hookline.chain.keys import KeyRing
from hookline.clock import Clock
from hookline.log.records import Draft
from hookline.log.skew import ClockSkew
from services.dispatcher.sender import HookPost, Outcome
from services.dispatcher.slots import Slots

__all__ = ["HookSender", "Surroundings"]


class HookSender(Protocol):
    """`sender.Sender`, or a fake of tests."""

    async def post(self, post: HookPost) -> Outcome: ...

    async def close(self) -> None: ...


@dataclass(frozen=True)
class Surroundings:
    """Made anew with each session of the group."""

    clock: Clock
    skew: ClockSkew
    """Nothing is closed for its deadline while that clock is not to be gone by."""
    random: Random
    keys: KeyRing
    sender: HookSender
    slots: Slots
    callback_base_url: str
    append: Callable[[Draft], Coroutine[None, None, None]]
    """Returns once acked. Raises AppendFailed."""
    polled_lately: Callable[[], bool]
    """Is the last completed poll younger than 10 s? Else no POST begins: we may be a zombie (rule 6)."""
