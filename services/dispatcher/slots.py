"""How many hooks may be in flight: in this process, and to one receiver host, so that a slow receiver holds up nobody else."""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

__all__ = ["Slots"]


class _Waiting(NamedTuple):
    begin: Callable[[], bool]
    since: float


class Slots:
    """Places for POSTs. What waits is begun in turn by host, oldest first within a host."""

    def __init__(self, total: int, per_host: int, monotonic: Callable[[], float]) -> None:
        self._total = total
        self._per_host = per_host
        self._monotonic = monotonic
        self._open: dict[str, int] = {}
        self._waiting: dict[str, deque[_Waiting]] = {}
        self.in_flight = 0

    @property
    def waiting(self) -> int:
        return sum(map(len, self._waiting.values()))

    @property
    def oldest_wait_s(self) -> float:
        """Seconds that the oldest of those has waited."""
        since = min((queue[0].since for queue in self._waiting.values()), default=None)
        return 0.0 if since is None else self._monotonic() - since

    def submit(self, host: str, begin: Callable[[], bool]) -> None:
        """Call `begin` now or when there is a place. It returns False where there is nothing to do any more."""
        if host not in self._waiting and self._free(host):
            self._begin(host, begin)
        else:
            self._waiting.setdefault(host, deque()).append(_Waiting(begin, self._monotonic()))

    def release(self, host: str) -> None:
        """A POST to that host is over; begin what has waited."""
        self.in_flight -= 1
        self._open[host] -= 1
        if not self._open[host]:
            del self._open[host]
        self._fill()

    def _free(self, host: str) -> bool:
        return self.in_flight < self._total and self._open.get(host, 0) < self._per_host

    def _begin(self, host: str, begin: Callable[[], bool]) -> None:
        if begin():
            self.in_flight += 1
            self._open[host] = self._open.get(host, 0) + 1

    def _fill(self) -> None:
        for host in list(self._waiting):
            queue = self._waiting[host]
            began = False
            while queue and self._free(host) and not began:
                before = self.in_flight
                self._begin(host, queue.popleft().begin)
                began = self.in_flight > before
            if not queue:
                del self._waiting[host]
            elif began:
                self._waiting[host] = self._waiting.pop(host)  # to the end: others first next time
            if self.in_flight >= self._total:
                return
