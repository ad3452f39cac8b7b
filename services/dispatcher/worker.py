"""One incarnation of one partition: folds what is read, decides, POSTs, keeps timers (design sections 3 and 4).

Its memory is the fold of what was read, nothing else: a decision is folded when it is read back, like anyone's.
Everything here runs on the event loop between two reads; what waits (an append, a POST, an end offset) is a task of
its own, and the first that fails ends the incarnation.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from random import Random
from typing import NamedTuple, Protocol

from yarl import URL

from hookline.chain.decide import Close, Complete, Halt, Post, Wait, decide
from hookline.chain.events import (
    ChainCompleted,
    ChainHalted,
    Decision,
    Fence,
    ReadTo,
    StepClosing,
)
from hookline.chain.fold import PartitionFold
from hookline.chain.keys import KeyRing
from hookline.chain.state import Chain
from hookline.clock import Clock
from hookline.errors import Fenced
from hookline.log.reader import PartitionReader, Read
from hookline.log.records import Topic
from services.dispatcher import metrics
from services.dispatcher.attempt import About, Attempt
from services.dispatcher.sender import HookPost, Outcome
from services.dispatcher.slots import Slots
from services.dispatcher.timers import Timers
from services.dispatcher.unread import Unread, is_intent

__all__ = ["HookSender", "Surroundings", "Worker"]


class HookSender(Protocol):
    """`sender.Sender`, or a fake of tests."""

    async def post(self, post: HookPost) -> Outcome: ...

    async def close(self) -> None: ...


@dataclass(frozen=True)
class Surroundings:
    """What all workers of a process share."""

    clock: Clock
    random: Random
    keys: KeyRing
    sender: HookSender
    slots: Slots
    callback_base_url: str
    append: Callable[[Decision, int, int], Coroutine[None, None, None]]
    """(event, partition, token): returns once acked. Raises AppendFailed."""
    callbacks_end: Callable[[int], Coroutine[None, None, int]]
    """End of `callbacks[p]` as it stands after the call. Raises LogUnavailable."""
    polled_lately: Callable[[], bool]
    """Is the last completed poll younger than 10 s? Else no POST begins: we may be a zombie (rule 6)."""


class _Seal(NamedTuple):
    """A closing that waits until `callbacks` was read to `end` (None: not known yet). `intent`: its offset."""

    intent: int
    end: int | None


class Worker:
    """Partition p under one token, from RUNNING on (`run`); before that it only folds."""

    def __init__(
        self,
        token: int,
        reader: PartitionReader,
        fold: PartitionFold,
        around: Surroundings,
        fail: Callable[[Exception], None],
    ) -> None:
        self.token = token
        self.reader = reader
        self.fold = fold
        self.timers = Timers(fold.chains)
        self.events_read = 0
        """Since the incarnation began."""
        self._around = around
        self._fail = fail
        self._running = False
        self._touched: set[str] = set()
        self._posting: set[tuple[str, int]] = set()
        self._unread = Unread()
        self._seals: dict[str, _Seal] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    # ---- reading

    def take(self, read: Read) -> None:
        """Fold one record. Raises Fenced at a Fence above our token, whoever wrote it."""
        record, event = read.record, read.record.event
        self.events_read += 1
        if isinstance(event, Fence):
            if record.offset > self.token:
                raise Fenced(f"partition {record.partition}: fence {record.offset} above our token {self.token}")
            return
        if not read.valid:
            metrics.VOID.inc()
            return
        self._touched.update(self.fold.fold(event, record.offset))
        if record.fence == self.token and isinstance(event, Decision):
            self._unread.read_back(event)
            self._touched.add(event.chain_id)
            # Intents of earlier tokens lie below our Fence: the restore's ends are their seal.
            if is_intent(event):
                self._begin_seal(event.chain_id, record.offset)

    # ---- deciding

    def run(self) -> None:
        """RUNNING: every cursor is at or past the ends taken after our Fence was acked. Look at every open chain.

        A closing that was restored needs no other seal: those ends include that of `callbacks`.
        """
        self._running = True
        self._touched.clear()
        for chain_id in list(self.fold.chains):
            self._look_at(chain_id)

    def pause(self) -> None:
        """The group is rebalancing, or we are stopping: fold and finish what is open, begin nothing."""
        self._running = False

    def resume(self) -> None:
        self._running = True
        self.settle()

    @property
    def next_due(self) -> int | None:
        """Unix ms of the earliest timer; None while nothing would be done then."""
        return self.timers.next_due if self._running else None

    async def settled(self) -> None:
        """Wait until no POST is open and every append is acked; only after `pause`, which lets no more begin."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    def settle(self) -> None:
        """After reading: decide for every chain that was touched, whose seal is reached, or whose time has come."""
        if not self._running:
            return
        read_to = self.reader.position(Topic.CALLBACKS)
        for chain_id, seal in list(self._seals.items()):
            if seal.end is not None and seal.end <= read_to:
                del self._seals[chain_id]
                self._touched.add(chain_id)
        self._touched.update(self.timers.pop_due(self._around.clock.now_ms()))
        touched, self._touched = self._touched, set()
        for chain_id in touched:
            self._look_at(chain_id)

    def _look_at(self, chain_id: str) -> None:
        chain = self.fold.chains.get(chain_id)
        if chain is None:
            self._seals.pop(chain_id, None)
            return
        action = decide(chain, self._around.clock.now_ms())
        if isinstance(action, Wait):
            self.timers.set(chain_id, action.until)
        elif not self._unread.blocks(chain_id, action.step):
            match action:
                case Post():
                    self._queue(chain, action)
                case Close(step):
                    self._decide(StepClosing(**self._about(chain, step)))
                case Halt(step, reason):
                    if not (action.sealed and chain_id in self._seals):
                        self._decide(ChainHalted(reason=reason, **self._about(chain, step)))
                case Complete(step):
                    self._decide(ChainCompleted(**self._about(chain, step)))

    def _about(self, chain: Chain, step: int) -> About:
        position = self.reader.position
        return {
            "cause": chain.cause,
            "chain_id": chain.id,
            "step": step,
            "read_to": ReadTo(
                pushes=position(Topic.PUSHES), callbacks=position(Topic.CALLBACKS), commands=position(Topic.COMMANDS)
            ),
            "decided_at": self._around.clock.now_ms(),
        }

    def _decide(self, event: Decision) -> None:
        self._unread.add(event)
        metrics.DECISIONS.labels(type(event).__name__).inc()
        self._spawn(self._around.append(event, self.reader.partition, self.token))

    def _begin_seal(self, chain_id: str, intent: int) -> None:
        """The intent was read back: from now on `callbacks` must be read to its end before the halt (section 3)."""
        if chain_id in self.fold.chains:
            self._seals[chain_id] = _Seal(intent, None)
            self._spawn(self._seal(chain_id, intent))

    async def _seal(self, chain_id: str, intent: int) -> None:
        end = await self._around.callbacks_end(self.reader.partition)
        if self._seals.get(chain_id) == _Seal(intent, None):  # else a later intent asked again
            self._seals[chain_id] = _Seal(intent, end)
            self.settle()

    # ---- POSTing

    def _queue(self, chain: Chain, post: Post) -> None:
        if (chain.id, post.step) in self._posting:
            return
        self._posting.add((chain.id, post.step))
        host = URL(chain.plan.hooks[post.step - 1].url).host or ""
        self._around.slots.submit(host, lambda: self._begin(chain.id, post, host))

    def _begin(self, chain_id: str, post: Post, host: str) -> bool:
        """There is a place: is the POST still what the chain needs?"""
        chain = self.fold.chains.get(chain_id)
        now = self._around.clock.now_ms()
        due = (
            self._running
            and chain is not None
            and not self._unread.blocks(chain_id, post.step)
            and isinstance(action := decide(chain, now), Post)
            and action == post
        )
        if chain is None or not due or not self._around.polled_lately():
            self._posting.discard((chain_id, post.step))
            self._touched.add(chain_id)  # looked at again after the next poll
            return False
        metrics.IN_FLIGHT.inc()
        # Not in a `finally` of its own: a task that is cancelled before it began never gets there.
        self._spawn(self._post(chain, post)).add_done_callback(lambda _: self._posted(chain_id, post.step, host))
        return True

    def _posted(self, chain_id: str, step: int, host: str) -> None:
        metrics.IN_FLIGHT.dec()
        self._posting.discard((chain_id, step))
        self._around.slots.release(host)

    async def _post(self, chain: Chain, post: Post) -> None:
        clock = self._around.clock
        attempt = Attempt(chain, post, clock.now_ms())
        outcome = await self._around.sender.post(attempt.hook_post(self._around.keys, self._around.callback_base_url))
        metrics.ATTEMPTS.labels(outcome.error or "delivered").inc()
        metrics.ATTEMPT_SECONDS.observe(outcome.took_ms / 1000)
        self._decide(attempt.event(outcome, self._about(chain, post.step), clock.now_ms(), self._around.random.random))

    # ---- tasks

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            if not isinstance(error, Exception):
                raise error
            self._fail(error)

    async def close(self) -> None:
        """The incarnation is over: drop what is open. Receivers may see a POST again, under the same webhook-id."""
        self._running = False
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
