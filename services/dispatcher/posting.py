"""The POSTs of one partition: each waits for a place, is looked at once more, made, and becomes an event.

Whatever is raised on the way becomes a failed attempt of its chain (`broken`), and where that is impossible its chain is set
aside. Nothing here ends an incarnation (design section 4, rule 5).
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Protocol

import structlog

from hookline.chain.decide import Post
from hookline.chain.events import AttemptError
from hookline.chain.state import Chain
from hookline.errors import KeyMissing
from hookline.web.hook_url import HookUrlError, parse_hook_url
from services.dispatcher import metrics
from services.dispatcher.attempt import About, Attempt
from services.dispatcher.decisions import MakeDecision
from services.dispatcher.sender import Outcome
from services.dispatcher.slots import Line
from services.dispatcher.surroundings import Surroundings

__all__ = ["Owner", "Posting"]

log = structlog.get_logger()

KEPT_ITS_PLACE = frozenset({AttemptError.TIMEOUT, AttemptError.DNS})
"""What makes a hook a slow one."""


class Owner(Protocol):
    """What POSTs need of their worker."""

    def due_post(self, chain_id: str, step: int) -> tuple[Chain, Post] | None:
        """Its chain, and the attempt of that step that is due now; None where none is."""

    def about(self, chain: Chain, step: int) -> About:
        """The fields that every decision has, as they are now."""

    def record(self, make: MakeDecision, make_bare: MakeDecision) -> None:
        """Append an event, or the bare one where the other cannot be made or is refused. Raises where neither can be made."""

    def touch(self, chain_id: str) -> None:
        """Look at that chain again after the next poll."""

    def set_aside(self, chain_id: str, error: Exception) -> None: ...

    def spawn(self, work: Coroutine[None, None, None], on_error: Callable[[Exception], None]) -> asyncio.Task[None]: ...


class _Open:
    """A POST that waits for a place or is under way."""

    def __init__(self, chain_id: str, step: int, line: Line) -> None:
        self.chain_id, self.step, self.line = chain_id, step, line
        self.outcome: Outcome | None = None
        """Once it is there: a POST may be called off before."""


class Posting:
    """One incarnation's."""

    def __init__(self, around: Surroundings, owner: Owner) -> None:
        self._around = around
        self._owner = owner
        self._open: set[tuple[str, int]] = set()

    def is_open(self, chain_id: str, step: int) -> bool:
        """Does a POST of that step wait for a place, or is one under way?"""
        return (chain_id, step) in self._open

    def queue(self, chain: Chain, post: Post) -> None:
        """Make that POST as soon as there is a place, if it is due then. Does nothing where one of its step is open."""
        if self.is_open(chain.id, post.step):
            return
        hook = chain.plan.hooks[post.step - 1]
        opened = _Open(chain.id, post.step, Line(_host_of(hook.url), hook.id, post.attempt > 1))
        self._open.add((chain.id, post.step))
        try:
            self._around.slots.submit(opened.line, partial(self._begin, opened))
        except Exception:
            self._open.discard((chain.id, post.step))
            raise

    def _begin(self, opened: _Open) -> bool:
        """There is a place: is the POST still what the chain needs?"""
        due = None
        try:
            due = self._owner.due_post(opened.chain_id, opened.step)
        except Exception as error:  # noqa: BLE001 - its chain's, and the place is for others
            self._owner.set_aside(opened.chain_id, error)
        else:
            if due is None:
                self._owner.touch(opened.chain_id)
        if due is None:
            self._open.discard((opened.chain_id, opened.step))
            return False
        metrics.IN_FLIGHT.inc()
        # Not at the end of `_post`: a task that is cancelled before it began never gets there.
        task = self._owner.spawn(self._post(*due, opened), partial(self._owner.set_aside, opened.chain_id))
        task.add_done_callback(lambda _: self._ended(opened))
        return True

    def _ended(self, opened: _Open) -> None:
        metrics.IN_FLIGHT.dec()
        self._open.discard((opened.chain_id, opened.step))
        error = opened.outcome.error if opened.outcome is not None else None
        try:
            self._around.slots.release(
                opened.line,
                delivered=opened.outcome is not None and error is None,
                timed_out=error in KEPT_ITS_PLACE,
            )
        except Exception as failed:  # noqa: BLE001 - as above
            self._owner.set_aside(opened.chain_id, failed)

    async def _post(self, chain: Chain, post: Post, opened: _Open) -> None:
        clock, random = self._around.clock, self._around.random.random
        try:
            attempt = Attempt(chain, post, clock.now_ms())
            outcome = opened.outcome = await self._outcome(attempt)
            metrics.ATTEMPTS.labels(outcome.kind).inc()
            metrics.ATTEMPT_SECONDS.observe(outcome.took_ms / 1000)
            about, now = self._owner.about(chain, post.step), clock.now_ms()
            # What came of it must be written, if need be without what its receiver said.
            bare = Outcome(outcome.took_ms, outcome.status, outcome.error)
            self._owner.record(
                lambda: attempt.event(outcome, about, now, random), lambda: attempt.event(bare, about, now, random)
            )
        except Exception as error:  # noqa: BLE001 - as above
            self._owner.set_aside(chain.id, error)

    async def _outcome(self, attempt: Attempt) -> Outcome:
        """Raises KeyMissing: then nothing was sent, and no attempt is used up while its operator puts the key back."""
        began = time.perf_counter()
        try:
            return await self._around.sender.post(attempt.hook_post(self._around.keys, self._around.callback_base_url))
        except KeyMissing:
            raise
        except Exception as error:
            metrics.CONTAINED.inc()
            log.exception("attempt failed through a bug of ours", chain=attempt.chain.id, step=attempt.post.step)
            took_ms = round((time.perf_counter() - began) * 1000)
            return Outcome(took_ms, error=AttemptError.BROKEN, detail=f"a bug in Hookline: {type(error).__name__}")


def _host_of(url: str) -> str:
    """What its hooks share places by; "" for a URL that cannot be called, whose attempts take none for long."""
    try:
        return parse_hook_url(url).server_name
    except HookUrlError:
        return ""
