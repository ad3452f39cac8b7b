"""Hypothesis drives real dispatchers over the in-memory log: killed at any await, stopped and woken, expired, with clocks that jump.

After every step I2, I3, I5, I6, I8, I9 and I10 are checked (`invariants.py`); at the end, with everything mended, every
chain must end. `test_simulation.py` has the wider world (replicas of callbacks, I4) and judges at the end only.
"""

import asyncio
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hookline.chain.events import AttemptError, PushReceived, Verdict
from hookline.log.records import Place, Topic
from hookline.testing.faults import Faults
from hookline.testing.memory import MemoryCluster
from services.dispatcher.sender import HookPost, Outcome
from services.dispatcher.service import Pace
from tests.unit.dispatcher.harness import DELIVERED, World, plan
from tests.unit.dispatcher.invariants import broken, broken_by_post, fence_in_force
from tests.unit.dispatcher.processes import Process, VirtualLoop

pytestmark = pytest.mark.timeout(400)  # a failure is shrunk for up to 300 s

OUTCOMES = (
    DELIVERED,
    DELIVERED,
    DELIVERED,
    Outcome(1, 500, AttemptError.STATUS),
    Outcome(1, None, AttemptError.TIMEOUT),
    Outcome(1, 410, AttemptError.STATUS),
    Outcome(1, None, AttemptError.BLOCKED),
)
POINTS = ("Fence", "HookDelivered", "HookAttemptFailed", "StepClosing", "ChainHalted", "ChainCompleted", "Snapshot",
          "Snapshot (last)", "commit", "poll", "post", "ends", "delete_below")  # fmt: skip
LIVING = 3
"""Dispatchers at once; the dead ones are cleared away."""


class Play:
    """A world of one partition in virtual time, its dispatchers, and what was found wrong."""

    def __init__(self, seed: int, faults: Faults) -> None:
        self.loop = VirtualLoop()
        self.random = Random(seed)
        self.world = World(MemoryCluster(1, faults=faults), seed=seed)
        self.world.pace = Pace(poll_s=0.1, checkpoint_events=3)
        self.processes: list[Process] = []
        self.posts: list[str] = []
        self.pushes: list[tuple[PushReceived, int]] = []
        self.outcomes: tuple[Outcome, ...] = OUTCOMES
        self.found: list[str] = []
        self._checks = 0

    def run(self, work: Coroutine[Any, Any, Any]) -> None:
        self.loop.run_until_complete(work)

    async def answer(self, process: Process, post: HookPost) -> Outcome:
        chain_id, _, step = post.webhook_id.rpartition("-")
        owner = process.worker is not None and process.worker.token == fence_in_force(self.world)
        self.found += broken_by_post(self.world, chain_id, int(step), owner)
        self.posts.append(post.webhook_id)
        outcome = self.random.choice(self.outcomes)
        for _ in range(self.random.randint(0, 30)):
            await asyncio.sleep(0)
        await asyncio.sleep(self.random.choice((0, 0, 0.5)))
        return outcome

    async def start(self, kill_at: Callable[[int, str], bool] = lambda number, point: False) -> Process:
        for dead in [p for p in self.processes if p.dead]:
            self.processes.remove(dead)
            await dead.bury()
        process = Process(self.world, f"d{len(self.posts)}-{len(self.processes)}", self.answer, kill_at)
        self.processes.append(process)
        await process.dispatcher.start()
        return process

    def push(self, hooks: int, chains: int, final: bool) -> None:
        plans = [plan(hooks, n=n, final=final, delays=(1,), deadline_s=20) for n in range(chains)]
        event = self.world.push(*plans, push_id=str(UUID(int=len(self.pushes) + 1)), window_s=50)
        self.pushes.append((event, len(self.pushes)))

    def call_back(self, number: int, state: Verdict) -> None:
        chain_id, _, step = self.posts[number % len(self.posts)].rpartition("-")
        self.world.verdict(chain_id, int(step), state)

    def check(self) -> list[str]:
        self._checks += 1
        workers = [p.worker for p in self.processes if p.worker is not None and not p.dead]
        return self.found + broken(self.world, workers, self._checks)

    @property
    def open_chains(self) -> list[str]:
        return [chain.id for chain in self.world.full_fold().chains.values() if chain.ending is None]

    async def mend(self) -> None:
        """From here on nothing goes wrong and no receiver says another word: those who live must bring every chain to its end."""
        self.world.cluster.faults.budget = 0
        self.outcomes = (DELIVERED,)
        for process in self.processes:
            process.kill_at = lambda number, point: False
            process.clock.skew_ms = 0
            process.wake()
            if process.dead:
                process.expire()
        await asyncio.sleep(1)  # those that are ending get to it
        if all(process.dead for process in self.processes):
            await self.start()
        for _ in range(100):
            await asyncio.sleep(1)
            if not self.open_chains:
                return
            self.world.clock.advance(5)
        self.found += [f"I8: {chain_id} never ends" for chain_id in self.open_chains]

    def close(self) -> None:
        for process in self.processes:
            self.run(process.bury())
        self.run(self.world.cluster.land_all())
        self.loop.close()


