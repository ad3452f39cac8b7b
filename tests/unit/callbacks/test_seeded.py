"""I4 under a seeded plan of faults: replicas, contradicting callbacks, a worker that seals and halts, records that land late, old ends."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from random import Random
from typing import NamedTuple

import pytest

from hookline.chain.callback_tokens import CallbackToken
from hookline.chain.events import HaltReason, Verdict
from hookline.chain.fold import PartitionFold
from hookline.chain.ids import ChainId
from hookline.chain.state import UNCAUSED, Chain
from hookline.errors import LogError, Unavailable
from hookline.log.cluster import Consumer
from hookline.log.reader import PartitionReader
from hookline.log.records import LOGS, Place, Positions, RawRecord
from hookline.log.writer import Writer
from hookline.testing.faults import Faults
from hookline.testing.memory import MemoryCluster
from hookline.testing.memory_broker import turns
from hookline.testing.memory_clients import MemoryConsumer
from services.callbacks.answers import Answer
from services.callbacks.body import CallbackBody
from services.callbacks.gate import Callback, Gate
from services.callbacks.replica import Replica
from tests.kit.clocks import HandClock
from tests.kit.events import START
from tests.kit.waiting import until
from tests.unit.callbacks.worker import Worker
from tests.unit.callbacks.world import HOUR_MS, LOG_ID, World

CHAINS = 4
HOOKS = 2
CALLBACKS = 40
FAILURES = 25
"""Faults that lose an answer, in one run; behind them everything comes through, late or not."""


REACHED = {HaltReason.DELIVERY_FAILED, HaltReason.CALLBACK_TIMEOUT, HaltReason.CALLBACK_FAILURE, None}


class Given(NamedTuple):
    """An answer, None for a 503 without a verdict on it."""

    chain_id: ChainId
    step: int
    state: Verdict
    answer: Answer | None
    began: int
    ended: int
    """Moments of one clock that ticks at each."""


class Sluggish:
    """The cluster as replicas see it: what they read lags, one log more than another."""

    def __init__(self, cluster: MemoryCluster, random: Random) -> None:
        self._cluster = cluster
        self._random = random
        self.producer = cluster.producer
        self.group = cluster.group
        self.offsets = cluster.offsets
        self.partitions = cluster.partitions

    async def consumer(self, gather_ms: int = 0) -> Consumer:
        await self._cluster.reach()
        return _SluggishConsumer(self._cluster, self._random)


class _SluggishConsumer(MemoryConsumer):
    def __init__(self, cluster: MemoryCluster, random: Random) -> None:
        super().__init__(cluster)
        self._random = random
        self._lag = random.choice((0.0, 0.3, 0.7))

    async def poll(self, timeout_s: float) -> Mapping[Place, Sequence[RawRecord]]:
        for topic in LOGS:
            (self.pause if self._random.random() < self._lag else self.resume)(Place(topic, 0))
        await turns(self._random.randint(0, round(30 * self._lag)))
        return await super().poll(0.001)


class Run:
    """One run of one seed. `stale`: how often an end offset that Kafka tells is an old one."""

    def __init__(self, seed: int, stale: float) -> None:
        self.random = Random(seed)
        self.cluster = MemoryCluster(1, faults=Faults(seed, stale=stale, budget=FAILURES))
        self.world = World(self.cluster, partitions=1)
        self.chains = [self.world.push(HOOKS) for _ in range(CHAINS)]
        self.replicas = [
            Replica(Sluggish(self.cluster, self.random), 1, LOG_ID, HandClock(lambda seconds: 0.001))
            for _ in range(self.random.randint(2, 3))
        ]
        self.writers = [Writer(self.cluster, HandClock(lambda seconds: 0.001)) for _ in self.replicas]
        self.gates = [Gate(replica, writer) for replica, writer in zip(self.replicas, self.writers, strict=True)]
        self.worker = Worker(self.cluster, self.random)
        self.given: list[Given] = []
        self._ticks = 0

    async def call_back(self, gate: Gate, chain_id: ChainId, step: int, state: Verdict) -> Answer | None:
        token = CallbackToken(chain_id, step, START + HOUR_MS)
        began = self._tick()
        try:
            callback = Callback(token, CallbackBody(state, None, None, None), START, "192.0.2.1")
            answer: Answer | None = await gate.answer(callback)
        except (Unavailable, LogError):
            answer = None
        self.given.append(Given(chain_id, step, state, answer, began, self._tick()))
        return answer

    async def receiver(self) -> None:
        """Calls back now and then, and again where it got no answer."""
        for _ in range(CALLBACKS // 4):
            chain_id, step = self.random.choice(self.chains), self.random.randint(1, HOOKS)
            state = self.random.choice((Verdict.SUCCESS, Verdict.SUCCESS, Verdict.FAILURE))
            for _ in range(self.random.randint(1, 3)):
                answer = await self.call_back(self.random.choice(self.gates), chain_id, step, state)
                if answer is not None:
                    break
                await asyncio.sleep(0)

    async def run(self) -> None:
        async with AsyncExitStack() as stack:
            for work in (*(replica.run() for replica in self.replicas), self.worker.run()):
                stack.push_async_callback(_ended, asyncio.ensure_future(work))
            for writer in self.writers:
                stack.push_async_callback(writer.close)
            await until(lambda: all(replica.current for replica in self.replicas))
            await asyncio.gather(*(self.receiver() for _ in range(4)))
            self.worker.eager = True
            await until(lambda: self.worker.open == 0)
            await self.cluster.land_all()
            await self.repeat_all()

    async def repeat_all(self) -> None:
        """When all is over and read, each replica answers a repeat of each 200 with 200 again, whatever ends are told."""
        ends = Positions(*(len(self.cluster.log(Place(topic, 0))) for topic in LOGS))
        await until(lambda: all(replica.tails[0].positions.reached(ends) for replica in self.replicas))
        for chain_id, step, state in {given[:3] for given in self.given if given.answer is Answer.OK}:
            for gate in self.gates:
                for _ in range(10):
                    if (answer := await self.call_back(gate, chain_id, step, state)) is not None:
                        break
                assert answer is Answer.OK, f"{state} of step {step} was answered 200, its repeat {answer}"

    def check(self) -> None:
        ended = self.full_fold()
        for given in self.given:
            chain = ended[str(given.chain_id)]
            assert chain.ending is not None
            if given.answer is Answer.OK:
                first = chain.step(given.step).verdict
                assert first is not None, "a 200 that is not in the log"
                assert first.state is given.state, "a 200 that is not the first verdict of its step"
                halted = chain.ending.step == given.step and chain.ending.reason in UNCAUSED
                assert not halted, f"a 200 at a step that halted by {chain.ending.reason}"
        for one in self.given:
            for other in self.given:
                if one.answer is Answer.OK and one[:3] == other[:3] and one.ended < other.began:
                    assert other.answer is not Answer.NOT_ALLOWED, "a 200 whose repeat is 400, for good"
                    # A replica that has not read it is told an old end: 400, and no chain is changed by that.
                    assert other.answer is not Answer.TOO_LATE or self.cluster.faults.stale, "a 200 whose repeat is 400"

    def void_verdicts(self) -> int:
        """Verdicts that lie in the log above a seal of their step."""
        sealed = {(id, n): step.seal for id, c in self.full_fold().items() for n, step in enumerate(c.steps, 1)}
        found = [said for chain_id in self.chains for said in self.world.callbacks(chain_id)]
        seals = [(sealed[event.chain_id, event.step], offset) for offset, event in found]
        return sum(seal is not None and seal < offset for seal, offset in seals)

    def full_fold(self) -> dict[str, Chain]:
        reader, fold = PartitionReader(0, Positions()), PartitionFold(keep_ended=True)
        for topic in LOGS:
            reader.offer(topic, self.cluster.log(Place(topic, 0)))
        for record, valid in reader.read():
            if valid:
                fold.fold(record.event, record.offset, record.timestamp)
        return fold.chains

    def _tick(self) -> int:
        self._ticks += 1
        return self._ticks


async def _ended(task: "asyncio.Future[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("stale", [0.0, 0.5], ids=["", "stale"])
async def test_a_200_counts(seed: int, stale: float) -> None:
    run = Run(seed, stale)
    await run.run()
    run.check()


@pytest.mark.parametrize("stale", [0.0, 0.5], ids=["", "stale"])
async def test_the_seeds_reach_what_they_are_for(stale: float) -> None:
    """Else the test above shows nothing: every kind of answer, halts behind a seal, chains that complete, void verdicts, old ends."""
    kinds: set[Answer | None] = set()
    reasons: set[HaltReason | None] = set()
    void = old = 0
    for seed in range(200):
        run = Run(seed, stale)
        await run.run()
        kinds |= {given.answer for given in run.given}
        reasons |= {chain.ending.reason for chain in run.full_fold().values() if chain.ending}
        void += run.void_verdicts()
        old += run.cluster.faults.counts["end stale"]
        if kinds == {*Answer, None} - {Answer.APPEND} and reasons >= REACHED and void and bool(old) is bool(stale):
            return
    raise AssertionError(f"only {kinds} and {reasons}, {void} void verdicts, {old} old ends")
