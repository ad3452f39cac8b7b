"""What is known first of a step is final: whatever prefixes of the logs a replica has read, and in whatever order it read on."""

from collections.abc import Iterator
from itertools import product
from random import Random

import pytest

from hookline.chain.events import HaltReason, Verdict
from hookline.chain.fold import Repeats
from hookline.chain.ids import ChainId
from hookline.log.reader import PartitionReader
from hookline.log.records import LOGS, Place, Positions, RawRecord, Topic
from hookline.log.snapshots import Restored
from services.callbacks.answers import Answer, judge
from services.callbacks.replica_memory import EndedChains, PartitionMemory
from tests.kit.clocks import HandClock
from tests.unit.callbacks.world import World

SEEDS = range(300)
WAYS = 4
STEPS = (1, 2)
FINAL = {Answer.OK, Answer.NOT_ALLOWED}


class Log:
    """Verdicts, intents, seals (some name nothing), ends, a cancel and zombies' decisions of one chain, in a drawn order."""

    def __init__(self, seed: int) -> None:
        self.world = World(partitions=1)
        self.chain: ChainId = self.world.push()
        self._random = Random(seed)
        zombie = self.world.fence(of=self.chain)
        owner = self.world.fence(of=self.chain)
        self._named = [zombie, owner]
        for _ in range(self._random.randint(3, 12)):
            self._write(self._random.choice((owner, owner, zombie)))

    def _write(self, token: int) -> None:
        step, draw = self._random.choice(STEPS), self._random.random()
        if draw < 0.35:
            self.world.verdict(self.chain, step, self._random.choice(("success", "failure")))
        elif draw < 0.6:
            self._named.append(self.world.closing(self.chain, step, fence=token))
        elif draw < 0.85:
            self.world.sealed(self.chain, step, self._random.choice(self._named))
        elif draw < 0.92:
            self.world.cancel(self.chain)
        else:
            self.world.halted(self.chain, step, HaltReason.CANCELLED, fence=token)

    def way(self, random: Random) -> Iterator[PartitionMemory]:
        """One order of reading it all, each log a few records at a time; the memory after each."""
        reader = PartitionReader(0, Positions())
        memory = PartitionMemory(Restored(Positions(), -1, None, {}, Repeats()), EndedChains(HandClock().monotonic))
        left: dict[Topic, list[RawRecord]] = {topic: self.world.cluster.log(Place(topic, 0)) for topic in LOGS}
        while any(left.values()):
            topic = random.choice([topic for topic in LOGS if left[topic]])
            count = random.randint(1, 3)
            reader.offer(topic, left[topic][:count])
            del left[topic][:count]
            for record, valid in reader.read():
                if valid:
                    memory.take(record)
            yield memory


def answers(memory: PartitionMemory, chain: ChainId) -> dict[tuple[int, Verdict, bool], Answer]:
    return {
        asked: judge(memory.chain(str(chain)), *asked[:2], expired=asked[2])
        for asked in product(STEPS, Verdict, (False, True))
    }


@pytest.mark.parametrize("seed", SEEDS)
def test_a_final_answer_stays_and_every_way_comes_to_the_same(seed: int) -> None:
    log, random = Log(seed), Random(seed)
    ends = []
    for _ in range(WAYS):
        known: dict[tuple[int, Verdict, bool], Answer] = {}
        for memory in log.way(random):
            now = answers(memory, log.chain)
            for asked, answer in known.items():
                assert answer not in FINAL or now[asked] is answer, f"{asked} was {answer}, now {now[asked]}"
            known = now
        ends.append({asked: answer for asked, answer in known.items() if answer in FINAL})
    assert all(end == ends[0] for end in ends), ends
    for (step, state, expired), answer in ends[0].items():
        assert ends[0][step, state, not expired] is answer


def test_the_seeds_reach_every_kind() -> None:
    """Verdicts that count, void ones above a seal, seals that do nothing, seals read after their chain's end."""
    met = set()
    for seed in SEEDS:
        log = Log(seed)
        (*_, memory) = log.way(Random(seed))
        chain = memory.chain(str(log.chain))
        assert chain is not None
        heard = {event.step: offset for offset, event in log.world.callbacks(log.chain)}  # the last of each
        for number, step in enumerate(chain.steps, 1):
            met.add("counts" if step.verdict else "sealed" if step.seal is not None else "nothing")
            if step.seal is not None and heard.get(number, -1) > step.seal:
                met.add("void")
            if step.closing is not None and step.seal is not None and chain.ending is not None:
                met.add("sealed and over")
    assert met == {"counts", "sealed", "nothing", "void", "sealed and over"}
