"""One incarnation of one partition: folds what is read, decides, POSTs, keeps timers (design sections 3 and 4).

Its memory is the fold of what was read, nothing else: a decision is folded when it is read back, like anyone's.
Everything here runs on the event loop between two reads; what waits (an append, a POST) is a task of its own.

What concerns the partition's log (a Fence, an append) ends the incarnation. What is raised while one chain is
decided or POSTed, and a refusal of its record, stays that chain's: a failed attempt, or the chain is set aside.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from functools import partial
from itertools import islice

from hookline.chain.decide import Close, Complete, Halt, Post, Seal, Wait, decide
from hookline.chain.events import (
    ChainCompleted,
    ChainHalted,
    Decision,
    Fence,
    HaltReason,
    ReadTo,
    StepClosing,
    StepSealed,
)
from hookline.chain.fold import PartitionFold
from hookline.chain.state import Chain
from hookline.errors import Fenced
from hookline.log.folding import fold_record
from hookline.log.reader import PartitionReader, Read
from hookline.log.records import Topic
from services.dispatcher import metrics
from services.dispatcher.attempt import About
from services.dispatcher.decisions import Decisions, MakeDecision
from services.dispatcher.posting import Posting
from services.dispatcher.surroundings import Surroundings
from services.dispatcher.timers import Timers
from services.dispatcher.troubles import Troubles

__all__ = ["Worker"]

LOOKS_A_TURN = 50
"""Chains that are looked at because their time has come, or after a restore, before others get the event loop: 2 ms."""


class Worker:
    """Partition p under one token, from RUNNING on (`run`); before that it only folds."""

    def __init__(
        self,
        token: int,
        reader: PartitionReader,
        fold: PartitionFold,
        around: Surroundings,
        troubles: Troubles,
        fail: Callable[[Exception], None],
    ) -> None:
        self.token = token
        self.reader = reader
        self.fold = fold
        self.timers = Timers(fold.chains)
        self.troubles = troubles
        self.events_read = 0
        """Since the incarnation began."""
        self._around = around
        self._fail = fail
        self._running = False
        self._touched: set[str] = set()
        self._restored: deque[str] = deque()
        """Chains that a restore left, and that were not looked at yet."""
        self._posting = Posting(around, self)
        self._decisions = Decisions(reader.partition, token, around, self.spawn, self._refused)
        self._sealing: set[str] = set()
        """Chains whose StepSealed was sent and not read back."""
        self._held: set[str] = set()
        """Chains that wait for our clock to be right: to be closed for their deadline, or for a POST that has time for an answer."""
        self._tasks: set[asyncio.Task[None]] = set()

    # ---- reading

    def take(self, read: Read) -> None:
        """Fold one record. Raises Fenced at a Fence above our token, whoever wrote it, and Unfoldable."""
        record, event = read.record, read.record.event
        self.events_read += 1
        if isinstance(event, Fence):
            if record.offset > self.token:
                raise Fenced(f"partition {record.partition}: fence {record.offset} above our token {self.token}")
            return
        if not read.valid:
            metrics.VOID.inc()
            return
        self._touched.update(fold_record(self.fold, record))
        if record.fence == self.token and isinstance(event, Decision):
            self._decisions.unread.read_back(event)
            self._touched.add(event.chain_id)
        elif isinstance(event, StepSealed):
            self._sealing.discard(event.chain_id)

    # ---- deciding

    def run(self) -> None:
        """RUNNING: every cursor is at or past the ends taken after our Fence was acked. Look at every open chain."""
        self._running = True
        self._touched.clear()
        self._restored.extend(self.fold.chains)
        self.turn()

    def pause(self) -> None:
        """The group is rebalancing, or we are stopping: fold and finish what is open, begin nothing."""
        self._running = False

    @property
    def is_running(self) -> bool:
        """May it decide and POST?"""
        return self._running

    @property
    def next_due(self) -> int | None:
        """Unix ms at which there is something to look at; None while nothing would be done then."""
        if not self._running:
            return None
        return 0 if self._restored else self.timers.next_due

    async def quiesced(self) -> None:
        """Wait until no POST is open and every append is acked; only after `pause`, which lets no more begin."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    def turn(self) -> None:
        """After each poll: `decide_touched`, and look at those whose time has come, and those that a restore left.

        Of these only a part at a time: the rest comes after the next poll, behind what was read by then.
        """
        if self._held and not self._around.skew.doubtful:
            self._touched |= self._held
            self._held.clear()
        self.decide_touched()
        if not self._running:
            return
        for _ in range(min(LOOKS_A_TURN, len(self._restored))):
            self._look_at(self._restored.popleft())
        for chain_id in islice(self.timers.pop_due(self._around.clock.now_ms()), LOOKS_A_TURN):
            if not self.troubles.is_aside(chain_id):
                self._look_at(chain_id)

    def decide_touched(self) -> None:
        """After reading: decide for every chain that was touched."""
        if not self._running:
            return
        touched, self._touched = self._touched, set()
        for chain_id in touched:
            self._look_at(chain_id)

    def attends(self, chain_id: str, step: int) -> bool:
        """Is that step of an open chain looked after, other than by a timer: to be looked at, POSTed, sealed, or read back?"""
        looked_at = (self._touched, self._sealing, self._restored, self._held)
        return (
            any(chain_id in waiting for waiting in looked_at)
            or self.troubles.is_aside(chain_id)
            or chain_id in self._decisions.unread
            or self._posting.is_open(chain_id, step)
        )

    def _look_at(self, chain_id: str) -> None:
        try:
            self._look(chain_id)
        except Exception as error:  # noqa: BLE001 - that chain's, and no other's
            self.set_aside(chain_id, error)
            self._cancel_aside(chain_id)

    def _cancel_aside(self, chain_id: str) -> None:
        """End a chain that cannot be decided, where its user cancelled it: whatever it needs, it needs no more."""
        chain = self.fold.chains.get(chain_id)
        if chain is None or not chain.cancelled or self._decisions.unread.blocks(chain_id, chain.first_step):
            return
        try:
            self._decisions.append(ChainHalted(reason=HaltReason.CANCELLED, **self.about(chain, chain.first_step)))
        except Exception as error:  # noqa: BLE001 - it stays aside
            self.set_aside(chain_id, error)

    def _look(self, chain_id: str) -> None:
        chain = self.fold.chains.get(chain_id)
        if chain is None:
            self._sealing.discard(chain_id)
            self.troubles.goes_on(chain_id)
            return
        action = decide(chain, self._around.clock.now_ms())
        self.troubles.goes_on(chain_id)
        if isinstance(action, Wait):
            self.timers.set(chain_id, action.until)
        elif not self._decisions.unread.blocks(chain_id, action.step):
            match action:
                case Post() if self._is_behind_deadline(chain):
                    self._held.add(chain_id)
                case Post():
                    self._posting.queue(chain, action)
                case Close() if self._around.skew.doubtful:
                    self._held.add(chain_id)
                case Close(step):
                    self._decisions.append(StepClosing(**self.about(chain, step)))
                case Seal(step, intent):
                    self._seal(chain, step, intent)
                case Halt(step, reason):
                    self._decisions.append(ChainHalted(reason=reason, **self.about(chain, step)))
                case Complete(step):
                    self._decisions.append(ChainCompleted(**self.about(chain, step)))

    def _is_behind_deadline(self, chain: Chain) -> bool:
        """Would a callback URL that is signed now have expired, by the brokers' time, before its receiver sees it?"""
        return -self._around.skew.ahead_ms >= chain.plan.callback_deadline_s * 1000 and self._around.skew.doubtful

    def _refused(self, event: Decision | StepSealed, error: Exception) -> None:
        self._sealing.discard(event.chain_id)
        self.set_aside(event.chain_id, error)
        if not isinstance(event, ChainHalted):
            self._cancel_aside(event.chain_id)

    def _seal(self, chain: Chain, step: int, intent: int) -> None:
        """Once; the halt is decided when it was read back, and no verdict lies below it (section 3)."""
        if chain.id not in self._sealing:
            sealed_at = self._around.clock.now_ms()
            self._decisions.seal(
                StepSealed(cause=chain.cause, chain_id=chain.id, step=step, intent=intent, sealed_at=sealed_at)
            )
            self._sealing.add(chain.id)

    # ---- for its POSTs (`posting.Owner`)

    def due_post(self, chain_id: str, step: int) -> tuple[Chain, Post] | None:
        """Its chain, and the attempt of that step that is due now; None where none is."""
        chain = self.fold.chains.get(chain_id)
        if (
            chain is None
            or not self._running
            or self._decisions.unread.blocks(chain_id, step)
            or not self._around.polled_lately()
        ):
            return None
        action = decide(chain, self._around.clock.now_ms())
        return (chain, action) if isinstance(action, Post) and action.step == step else None

    def about(self, chain: Chain, step: int) -> About:
        """The fields that every decision has, as they are now."""
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

    def record(self, make: MakeDecision, make_bare: MakeDecision) -> None:
        """Append an event, or the bare one where the other cannot be made or is refused. Raises where neither can be made."""
        self._decisions.record(make, make_bare)

    def touch(self, chain_id: str) -> None:
        """Look at that chain again after the next poll."""
        self._touched.add(chain_id)

    def set_aside(self, chain_id: str, error: Exception) -> None:
        """Until something of it is read, or a restore; every other chain goes on."""
        metrics.CONTAINED.inc()
        self.troubles.set_aside(chain_id, error)

    # ---- tasks

    def spawn(
        self, work: Coroutine[None, None, None], on_error: Callable[[Exception], None] | None = None
    ) -> asyncio.Task[None]:
        """on_error: told what is raised in it. Without one it concerns the partition's log, and ends the incarnation."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(partial(self._done, on_error or self._fail))
        return task

    def _done(self, on_error: Callable[[Exception], None], task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            if not isinstance(error, Exception):
                raise error
            on_error(error)

    async def close(self) -> None:
        """The incarnation is over: drop what is open. Receivers may see a POST again, under the same webhook-id."""
        self._running = False
        self.troubles.close()
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
