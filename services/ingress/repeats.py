"""What this process remembers of pushes it appended, to tell producers about duplicates. The logs decide, not this (design section 3)."""

from cachetools import FIFOCache

__all__ = ["Remembered"]

CAPACITY = 50_000
"""Pushes remembered for each window: about 12 MB when full."""


class Remembered:
    """push_id to the end of its window; one bounded memory for each length of window, so that short ones push out no long ones."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._ends: dict[int, FIFOCache[str, int]] = {}

    def repeats(self, push_id: str, window_s: int, now_ms: int) -> bool:
        """Take an appended push in; True if the same one is still within the window that the first of them opened.

        now_ms: Unix ms. A window that ends later than one that opens now was opened by a clock that was wrong: it is none.
        """
        ends = self._ends.setdefault(window_s, FIFOCache(self._capacity))
        known, latest = ends.get(push_id, 0), now_ms + window_s * 1000
        repeats = now_ms < known <= latest
        ends[push_id] = known if repeats else latest
        return repeats
