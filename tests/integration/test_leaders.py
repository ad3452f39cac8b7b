"""A leader of `callbacks` that is stopped, deposed, and woken as deadlines pass: no verdict that was answered 200 is overruled.

`scripts/leaders` plays more rounds.
"""

import asyncio
import os
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest

from hookline.audit.cluster_source import open_cluster
from hookline.audit.findings import Finding
from hookline.audit.verify import verify
from hookline.chain.events import (
    CallbackReceived,
    ChainCompleted,
    ChainEvent,
    ChainHalted,
    HaltReason,
    StepClosing,
    StepSealed,
    Verdict,
)
from hookline.clock import SystemClock
from hookline.log.cluster import Cluster
from hookline.log.codec import Record
from hookline.log.reader import PartitionReader
from hookline.log.records import LOGS, Place, Positions, Topic
from hookline.testing.embedded_cluster import EmbeddedCluster
from tests.contract.helpers import answered, read_log
from tests.integration.leaders import PARTITIONS, Answered, Leaders, Services
from tests.kafka import free_broker_port, freeze, thaw
from tests.kit.waiting import until

ROUNDS = int(os.environ.get("LEADER_ROUNDS", "2"))
SEED = 13
CHAINS = 40
"""Of a round; three of four are called back, and the others must end by themselves while brokers disagree on who leads."""
EARLIEST_MS, LATEST_MS = 3500, 20
"""A chain is called back so long before its deadline: between these."""
WAKE_MS = 250
"""After the last deadline the old leader is woken: what it was asked meanwhile it answers then, from what it knows."""
GIVEN_UP_MS = 5000
"""After its deadline, a receiver whose verdict was answered 503 stops to send it again."""
ENDS = {Verdict.SUCCESS: None, Verdict.FAILURE: HaltReason.CALLBACK_FAILURE}
"""What becomes of a chain of one step by its verdict; None: completed."""

pytestmark = pytest.mark.timeout(120 + 40 * ROUNDS)


@pytest.fixture
def brokers(tmp_path: Path) -> Iterator[EmbeddedCluster]:
    with EmbeddedCluster(tmp_path / "kafka", [free_broker_port() for _ in range(3)]) as made:
        yield made


@dataclass(frozen=True)
class Round:
    """What was done, answered and told; times in Unix ms."""

    deadlines: Mapping[str, int]
    answers: Sequence[Answered]
    elected_at: int
    woke_at: int
    ends: Mapping[Place, int]
    """What a client that hears late of another leader was told as the old one woke."""


@dataclass
class Story:
    """What the log says of a chain, in the order in which every reader hands it out: the first of each kind."""

    first: dict[type[ChainEvent], Record] = field(default_factory=dict)

    def at(self, kind: type[ChainEvent]) -> float:
        """By its broker's clock, Unix ms; infinite where there is none."""
        return self.first[kind].raw.timestamp if kind in self.first else float("inf")

    @property
    def end(self) -> HaltReason | None:
        """None: it was completed."""
        halted = self.first.get(ChainHalted)
        assert (halted is None) == (ChainCompleted in self.first), "it has one end"
        return halted.event.reason if halted is not None and isinstance(halted.event, ChainHalted) else None


async def play(number: int, services: Services, leaders: Leaders, random: Random) -> Round:
    broker, partitions = leaders.leader(number)
    await leaders.restore()
    await services.seal(partitions)
    asked = await services.late.offsets()
    try:
        deadlines = await services.begin(CHAINS, partitions)
        last = max(deadlines.values())
        try:
            await asyncio.to_thread(freeze, broker)
            calls = [asyncio.create_task(call) for call in receivers(services, deadlines, random)]
            await until(lambda: leaders.deposed(broker, partitions))
            elected_at = now_ms()
            await asyncio.sleep(max(0, last - now_ms()) / 1000)
            places = [Place(Topic.CALLBACKS, partition) for partition in partitions]
            told = asyncio.create_task(answered(lambda: asked.ends(places)))
            await asyncio.sleep(WAKE_MS / 1000)
            woke_at = now_ms()
        finally:
            thaw(broker)
        ends = await told
        answers = [answer for call in calls if (answer := await call) is not None]
        await until(lambda: services.all_over(deadlines))
        return Round(deadlines, answers, elected_at, woke_at, ends)
    finally:
        await asked.close()


