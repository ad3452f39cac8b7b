"""What those outside of Hookline wrote down: registries, receivers, and who made the faults. Times: Unix ms of the true clock."""

import time
from dataclasses import dataclass, field

__all__ = ["Called", "Happened", "Ledgers", "Ordered", "Pushed", "Seen", "now_ms"]


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass(frozen=True)
class Pushed:
    """A registry's POST. `status` null: no answer came, so what became of it is unknown."""

    source: str
    repository: str
    tag: str
    body: str
    at: int
    status: int | None


@dataclass(frozen=True)
class Seen:
    """A POST as it reached a receiver."""

    webhook_id: str
    at: int


@dataclass(frozen=True)
class Called:
    """A callback of a receiver. `status` null: no answer came."""

    chain_id: str
    step: int
    state: str
    at: int
    status: int | None


@dataclass(frozen=True)
class Ordered:
    """What someone asked of a chain: `cancel` or `run`; `key` is its Idempotency-Key, `made` the chain that was answered."""

    action: str
    chain_id: str
    key: str
    at: int
    status: int | None
    made: str


@dataclass(frozen=True)
class Happened:
    """A fault as it was made: from `began` until everything was ready again; `recovery_s` after it was lifted.

    `proof`: what shows that it was really made, in words; "" where nothing does.
    """

    kind: str
    target: str
    began: int
    ended: int
    recovery_s: float
    proof: str


@dataclass
class Ledgers:
    pushed: list[Pushed] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    called: list[Called] = field(default_factory=list)
    ordered: list[Ordered] = field(default_factory=list)
    happened: list[Happened] = field(default_factory=list)
