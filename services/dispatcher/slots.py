"""Places for POSTs: how many may be in flight, to whom, and who is next, so that nobody's slowness is another's.

What waits is begun in turns: hosts take turns within the process, and lines within a host. A line is the first attempts of
one hook, or its retries: so a hook that was away holds up neither its own new pushes nor another hook of its host.

Who gets a free place:
* Retries begin no faster than `retry_meter` says.
* A host has at most `per_host`, and the more it has, the more must stay free behind it: two for each that it has, up to a
  quarter of all. So there are always some for hosts that have few or none.
* A hook is slow from an attempt that ran out of time until one is delivered. Each such attempt halves how many it may have,
  down to one, and all slow hooks together have at most a quarter of all places.
"""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

from services.dispatcher.retry_meter import RetryMeter

__all__ = ["Line", "Slots"]

BEHIND_EACH = 2
"""Places that must stay free behind each that a host has."""


class Line(NamedTuple):
    """Where a POST waits. `hook`: its id."""

    host: str
    hook: str
    is_retry: bool


class Slots:
    """`total` places, of which a host may have `per_host`."""

    def __init__(
        self,
        total: int,
        per_host: int,
        monotonic: Callable[[], float],
        call_later: Callable[[float, Callable[[], None]], object] | None = None,
    ) -> None:
        """call_later: `loop.call_later` of the running loop, or a test's."""
        self._total = total
        self._per_host = per_host
        self._quarter = max(1, total // 4)
        self._monotonic = monotonic
        self._call_later = call_later or asyncio.get_running_loop().call_later
        self._meter = RetryMeter(monotonic)
        self._will_fill = False
        self._of_host: Counter[str] = Counter()
        self._of_hook: Counter[str] = Counter()
        self._of_slow = 0
        self._limits: dict[str, int] = {}
        """Of slow hooks, by id: how many places each may have."""
        self._first, self._retries, self._slow = _Waiting(), _Waiting(), _Waiting()
        self._turns = deque((self._first, self._retries, self._slow))
        self.in_flight = 0

    @property
    def waiting(self) -> int:
        return sum(map(len, self._turns))

    @property
    def oldest_wait_s(self) -> float:
        """Seconds that the oldest of those has waited."""
        since = min((since for waiting in self._turns for since in waiting.heads()), default=None)
        return 0.0 if since is None else self._monotonic() - since

    @property
    def slow_hooks(self) -> int:
        return len(self._limits)

    def submit(self, line: Line, begin: Callable[[], bool]) -> None:
        """Call `begin` now or when there is a place. It returns False where there is nothing to do any more."""
        waiting = self._waiting_of(line)
        if line not in waiting and self._host_may(line.host) and self._hook_may(line.hook) and self._may_begin(waiting):
            self._begin(line, begin)
        else:
            waiting.add(line, _Entry(begin, self._monotonic()))
            self._fill_later()

    def release(self, line: Line, *, delivered: bool, timed_out: bool) -> None:
        """A POST is over; begin what has waited."""
        self.in_flight -= 1
        self._of_slow -= line.hook in self._limits
        _subtract(self._of_host, line.host)
        _subtract(self._of_hook, line.hook)
        if timed_out:
            self._slow_down(line)
        elif delivered and line.hook in self._limits:
            self._speed_up(line)
        self._fill()

    # ---- may it begin?

    def _host_may(self, host: str) -> bool:
        has = self._of_host[host]
        return has < self._per_host and self.in_flight + min(BEHIND_EACH * has, self._quarter) < self._total

    def _hook_may(self, hook: str) -> bool:
        limit = self._limits.get(hook)
        return limit is None or self._of_hook[hook] < limit

    def _may_begin(self, waiting: "_Waiting") -> bool:
        """Any of those, as far as hosts and hooks are not asked."""
        if waiting is self._slow:
            return self._of_slow < self._quarter
        return waiting is not self._retries or self._meter.wait_s(len(self._retries)) == 0

    # ---- beginning

    def _begin(self, line: Line, begin: Callable[[], bool]) -> None:
        if begin():
            self.in_flight += 1
            self._of_slow += line.hook in self._limits
            self._of_host[line.host] += 1
            self._of_hook[line.hook] += 1
            if line.is_retry:
                self._meter.begun(len(self._retries))

    def _fill(self) -> None:
        while self.in_flight < self._total and (found := self._next()) is not None:
            line, entry = found
            self._begin(line, entry.begin)
        self._fill_later()

    def _fill_later(self) -> None:
        """When the next retry may begin, if that is what it waits for."""
        wait_s = self._meter.wait_s(len(self._retries)) if len(self._retries) else 0
        if wait_s and not self._will_fill:
            self._will_fill = True
            self._call_later(wait_s, self._filled_later)

    def _filled_later(self) -> None:
        self._will_fill = False
        self._fill()

    def _next(self) -> "tuple[Line, _Entry] | None":
        """First attempts, retries, and what waits for slow hooks take turns."""
        for _ in range(len(self._turns)):
            waiting = self._turns[0]
            self._turns.rotate(-1)
            if self._may_begin(waiting) and (found := waiting.take(self._host_may, self._hook_may)) is not None:
                return found
        return None

    # ---- slow hooks

    def _waiting_of(self, line: Line) -> "_Waiting":
        if line.hook in self._limits:
            return self._slow
        return self._retries if line.is_retry else self._first

    def _slow_down(self, line: Line) -> None:
        if line.hook not in self._limits:
            self._of_slow += self._of_hook[line.hook]
            waiting = self._drop(line.hook, line.host)
            self._limits[line.hook] = self._per_host
            self._add(waiting)
        self._limits[line.hook] = max(1, self._limits[line.hook] // 2)

    def _speed_up(self, line: Line) -> None:
        self._of_slow -= self._of_hook[line.hook]
        waiting = self._drop(line.hook, line.host)
        del self._limits[line.hook]
        self._add(waiting)

    def _drop(self, hook: str, host: str) -> "dict[Line, deque[_Entry]]":
        """Take out all that waits for that hook."""
        lines = [Line(host, hook, is_retry) for is_retry in (False, True)]
        return {line: self._waiting_of(line).drop(line) for line in lines}

    def _add(self, entries: "dict[Line, deque[_Entry]]") -> None:
        for line, queue in entries.items():
            self._waiting_of(line).put(line, queue)


class _Entry(NamedTuple):
    begin: Callable[[], bool]
    since: float


class _Waiting:
    """What waits, by host and line."""

    def __init__(self) -> None:
        self._hosts: OrderedDict[str, OrderedDict[Line, deque[_Entry]]] = OrderedDict()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __contains__(self, line: Line) -> bool:
        return line in self._hosts.get(line.host, ())

    def heads(self) -> Iterator[float]:
        """Since when the first of each line has waited."""
        return (queue[0].since for lines in self._hosts.values() for queue in lines.values())

    def add(self, line: Line, entry: _Entry) -> None:
        self._hosts.setdefault(line.host, OrderedDict()).setdefault(line, deque()).append(entry)
        self._count += 1

    def put(self, line: Line, queue: deque[_Entry]) -> None:
        """All of a line, behind what is there: a hook whose URL was changed has lines at two hosts."""
        if queue:
            self._count += len(queue)
            lines = self._hosts.setdefault(line.host, OrderedDict())
            if line in lines:
                lines[line].extend(queue)
            else:
                lines[line] = queue

    def take(self, host_may: Callable[[str], bool], hook_may: Callable[[str], bool]) -> tuple[Line, _Entry] | None:
        """The next that may begin. Its host, and in it its line, go to the end, and so do those that may not."""
        for _ in range(len(self._hosts)):
            host, lines = next(iter(self._hosts.items()))
            self._hosts.move_to_end(host)
            if not host_may(host):
                continue
            for _ in range(len(lines)):
                line, queue = next(iter(lines.items()))
                lines.move_to_end(line)
                if hook_may(line.hook):
                    entry = queue.popleft()
                    self._count -= 1
                    if not queue:
                        self.drop(line)
                    return line, entry
        return None

    def drop(self, line: Line) -> deque[_Entry]:
        """Take a line out."""
        lines = self._hosts.get(line.host, OrderedDict())
        queue = lines.pop(line, deque())
        self._count -= len(queue)
        if not lines:
            self._hosts.pop(line.host, None)
        return queue


def _subtract(counter: Counter[str], key: str) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]
