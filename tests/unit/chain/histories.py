"""Realistic histories of one partition: a little world of ingress, dispatcher workers, receivers, callbacks and console.

`World(pick)` does one small thing after the other, as `pick` chooses: Hypothesis through `histories()`, a soak or a
benchmark with `random.Random(seed).randrange`. The dispatcher decides with the real `decide` and reads with the one reader.
Every worker may be delayed forever, so each one that was not ended by a Fence it has read may be a zombie.
"""

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import NamedTuple, TypeVar

from hypothesis import strategies as st

from hookline.chain.decide import Action
from hookline.chain.events import AttemptError, Plan, PushReceived, Verdict
from hookline.chain.fold import PartitionFold
from hookline.chain.state import Chain
from hookline.log.reader import PartitionReader
from hookline.log.records import LOGS, Positions, Topic
from tests.kit import events
from tests.kit.events import START, plan, push
from tests.unit.chain.logs import PARTITION, Logs
from tests.unit.chain.worker import Sent, Worker

Pick = Callable[[int], int]
"""pick(n): a number from 0 to n - 1; 0 is the plainest choice, so that Hypothesis shrinks towards it."""
T = TypeVar("T")

DELIVERED = (200, 204, 302)
FAILURES: tuple[tuple[AttemptError, int | None], ...] = (
    (AttemptError.CONNECT, None),
    (AttemptError.STATUS, 500),
    (AttemptError.TIMEOUT, None),
    (AttemptError.BLOCKED, None),
    (AttemptError.STATUS, 410),
)
BROKERS = (0, -10_000, -20_000)
"""How far a broker's clock is off, ms."""
PRODUCERS = (0, -365 * 86_400_000, 365 * 86_400_000)
VERDICTS = (Verdict.SUCCESS, Verdict.SUCCESS, Verdict.SUCCESS, Verdict.FAILURE, Verdict.ERROR)


class Answer(NamedTuple):
    """What a receiver's callback was answered."""

    chain_id: str
    step: int
    state: Verdict
    status: int


