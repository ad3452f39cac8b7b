"""Finds workers that take a partition again and again and decide nothing: many Fences of one owner in a row (I8).

A restore that fails is made again after a pause that doubles, so a few in a row are a restart, a rebalance, a broker that is
away. What comes faster than the pauses allow, or goes on for so long, is a loop, and nobody's hooks are called meanwhile.
"""

from collections import deque

from hookline.chain.events import Fence
from hookline.log.reader import Read

__all__ = ["FenceRow", "FenceRows"]

AT_ONCE, AT_ONCE_MS = 10, 10_000
"""As many within that time: pauses from 0.05 s on that double allow no more than eight."""
IN_THE_END, IN_THE_END_MS = 30, 3_600_000
"""Within an hour: whatever the pauses are, it does not end."""


class FenceRow:
    """Fences of one owner with no valid decision between them. Times are Unix ms."""

    def __init__(self, owner: str, offset: int) -> None:
        self.owner = owner
        self.first = self.last = offset
        self.count = 0
        self.is_a_loop = False
        self._lately: deque[tuple[int, int]] = deque(maxlen=IN_THE_END)

    def add(self, offset: int, *times: int) -> None:
        """times: of the Fence by its writer's clock and by Kafka's; both must say that it came soon."""
        self.last, self.count = offset, self.count + 1
        self._lately.append((times[0], times[-1]))
        self.is_a_loop |= self._within(AT_ONCE, AT_ONCE_MS) or self._within(IN_THE_END, IN_THE_END_MS)

    def __str__(self) -> str:
        return f"{self.count} Fences of {self.owner} from deliveries@{self.first} on, and nothing decided between them"

    def _within(self, count: int, ms: int) -> bool:
        if len(self._lately) < count:
            return False
        first, last = self._lately[-count], self._lately[-1]
        return all(0 <= b - a <= ms for a, b in zip(first, last, strict=True))


class FenceRows:
    """`take` each read of a partition, `finish` at its end: each gives the row that is over, where it was a loop."""

    def __init__(self) -> None:
        self._row: FenceRow | None = None

    def take(self, read: Read) -> FenceRow | None:
        record, event = read.record, read.record.event
        if isinstance(event, Fence):
            over = None
            if self._row is None or self._row.owner != event.owner:
                over = self.finish()
                self._row = FenceRow(event.owner, record.offset)
            self._row.add(record.offset, event.fenced_at, record.timestamp)
            return over
        return self.finish() if record.fence is not None and read.valid else None

    def finish(self) -> FenceRow | None:
        row, self._row = self._row, None
        return row if row is not None and row.is_a_loop else None