class Machine(RuleBasedStateMachine):
    """One rule is one step; time passes only in `go_on`."""

    @initialize(seed=st.integers(0, 2**16), budget=st.sampled_from([0, 4, 12]))
    def begin(self, seed: int, budget: int) -> None:
        self.play = Play(seed, Faults(seed, late=0.05, refused=0.05, unanswered=0.05, budget=budget))
        self.play.run(self.play.start())
        self.play.push(2, 1, True)
        self.play.run(asyncio.sleep(0.2))

    # ---- the world around

    @rule(hooks=st.integers(1, 3), chains=st.integers(1, 2), final=st.booleans())
    def push(self, hooks: int, chains: int, final: bool) -> None:
        self.play.push(hooks, chains, final)

    @precondition(lambda self: self.play.posts)
    @rule(number=st.integers(0, 50), state=st.sampled_from([Verdict.SUCCESS] * 4 + [Verdict.FAILURE, Verdict.ERROR]))
    def call_back(self, number: int, state: Verdict) -> None:
        self.play.call_back(number, state)

    @precondition(lambda self: self.play.posts)
    @rule(number=st.integers(0, 50))
    def cancel(self, number: int) -> None:
        self.play.world.cancel(self.play.posts[number % len(self.play.posts)].rpartition("-")[0])

    @rule(number=st.integers(0, 50))
    def run_again(self, number: int) -> None:
        self.play.world.redeliver(*self.play.pushes[number % len(self.play.pushes)])

    @rule(seconds=st.sampled_from([1, 3, 20]))
    def time_passes(self, seconds: int) -> None:
        self.play.world.clock.advance(seconds)

    @rule(turns=st.integers(1, 40), seconds=st.sampled_from([0, 0, 0.02, 0.3]))
    def go_on(self, turns: int, seconds: float) -> None:
        async def on() -> None:
            for _ in range(turns):
                await asyncio.sleep(0)
            await asyncio.sleep(seconds)

        self.play.run(on())

    # ---- what goes wrong

    @precondition(lambda self: sum(not p.dead for p in self.play.processes) < LIVING)
    @rule(point=st.sampled_from(POINTS), when=st.sampled_from(["before", "after"]), skip=st.integers(0, 3))
    def start_one_that_dies_at(self, point: str, when: str, skip: int) -> None:
        left = [skip]

        def kill_at(number: int, passed: str) -> bool:
            left[0] -= passed.startswith(when) and passed.endswith(f" {point}")
            return left[0] < 0

        self.play.run(self.play.start(kill_at))

    @precondition(lambda self: sum(not p.dead for p in self.play.processes) < LIVING)
    @rule()
    def start(self) -> None:
        self.play.run(self.play.start())

    @precondition(lambda self: sum(not p.dead for p in self.play.processes) < LIVING)
    @rule(kind=st.sampled_from(POINTS[:8]), skip=st.integers(0, 2))
    def start_one_that_loses_an_answer(self, kind: str, skip: int) -> None:
        """Its append lands all the same, when it has given up."""
        left = [skip]

        def loses(said: str) -> bool:
            left[0] -= said == f"append {kind}"
            return left[0] == -1 and said == f"append {kind}"

        self.play.run(self.play.start())
        self.play.processes[-1].loses = loses

    @precondition(lambda self: any(not p.dead for p in self.play.processes))
    @rule(number=st.integers(0, 5), seconds=st.sampled_from([0.02, 0.3]))
    def another_has_it_for_a_while(self, number: int, seconds: float) -> None:
        """A member is stopped, another takes over and dies, and the first gets back what it thinks it never lost."""
        living = [p for p in self.play.processes if not p.dead]
        for process in living:
            process.stop()
            process.expire()

        async def meanwhile() -> None:
            other = await self.play.start()
            await asyncio.sleep(seconds)
            other.kill()
            other.expire()

        self.play.run(meanwhile())
        living[number % len(living)].wake()
        self.go_on(1, 0.1)

    @precondition(lambda self: self.play.processes)
    @rule(number=st.integers(0, 5))
    def kill(self, number: int) -> None:
        self._one(number).kill()

    @precondition(lambda self: self.play.processes)
    @rule(number=st.integers(0, 5), meanwhile_s=st.sampled_from([0, 3, 20]))
    def terminate(self, number: int, meanwhile_s: int) -> None:
        """It ends in order; timers may be overdue before it has."""

        async def now() -> None:
            self._one(number).terminate()

        self.play.run(now())
        self.play.world.clock.advance(meanwhile_s)

    @precondition(lambda self: self.play.processes)
    @rule(number=st.integers(0, 5), expired=st.booleans())
    def stop(self, number: int, expired: bool) -> None:
        """Beyond its session time or not: then another takes its partition, and it is a zombie once it wakes."""
        self._one(number).stop()
        if expired:
            self._one(number).expire()

    @precondition(lambda self: self.play.processes)
    @rule(number=st.integers(0, 5))
    def wake(self, number: int) -> None:
        self._one(number).wake()

    @precondition(lambda self: self.play.processes)
    @rule(number=st.integers(0, 5))
    def rebalance(self, number: int) -> None:
        """A member is out and does not know; what it has under way goes on."""
        self._one(number).expire()

    @precondition(lambda self: self.play.processes)
    @rule(number=st.integers(0, 5), by_ms=st.sampled_from([-30_000, -2_000, 0, 2_000, 30_000]))
    def clock_jumps(self, number: int, by_ms: int) -> None:
        self._one(number).clock.skew_ms = by_ms

    def _one(self, number: int) -> Process:
        return self.play.processes[number % len(self.play.processes)]

    # ---- the judge

    @invariant()
    def every_invariant_holds(self) -> None:
        if hasattr(self, "play"):
            assert self.play.check() == []

    def teardown(self) -> None:
        if not hasattr(self, "play"):
            return
        try:
            self.play.run(self.play.mend())
            for _ in self.play.world.cluster.log(
                Place(Topic.DELIVERIES, 0)
            ):  # a check begins to read at the next offset
                assert self.play.check() == []
        finally:
            self.play.close()