def receivers(
    services: Services, deadlines: Mapping[str, int], random: Random
) -> Iterator[Coroutine[None, None, Answered | None]]:
    """Those that call back, each in time."""
    for number, (chain_id, deadline) in enumerate(deadlines.items()):
        if number % 4:
            early = random.randint(LATEST_MS, EARLIEST_MS)
            yield services.call_back(chain_id, random.choice(list(ENDS)), deadline - early, deadline + GIVEN_UP_MS)


async def read_stories(cluster: Cluster) -> dict[str, Story]:
    """Of all chains, by id."""
    stories: dict[str, Story] = {}
    for partition in range(PARTITIONS):
        reader = PartitionReader(partition, Positions())
        for topic in LOGS:
            reader.offer(topic, await read_log(cluster, Place(topic, partition)))
        for record, valid in reader.read():
            if valid and isinstance(record.event, ChainEvent):
                stories.setdefault(record.event.chain_id, Story()).first.setdefault(type(record.event), record)
    return stories


@dataclass
class Figures:
    """What was injected, and what it met: without these, a test that finds nothing shows nothing."""

    rounds: int = 0
    """An old leader slept over the election of another, and over the deadlines."""
    taken: int = 0
    """Verdicts answered 200."""
    taken_asleep: int = 0
    """Of them, between the election and the waking."""
    unheard: int = 0
    """Of them, those of which the dispatcher had not heard when it wrote its intent to halt."""
    timeouts: int = 0
    """Chains that ended without a verdict."""
    asked_the_old: int = 0
    """Rounds in which a seal was sent to the sleeping leader: its intent lies before the waking, and it lies after it."""
    told_old_ends: int = 0
    """Rounds in which the old leader told an end below a verdict that was acked before it was asked."""

    def count(self, played: Round, stories: Mapping[str, Story]) -> None:
        taken = [answer for answer in played.answers if answer.status == 200]
        mine = [stories[chain_id] for chain_id in played.deadlines]
        self.rounds += 1
        self.taken += len(taken)
        self.taken_asleep += sum(played.elected_at <= answer.at <= played.woke_at for answer in taken)
        self.unheard += sum(
            stories[chain_id].at(CallbackReceived) < stories[chain_id].at(StepClosing) < float("inf")
            for chain_id, *_ in taken
        )
        self.timeouts += sum(story.end is HaltReason.CALLBACK_TIMEOUT for story in mine)
        self.asked_the_old += any(s.at(StepClosing) < played.woke_at <= s.at(StepSealed) < float("inf") for s in mine)
        self.told_old_ends += any(
            verdict.raw.offset >= played.ends[verdict.raw.place]
            for story in mine
            if (verdict := story.first.get(CallbackReceived)) is not None
            and verdict.raw.timestamp < played.woke_at - WAKE_MS
        )


async def test_no_verdict_answered_200_is_overruled(
    brokers: EmbeddedCluster, topic_prefix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    random, leaders = Random(SEED), Leaders(brokers, topic_prefix)
    figures, overruled, findings = Figures(), list[str](), list[Finding]()
    await leaders.make_topics()
    async with Services(brokers.bootstrap_servers, topic_prefix).running() as services:
        played = [await play(number, services, leaders, random) for number in range(ROUNDS)]
        stories = await read_stories(services.soon)
        source = await open_cluster(services.soon, topic_prefix, SystemClock())
        try:
            await verify(source, findings.append, settled=True)
        finally:
            await source.close()
    for each in played:
        figures.count(each, stories)
        for chain_id, state, status, _ in each.answers:
            due = ENDS[Verdict(state)] if status == 200 else HaltReason.CALLBACK_TIMEOUT
            if (end := stories[chain_id].end) is not due:
                overruled.append(f"{chain_id}: {state} was answered {status}, and it ended as {end or 'completed'}")
    with capsys.disabled():
        print(f"\n{figures}, {len(overruled)} overruled, {len(findings)} findings")

    assert overruled == []
    assert findings == []
    assert all(vars(figures).values()), f"a fault that was not there: {figures}"


def now_ms() -> int:
    return SystemClock().now_ms()
