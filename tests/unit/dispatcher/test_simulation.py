"""Dispatchers under a seeded plan of faults: crashes, zombies, records and commits that land late, refused or unanswered
appends, slow reads; receivers that fail, hang, call back early, twice, contradicting and late; cancels, runs, clocks.

After all is quiet: every chain has ended, and the invariants hold over the whole log and over every POST.
"""

import asyncio
import contextlib
from random import Random

import pytest

from hookline.chain.events import AttemptError, CallbackReceived, ChainCompleted, ChainHalted, HaltReason, Verdict
from hookline.log.faults import Faults
from hookline.log.memory import MemoryCluster
from hookline.log.memory_group import MemoryGroup
from services.dispatcher.sender import HookPost, Outcome
from services.dispatcher.service import Dispatcher
from tests.unit.dispatcher.harness import DELIVERED, World, kill, plan, until

PARTITIONS = 2
STEPS = 120
OUTCOMES = [
    DELIVERED,
    DELIVERED,
    DELIVERED,
    Outcome(1, 302),
    Outcome(1, 500, AttemptError.STATUS),
    Outcome(1, None, AttemptError.TIMEOUT),
    Outcome(1, 410, AttemptError.STATUS),
    Outcome(1, None, AttemptError.BLOCKED),
]


class Simulation:
    """One seed: what happens next is drawn from it."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        faults = Faults(seed, late=0.04, refused=0.04, unanswered=0.04, budget=40)
        self.world = World(MemoryCluster(PARTITIONS, faults=faults), seed=seed, checkpoint_events=15)
        self.world.receivers.answer = self.receive
        self.dispatchers: list[Dispatcher] = []
        self.started = 0
        self.findings: list[str] = []

    # ---- receivers

    def partition_of(self, chain_id: str) -> int:
        return next(p for p in range(PARTITIONS) if chain_id in self.world.full_fold(p).chains)

    async def receive(self, post: HookPost) -> Outcome:
        self.check_post(post.webhook_id)
        chain_id, _, step = post.webhook_id.rpartition("-")
        if self.random.random() < 0.3:
            self.call_back(chain_id, int(step))  # before it answers
        for _ in range(self.random.randint(0, 20)):
            await asyncio.sleep(0)
        return self.random.choice(OUTCOMES)

    def call_back(self, chain_id: str, step: int) -> None:
        state = self.random.choice([Verdict.SUCCESS] * 5 + [Verdict.FAILURE, Verdict.ERROR])
        self.world.verdict(chain_id, step, state, self.partition_of(chain_id))

    def check_post(self, posted: str) -> None:
        """I2 and I7, at the moment of the POST."""
        chain_id, _, text = posted.rpartition("-")
        step = int(text)
        chains = [f.chains[chain_id] for p in range(PARTITIONS) if chain_id in (f := self.world.full_fold(p)).chains]
        if not chains:
            self.findings.append(f"I7: {posted} has no cause in the log")
        elif step > chains[0].first_step:
            before = chains[0].step(step - 1).verdict
            if before is None or before.state is not Verdict.SUCCESS:
                self.findings.append(f"I2: {posted} without the success of the step before")

    # ---- what happens

    async def act(self) -> None:
        world, draw = self.world, self.random.random()
        if draw < 0.25:
            plans = [plan(self.random.randint(1, 3), n=n, final=self.random.random() < 0.7, delays=(1, 2), deadline_s=20)
                     for n in range(self.random.randint(1, 2))]  # fmt: skip
            world.push(*plans, partition=self.random.randrange(PARTITIONS), window_s=50)
        elif draw < 0.55 and world.receivers.posts:
            chain_id, _, step = self.random.choice(world.receivers.posts).webhook_id.rpartition("-")
            self.call_back(chain_id, int(step))
        elif draw < 0.60 and world.receivers.posts:
            chain_id = self.random.choice(world.receivers.posts).webhook_id.rpartition("-")[0]
            if self.partition_of(chain_id) == 0:
                world.cancel(chain_id)
        elif draw < 0.75:
            world.clock.advance(self.random.choice([0.5, 1, 3, 10]))
        elif draw < 0.85:
            await self.start()
        elif draw < 0.92 and self.dispatchers:
            await kill(self.dispatchers.pop(self.random.randrange(len(self.dispatchers))))
        elif self.dispatchers:
            self.expire(self.random.choice(self.dispatchers))
        await asyncio.sleep(self.random.choice([0, 0, 0.002, 0.01]))

    async def start(self) -> None:
        if len(self.dispatchers) < 3:
            self.started += 1
            dispatcher = self.world.dispatcher(f"d{self.started}")
            await dispatcher.start()
            self.dispatchers.append(dispatcher)

    def expire(self, dispatcher: Dispatcher) -> None:
        """Its session is over and it does not know: a zombie until its next poll."""
        log = getattr(dispatcher, "_log", None)
        if log is not None and isinstance(group := log.leave.__self__, MemoryGroup):
            group.expire()

    async def run(self) -> None:
        await self.start()
        for _ in range(STEPS):
            await self.act()
        self.world.cluster.faults.budget = 0
        await self.start()
        await self.quiet()

    async def quiet(self) -> None:
        """Move the clock until nothing is open, then until every worker has read all."""
        await self.world.cluster.settle()
        for _ in range(400):
            if not self.open_chains():
                break
            self.world.clock.advance(5)
            await asyncio.sleep(0.01)
        await self.world.cluster.settle()
        with contextlib.suppress(AssertionError):  # what is not so by then is what the judge finds
            await until(lambda: not self.not_settled())

    def not_settled(self) -> list[str]:
        """Who is not ready, or does not hold the full fold yet (I6)."""
        found = [f"I8: not ready: {d.ready().detail}" for d in self.dispatchers if not d.ready().ok]
        return found + [said for p in range(PARTITIONS) for said in self.check_memory(p)]

    def open_chains(self) -> list[str]:
        folds = map(self.world.full_fold, range(PARTITIONS))
        return [c.id for fold in folds for c in fold.chains.values() if c.ending is None]

    # ---- the judge

    def judge(self) -> list[str]:
        found = list(self.findings)
        found += [f"I8: {chain_id} is still open" for chain_id in self.open_chains()]
        for p in range(PARTITIONS):
            reads = self.world.reads(p)
            ends: dict[str, int] = {}
            for read in reads:
                event = read.record.event
                if read.valid and isinstance(event, ChainHalted | ChainCompleted):
                    ends[event.chain_id] = ends.get(event.chain_id, 0) + 1
                    if isinstance(event, ChainHalted) and event.reason is HaltReason.CALLBACK_TIMEOUT:
                        found += self.check_timeout(event, p)
            found += [f"I3: {n} terminal events of {chain_id}" for chain_id, n in ends.items() if n > 1]
        return found + self.not_settled()

    def check_timeout(self, halted: ChainHalted, p: int) -> list[str]:
        """I9."""
        return [
            f"I9: {halted.chain_id} halted by timeout, a verdict lies below its read_to"
            for read in self.world.reads(p)
            if isinstance(e := read.record.event, CallbackReceived)
            and (e.chain_id, e.step) == (halted.chain_id, halted.step)
            and read.record.offset < halted.read_to.callbacks
        ]

    def check_memory(self, p: int) -> list[str]:
        """I6: what an owner holds is the full fold."""
        opened = {c.id: c for c in self.world.full_fold(p).chains.values() if c.ending is None}
        return [
            f"I6: partition {p}: {set(worker.fold.chains) ^ set(opened) or 'states differ'}"
            for dispatcher in self.dispatchers
            if p in dispatcher._partitions and (worker := dispatcher._partitions[p].worker) is not None
            if worker.fold.chains != opened
        ]


@pytest.mark.parametrize("seed", range(24))
async def test_every_invariant_holds_under_faults(seed: int) -> None:
    simulation = Simulation(seed)
    try:
        await simulation.run()
        assert simulation.judge() == []
    finally:
        for dispatcher in simulation.dispatchers:
            await kill(dispatcher)
