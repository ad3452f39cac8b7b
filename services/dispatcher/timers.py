"""When chains are next due: one time a chain, in a heap."""

from collections.abc import Iterator
from heapq import heapify, heappop, heappush

__all__ = ["Timers"]

SLACK = 1_000
"""Entries overtaken by newer ones that may lie in the heap beyond half of it before it is made anew."""


class Timers:
    """Chain ids by due time (Unix ms). Setting a chain again moves it."""

    def __init__(self) -> None:
        self._due: dict[str, int] = {}
        self._heap: list[tuple[int, str]] = []

    def __len__(self) -> int:
        return len(self._due)

    @property
    def next_due(self) -> int | None:
        """Unix ms; an overtaken entry may make it too early, never too late."""
        return self._heap[0][0] if self._heap else None

    def set(self, chain_id: str, due: int) -> None:
        if self._due.get(chain_id) == due:
            return
        self._due[chain_id] = due
        heappush(self._heap, (due, chain_id))
        if len(self._heap) > 2 * len(self._due) + SLACK:
            self._heap = [(due, chain_id) for chain_id, due in self._due.items()]
            heapify(self._heap)

    def drop(self, chain_id: str) -> None:
        self._due.pop(chain_id, None)

    def pop_due(self, now: int) -> Iterator[str]:
        """Take out the chains whose time has come."""
        while self._heap and self._heap[0][0] <= now:
            due, chain_id = heappop(self._heap)
            if self._due.get(chain_id) == due:
                del self._due[chain_id]
                yield chain_id
