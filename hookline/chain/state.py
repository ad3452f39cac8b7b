"""What a chain is, at one moment: immutable values, so that a snapshot is a shallow copy (design section 4, rule 3)."""

from typing import NamedTuple

from hookline.chain.events import HaltReason, Plan, Verdict
from hookline.chain.ids import ChainId, push_of

__all__ = ["PENDING", "UNCAUSED", "Chain", "Closing", "Ending", "FirstVerdict", "StepState"]

UNCAUSED = frozenset(
    {HaltReason.CALLBACK_TIMEOUT, HaltReason.DELIVERY_FAILED, HaltReason.GONE, HaltReason.BLOCKED_ADDRESS}
)
"""Halts that neither a verdict nor a user caused: each follows a StepSealed, so that any verdict answered 200 counts."""


class FirstVerdict(NamedTuple):
    """The verdict of a step that counts, and its offset in `callbacks`."""

    state: Verdict
    offset: int


class Closing(NamedTuple):
    """The first intent to halt at a step, and its offset in `deliveries`."""

    reason: HaltReason
    offset: int


class Ending(NamedTuple):
    """The terminal event that counts. `reason` null: completed."""

    step: int
    reason: HaltReason | None
    offset: int
    at: int


class StepState(NamedTuple):
    """One step. `failed` is the highest attempt that failed, `retry_at` when the next one is due (Unix ms)."""

    failed: int = 0
    retry_at: int | None = None
    was_blocked: bool = False
    expires_at: int | None = None
    """Latest expiry of a delivered attempt (Unix ms); null while nothing was delivered."""
    verdict: FirstVerdict | None = None
    closing: Closing | None = None
    seal: int | None = None
    """Offset in `callbacks` of the first valid StepSealed; no verdict above it counts. Null where a verdict lies below it."""
    last_offset: int = -1
    """Offset in `deliveries` of the last decision about this step."""

    @property
    def is_heard(self) -> bool:
        """Does `callbacks` say something of it? A verdict or a StepSealed: the first counts, and all later ones are void."""
        return self.verdict is not None or self.seal is not None


PENDING = StepState()


class Chain(NamedTuple):
    """One run of one plan for one push. `steps` has one state for each hook of the plan."""

    id: str
    repository: str
    first_step: int
    plan: Plan
    payload: bytes
    """The Docker Hub body to send, packed by `hookline.chain.payloads`; empty where a reader does not keep it."""
    steps: tuple[StepState, ...]
    cancelled: bool = False
    ending: Ending | None = None

    # Not fields, since the id holds them: a restored process may hold a million chains.

    @property
    def push_id(self) -> str:
        return push_of(self.id)

    @property
    def cause(self) -> int:
        """Offset of what started it: in `pushes`, for a later run in `commands`."""
        return ChainId.parse(self.id).cause

    def step(self, number: int) -> StepState:
        return self.steps[number - 1]

    def with_step(self, number: int, state: StepState) -> "Chain":
        return self._replace(steps=(*self.steps[: number - 1], state, *self.steps[number:]))

    @property
    def current(self) -> int:
        """The first step whose verdict is not success; one past the last when all are."""
        for number in range(self.first_step, len(self.steps) + 1):
            verdict = self.steps[number - 1].verdict
            if verdict is None or verdict.state is not Verdict.SUCCESS:
                return number
        return len(self.steps) + 1