Machine.TestCase.settings = settings(Machine.TestCase.settings, max_examples=30, stateful_step_count=40, deadline=None)


class TestMachine(Machine.TestCase):  # type: ignore[misc,valid-type]
    """The name by which pytest finds it."""


# ---- one story, and a crash at each of its awaits


def story(kill_at: Callable[[int, str], bool]) -> Play:
    """A chain of two steps that completes, one that is tried again and halts unheard; another goes on where the first is killed."""
    play = Play(0, Faults.none())
    play.outcomes = (DELIVERED,)

    async def tell() -> None:
        await play.start(kill_at)
        play.push(2, 1, True)
        called_back: set[str] = set()
        for moment in range(14):
            await asyncio.sleep(0.1)
            play.found += play.check()
            if play.processes[-1].dead:
                await play.start()
            if moment == 1:
                play.outcomes = (Outcome(1, 500, AttemptError.STATUS),)
                play.push(1, 1, True)
            if moment == 2:
                play.outcomes = (DELIVERED,)
            for number, post in enumerate(play.posts):
                if post.startswith(play.pushes[0][0].push_id) and post not in called_back:
                    called_back.add(post)
                    play.call_back(number, Verdict.SUCCESS)
            play.world.clock.advance(2)

    play.run(tell())
    return play


def test_a_crash_at_each_await_of_a_story_breaks_nothing() -> None:
    whole = story(lambda number, point: False)
    points = whole.processes[0].passed
    whole.close()
    for number in range(len(points)):
        play = story(lambda passed, point, number=number: passed == number)  # type: ignore[misc]
        try:
            play.run(play.mend())
            assert play.check() == [], f"killed at {number}, {points[number]}"
        finally:
            play.close()
    for point in ("Fence", "HookDelivered", "HookAttemptFailed", "StepClosing", "ChainHalted", "ChainCompleted", "Snapshot",
                  "Snapshot (last)"):  # fmt: skip
        assert {f"before append {point}", f"after append {point}"} <= set(points)
    assert {"before commit", "after commit", "before post", "after post", "after poll", "after ends"} <= set(points)


def test_who_is_killed_before_it_joins_holds_no_partition() -> None:
    """Hypothesis found it, in a world without this rule: a dead member had the partition, and a chain never ended."""
    play = Play(0, Faults.none())
    play.run(play.start())
    play.push(1, 1, False)
    play.run(asyncio.sleep(0.2))
    play.processes[0].stop()
    play.processes[0].expire()  # it joins again, behind the other
    play.run(play.start())  # no turn of its loop has come yet
    play.processes[1].kill()
    all_end(play)


def test_who_is_killed_in_its_poll_joins_no_more() -> None:
    """As above: what woke its poll came before its end."""
    play = Play(0, Faults.none())
    play.run(play.start())
    play.processes[0].stop()  # it joins when it wakes, behind the other
    play.run(play.start())
    play.run(asyncio.sleep(0.25))
    play.push(1, 1, False)
    play.processes[1].kill()
    all_end(play)


def all_end(play: Play) -> None:
    try:
        play.run(play.mend())
        assert play.found == []
    finally:
        play.close()
