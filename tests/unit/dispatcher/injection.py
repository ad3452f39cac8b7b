"""Exceptions out of nowhere: whatever function of ours is called for one chain may raise.

The interpreter's own profiler sees each call, so nothing of the product is replaced, and a function that is added tomorrow
is among them.
"""

import asyncio
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import hookline
import services

__all__ = ["VICTIM", "Injected", "Injector"]

VICTIM = "victim"
"""In the ids, names and answers of the hook whose chains something raises for."""

ROOTS = tuple(str(Path(package.__path__[0])) for package in (hookline, services))
DISPATCHER = f"{ROOTS[1]}/dispatcher/"
READING = (
    *(f"{ROOTS[0]}/{part}.py" for part in ("log/reader", "log/folding", "chain/fold")),
    *(f"{DISPATCHER}{part}.py" for part in ("partition", "service")),
)
"""Behind these frames begins what a whole partition does."""
DECIDING_TO_RECORDING = (
    "hookline/chain/decide", "hookline/chain/retries", "hookline/chain/callback_tokens", "hookline/chain/payloads",
    "hookline/chain/ids", "hookline/chain/keys", "hookline/chain/state", "hookline/web/hook_url", "hookline/web/http_date",
    "hookline/web/masking", "hookline/log/codec", "services/dispatcher/answer_reader", "services/dispatcher/attempt",
    "services/dispatcher/chunk_reader", "services/dispatcher/connection", "services/dispatcher/decisions", "services/dispatcher/dialer",
    "services/dispatcher/failures", "services/dispatcher/address_guard", "services/dispatcher/kept_connections",
    "services/dispatcher/posting", "services/dispatcher/resolver", "services/dispatcher/sender", "services/dispatcher/slots",
    "services/dispatcher/timers", "services/dispatcher/unread", "services/dispatcher/worker",
)  # fmt: skip
"""Where chains are decided, queued, signed, sent, answered and recorded."""
NOT_ONE_CHAINS = frozenset({
    # What reads and keeps the log of a whole partition: what fails there ends the incarnation, rightly.
    "worker.take", "worker.decide_touched", "worker.turn", "worker.run", "worker.pause", "worker.close", "worker.spawn", "worker._done",
    "worker.next_due", "worker.quiesced", "worker._look_at", "worker.attends", "worker.is_running",
    "timers.next_due", "timers.pop_due", "timers._prune", "unread.read_back", "codec.decode", "codec._headers",
    "decisions._written", "decisions._sealed", "decisions._refusal",
    # What names the chain that is at fault.
    "worker.set_aside", "worker._cancel_aside", "worker._refused", "posting._ended", "posting.__init__", "worker.__init__", "decisions.__init__", "slots.waiting", "slots.oldest_wait_s", "slots.slow_hooks",
})  # fmt: skip
NEAR = 8
"""Frames that are looked at for what a call is about."""


class Injected(Exception):
    """Raised by no line of the product."""


class Injector:
    """`with injector:` while loops run. `functions`: all that were called for the marked chain, as `module.function`."""

    def __init__(self, *others: str) -> None:
        """others: marks of chains that are none of the marked one's business."""
        self._others = others
        self.functions: Counter[str] = Counter()
        self.raised: Counter[str] = Counter()
        self._raise_in: str | None = None
        self._marks: tuple[str, ...] = ()
        self._is_in = False

    def watch(self, *marks: str) -> None:
        """Note what is called for what has one of these in it."""
        self._marks, self._raise_in = marks, None

    def arm(self, function: str, *marks: str) -> None:
        """From now on that function raises whenever it is called for what has one of these marks."""
        self._marks, self._raise_in = marks, function

    def arming(self, function: str) -> Callable[[str], None]:
        """`arm` for a chain that is the victim's."""
        return lambda chain_id: self.arm(function, chain_id, VICTIM)

    def disarm(self) -> None:
        self._marks, self._raise_in = (), None

    def __enter__(self) -> "Injector":
        self._is_in = True
        sys.setprofile(self._called)
        return self

    def __exit__(self, *_: object) -> None:
        self._is_in = False
        sys.setprofile(None)

    def _go_on(self) -> None:
        if self._is_in:  # else another may be
            sys.setprofile(self._called)

    def _called(self, frame: FrameType, event: str, _: Any) -> None:
        if event != "call" or not self._marks:
            return
        name = _name(frame)
        if name is None or (self._raise_in is not None and name != self._raise_in) or not self._is_marked(frame):
            return
        self.functions[name] += 1
        if self._raise_in is not None:
            self.raised[name] += 1
            # The interpreter takes a profiler that raises away.
            asyncio.get_running_loop().call_soon(self._go_on)
            raise Injected(name)

    def _is_marked(self, frame: FrameType | None) -> bool:
        """Is that call a dispatcher's (not a test's that looks at the log), not the reader's, and about a marked chain?"""
        marked = dispatchers = False
        for _ in range(NEAR):
            if frame is None or (path := frame.f_code.co_filename).startswith(READING):
                break
            if path.startswith(ROOTS):
                dispatchers = dispatchers or path.startswith(DISPATCHER)
                if not marked:
                    said = " ".join(map(_said, list(frame.f_locals.values())))
                    marked = any(mark in said for mark in self._marks)
                    if not marked and any(mark in said for mark in self._others):
                        return False  # within another's call, as a place is given on
            frame = frame.f_back
        return marked and dispatchers


def _name(frame: FrameType) -> str | None:
    path = frame.f_code.co_filename
    if not path.startswith(ROOTS) or not any(part in path for part in DECIDING_TO_RECORDING):
        return None
    name = f"{Path(path).stem}.{frame.f_code.co_name}"
    return None if name in NOT_ONE_CHAINS or frame.f_code.co_name.startswith("<") else name


def _said(value: object) -> str:
    """Enough of a value to tell whose it is; of a coroutine's or an object's own fields, too."""
    if isinstance(value, str | bytes | tuple | frozenset):
        return repr(value)[:4_000]
    fields = getattr(value, "__dict__", None)
    if isinstance(fields, dict):
        return " ".join(repr(one)[:2_000] for one in fields.values() if isinstance(one, str | bytes | tuple))
    return ""
