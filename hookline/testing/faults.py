"""A seeded plan of what goes wrong in the in-memory log: what is held back, refused, or lands late, and which end offset is an old one.

Times are turns of the event loop: a test with faults needs no real time and repeats itself from its seed.
"""

from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

__all__ = ["AppendFate", "CommitFate", "Faults", "ReadFate"]

DELAY_TURNS = 12
"""Most turns that something is held back while its caller waits for it."""


class AppendFate(NamedTuple):
    """What happens to one append. `lands_after`: turns, None for never; `gives_up_after`: turns, None where the ack comes."""

    lands_after: int | None = 0
    gives_up_after: int | None = None


class CommitFate(NamedTuple):
    """What happens to one commit: answered or not (then its sender gives up after some turns), and whether and when it lands."""

    answered: bool = True
    lands_after: int | None = 0
    gives_up_after: int = 0


class ReadFate(NamedTuple):
    """What happens to one request for offsets: turns before it is served and before its answer comes, and whether one comes."""

    before: int = 0
    after: int = 0
    answered: bool = True


@dataclass
class Faults:
    """Chances between 0 and 1; with the same seed and the same calls, the same faults.

    held: an append, read or commit is delayed. late: the sender gets AppendFailed (or CommitRefused), and the record
    (or commit) lands before or after that. refused: the same, and it never lands. unanswered: LogUnavailable.
    commits: how many times likelier a commit is late or refused than an append: there are far fewer of them.
    split: a poll delivers only a part of what there is. stale: an end offset is one of the past, as a leader says that was
    deposed while it stood still (ListOffsets is not linearizable). late_turns: how long after its sender gave up something may land.
    budget: after that many failures (late, refused, unanswered) there are only delays, so that a test comes to its end.
    """

    seed: int
    held: float = 0.3
    late: float = 0.05
    refused: float = 0.05
    unanswered: float = 0.05
    split: float = 0.5
    stale: float = 0.0
    commits: float = 1.0
    late_turns: int = 150
    budget: int = 1_000_000
    counts: Counter[str] = field(default_factory=Counter, repr=False)
    """How often each happened: a test that injects faults asserts that it did."""
    _random: Random = field(init=False, repr=False)

    @classmethod
    def none(cls) -> "Faults":
        """Nothing goes wrong."""
        return cls(0, held=0, late=0, refused=0, unanswered=0, split=0)

    def __post_init__(self) -> None:
        self._random = Random(self.seed)

    def append(self) -> AppendFate:
        """The fate of the next append."""
        if self._fails(self.late, "append late"):
            return AppendFate(self._late(), self._turns(DELAY_TURNS))
        if self._fails(self.refused, "append refused"):
            return AppendFate(None, self._turns(DELAY_TURNS))
        return AppendFate(self._delay("append held"), None)

    def survives(self) -> bool:
        """Does an append that was under way when its producer broke still land?"""
        return self._random.random() < 0.5

    def commit(self) -> CommitFate:
        """The fate of the next commit."""
        if self._fails(self.commits * self.late, "commit late"):
            return CommitFate(False, self._late(), self._turns(DELAY_TURNS))
        if self._fails(self.commits * self.refused, "commit refused"):
            return CommitFate(False, None, self._turns(DELAY_TURNS))
        return CommitFate(True, self._delay("commit held"))

    def read(self) -> ReadFate:
        """The fate of the next request for starts, ends or commits, or for a deletion."""
        return ReadFate(
            self._delay("read held"), self._delay("read held"), not self._fails(self.unanswered, "read unanswered")
        )

    def fetched(self, available: int) -> int:
        """How many of the records that are there the next poll delivers, from 0."""
        if self._random.random() >= self.split:
            return available
        handed_out = self._random.randint(0, available)
        self.counts["poll split"] += handed_out < available
        return handed_out

    def end(self, start: int, end: int) -> int:
        """What is told where a log goes from `start` to `end`: its end, or one that it had before."""
        if start == end or not self.stale or self._random.random() >= self.stale:
            return end
        self.counts["end stale"] += 1
        return self._random.randint(start, end - 1)

    def _fails(self, chance: float, what: str) -> bool:
        if self.budget <= 0 or self._random.random() >= chance:
            return False
        self.budget -= 1
        self.counts[what] += 1
        return True

    def _delay(self, what: str) -> int:
        if self._random.random() >= self.held:
            return 0
        self.counts[what] += 1
        return self._turns(DELAY_TURNS)

    def _late(self) -> int:
        """Turns until something lands whose sender gives up: now soon (only the ack was lost), now long after."""
        return self._turns(DELAY_TURNS if self._random.random() < 0.5 else self.late_turns)

    def _turns(self, most: int) -> int:
        return self._random.randint(0, most)
