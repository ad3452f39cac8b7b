"""When chains are next to be looked at: a heap of times that forgets nothing and may hold too much."""

from collections.abc import Container, Iterator, Sized
from heapq import heapify, heappop, heappush
from typing import Protocol

__all__ = ["Timers"]

SLACK = 1_000
"""Entries beyond two for each open chain before those that are not needed are thrown out."""


class OpenChains(Container[str], Sized, Protocol):
    """Ids of chains that are open."""


class Timers:
    """Chain ids by time (Unix ms). A chain may come too early, or more often than it was set, never too late.

    So nothing needs to be known but the heap: a process may hold a million chains, and who is told of one decides anew.
    """

    def __init__(self, open_chains: OpenChains) -> None:
        self._open = open_chains
        self._heap: list[tuple[int, str]] = []

    def __len__(self) -> int:
        """Entries, those included that are not needed any more."""
        return len(self._heap)

    def __contains__(self, chain_id: str) -> bool:
        return any(chain_id == one for _, one in self._heap)

    @property
    def next_due(self) -> int | None:
        """Unix ms."""
        return self._heap[0][0] if self._heap else None

    def set(self, chain_id: str, due: int) -> None:
        """Look at that chain at `due`, too."""
        heappush(self._heap, (due, chain_id))
        if len(self._heap) > 2 * len(self._open) + SLACK:
            self._prune()

    def pop_due(self, now: int) -> Iterator[str]:
        """Take out those whose time has come."""
        while self._heap and self._heap[0][0] <= now:
            yield heappop(self._heap)[1]

    def _prune(self) -> None:
        """Keep the earliest of each chain that is open."""
        earliest: dict[str, int] = {}
        for due, chain_id in self._heap:
            if chain_id in self._open:
                earliest[chain_id] = min(due, earliest.get(chain_id, due))
        self._heap = [(due, chain_id) for chain_id, due in earliest.items()]
        heapify(self._heap)