class World:
    """One partition and all around it. `sent` and `answers` are what the outside saw."""

    def __init__(self, pick: Pick) -> None:
        self.pick, self.logs = pick, Logs()
        self.sent: list[Sent] = []
        self.answers: list[Answer] = []
        self.workers: list[Worker] = []
        self.trace: list[str] = []
        self._calls: list[tuple[Sent, Verdict]] = []
        """Callbacks that were appended and are not answered yet."""
        self._reader = PartitionReader(PARTITION, Positions())
        self._seen = PartitionFold(keep_ended=True)

    @property
    def now(self) -> int:
        """Unix ms."""
        return self.logs.now

    @now.setter
    def now(self, value: int) -> None:
        self.logs.now = value

    def __repr__(self) -> str:
        return f"World({' | '.join(self.trace)})"

    def run(self, steps: int) -> None:
        for _ in range(steps):
            self._choose(MOVES)(self)

    def settle(self) -> None:
        """Everything works from here on, and no receiver says another word: until nothing is left to do."""
        self.workers = []
        worker = self._new_worker()
        for _ in range(1000):
            worker.read(self.logs.ends)
            for chain, action in worker.due(self.now):
                worker.act(chain, action, self.now)
            for sent in tuple(worker.posts):
                worker.answered(sent, self.now, 200)
            if not worker.memory.chains:
                return
            if not worker.due(self.now) and not worker.behind():
                self.now = worker.next_due(self.now) or self.now
        raise AssertionError(f"{len(worker.memory.chains)} chains never end")

    # ---- moves

    def push(self) -> None:
        pushes = [event for event, _ in self.logs.events[Topic.PUSHES] if isinstance(event, PushReceived)]
        at = self.now + self._choose(BROKERS)
        received_at = self.now + self._choose(PRODUCERS)
        if pushes and self.pick(3) == 2:
            event = self._choose(pushes).model_copy(update={"received_at": received_at})
        else:
            plans = (self._plan(n) for n in range(1 + self.pick(3)))
            event = push(*plans, name=str(len(pushes)), received_at=received_at)
        self._say(f"push {event.producer_id} with {len(event.plans)} plans at {at - START}")
        self.logs.append(event, at=at)

    def work(self) -> None:
        """A worker does one thing: reads, acts on a chain, or gets an answer."""
        if not self.logs.ends.pushes:
            self.push()
        workers = [w for w in self.workers if not w.over]
        if not workers:
            self.take_over()
            return
        worker = workers[-1 - self.pick(len(workers))]
        due = worker.due(self.now)
        things: list[Callable[[], None]] = [partial(self._act, worker, *d) for d in due]
        things += [partial(self._answered, worker, sent) for sent in worker.posts]
        if worker.behind():
            things += [partial(worker.read, self.logs.ends), partial(self._read_some, worker)]
        if things:
            self._choose(things)()
        else:
            self.tick()

    def call_back(self) -> None:
        """A receiver says a verdict with any token it ever got. Only the choice to append may come from a stale tail."""
        if not self.sent:
            self.work()
            return
        sent, state = self.sent[-1 - self.pick(len(self.sent))], self._choose(VERDICTS)
        stale = self.now < sent.expires_at and self.pick(4) == 3
        if (status := self._answer(sent, state)) is not None and not stale:
            self._answered_callback(sent, state, status)
            return
        self._say(f"callback {state} for {_name(sent)} at C{self.logs.ends.callbacks}")
        self.logs.append(events.verdict(sent.chain.id, sent.step, state, at=self.now))
        self._calls.append((sent, state))

    def answer_callback(self) -> None:
        if not self._calls:
            self.work()
            return
        sent, state = self._calls.pop(self.pick(len(self._calls)))
        status = self._answer(sent, state)
        assert status is not None, "our own append is in the log"
        self._answered_callback(sent, state, status)

    def tick(self) -> None:
        """A second, or to the next moment at which something is due."""
        due = next((at for w in self.workers if (at := w.next_due(self.now))), self.now) if self.pick(3) else self.now
        self.now = max(due, self.now + 1000)
        self._say(f"time {self.now - START}")

    def take_over(self) -> None:
        """A new incarnation; the one before it crashes, or lives on as a zombie."""
        if self.workers and self.pick(2):
            self.workers[-1].over = True
        self._new_worker()

    def cancel(self) -> None:
        if (chain := self._any_chain()) is None:
            self.work()
            return
        self._say(f"cancel {chain.id[36:]}")
        self.logs.append(events.cancel(chain.id, at=self.now))

    def redeliver(self) -> None:
        if (chain := self._any_chain()) is None:
            self.work()
            return
        event = events.rerun(chain.id, chain.plan, 1 + self.pick(len(chain.plan.hooks)), at=self.now)
        self._say(f"redeliver {chain.id[36:]} from step {event.from_step}")
        self.logs.append(event)

    def forge(self) -> None:
        """A StepSealed of somebody else, which names any record of `deliveries`."""
        if (chain := self._any_chain()) is None:
            self.work()
            return
        intent, step = self.pick(self.logs.ends.deliveries), 1 + self.pick(len(chain.steps))
        self._say(f"somebody seals step {step} of {chain.id[36:]} for D{intent}")
        self.logs.append(events.sealed(chain.id, step, intent, at=self.now))

    # ---- parts of moves

    def _act(self, worker: Worker, chain: Chain, action: Action) -> None:
        self._say(f"w{worker.token} {action} of {chain.id[36:]}")
        if (sent := worker.act(chain, action, self.now)) is not None:
            self.sent.append(sent)

    def _answered(self, worker: Worker, sent: Sent) -> None:
        if self.pick(3) < 2:
            status: int | None = self._choose(DELIVERED)
            error, retry_after_s = None, None
        else:
            again_blocked = sent.chain.step(sent.step).was_blocked and self.pick(2)
            error, status = (AttemptError.BLOCKED, None) if again_blocked else self._choose(FAILURES)
            retry_after_s = 30 if status is not None and self.pick(4) == 3 else None
        self._say(f"w{worker.token} hears {error or status} from {_name(sent)}")
        worker.answered(sent, self.now, status, error, retry_after_s)

    def _read_some(self, worker: Worker) -> None:
        ends = [min(self.logs.ends.of(t), worker.reader.next_fetch(t) + self.pick(4)) for t in LOGS]
        self._say(f"w{worker.token} reads to {ends}")
        worker.read(Positions(*ends))

    def _answer(self, sent: Sent, state: Verdict) -> int | None:
        """The table of design section 6, judged on the whole logs; None: append."""
        for topic in LOGS:
            self._reader.offer(topic, self.logs.records[topic][self._reader.next_fetch(topic) :])
        for read in self._reader.read():
            if read.valid:
                self._seen.fold(read.record.event, read.record.offset, read.record.timestamp)
        chain = self._seen.chains[sent.chain.id]
        step = chain.step(sent.step)
        if step.verdict is not None:
            return 200 if step.verdict.state is state else 400
        return 400 if step.seal is not None or chain.ending is not None or self.now >= sent.expires_at else None

    def _answered_callback(self, sent: Sent, state: Verdict, status: int) -> None:
        self._say(f"callback {state} for {_name(sent)} is answered {status}")
        self.answers.append(Answer(sent.chain.id, sent.step, state, status))

    def _plan(self, n: int) -> Plan:
        return plan(
            1 + self.pick(5),
            n=n,
            expect_final_callback=self.pick(2) == 0,
            deadline_s=self._choose((60, 20)),
            delays_s=self._choose(((5, 10), (), (5,))),
        )

    def _any_chain(self) -> Chain | None:
        chains = [sent.chain for sent in self.sent]
        return chains[-1 - self.pick(len(chains))] if chains else None

    def _new_worker(self) -> Worker:
        worker = Worker(self.logs, self.now)
        self._say(f"w{worker.token} takes over")
        self.workers = [*self.workers[-1:], worker]
        return worker

    def _choose(self, things: Sequence[T]) -> T:
        return things[self.pick(len(things))]

    def _say(self, what: str) -> None:
        self.trace.append(what)


MOVES: tuple[Callable[[World], None], ...] = (
    *[World.work] * 18, *[World.call_back] * 6, *[World.answer_callback] * 2, World.tick,
    World.push, World.cancel, World.redeliver, World.forge, *[World.take_over] * 2,
)  # fmt: skip


def _name(sent: Sent) -> str:
    return f"step {sent.step} attempt {sent.attempt} of {sent.chain.id[36:]}"


@cache
def _below(n: int) -> st.SearchStrategy[int]:
    return st.integers(0, n - 1)


@st.composite
def histories(draw: st.DrawFn, max_steps: int = 120) -> World:
    """A world after some steps."""
    world = World(lambda n: draw(_below(n)))
    world.run(draw(st.integers(1, max_steps)))
    return world
