"""Made-up logs: pushes with plans, attempts, verdicts in and out of turn, fences, repeats, cancels and further runs."""

import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any
from uuid import UUID, uuid5

from hookline.chain.events import (
    CallbackReceived,
    CancelRequested,
    ChainCompleted,
    ChainHalted,
    Event,
    Fence,
    HaltReason,
    HookAttemptFailed,
    HookDelivered,
    Plan,
    PushReceived,
    RedeliveryRequested,
    SkipRequested,
    StepClosing,
    StepSealed,
    Verdict,
)
from hookline.chain.ids import ChainId
from hookline.chain.pipeline import LogId
from hookline.log.codec import decode, encode, encode_setting, topic_of
from hookline.log.records import Place
from hookline.testing.manual_clock import ManualClock
from hookline.testing.memory import MemoryCluster
from tests.kit import events as kit
from tests.kit.events import AnyId, hook
from tests.kit.log_writer import LogWriter

LOG_ID = UUID("00000000-0000-4000-8000-000000000001")
NOW = kit.START
URL = "http://receiver.example/hook?token=s3cret"


def plan(n: int = 0, hooks: int = 3, pipeline_id: str = "p1", name: str = "ci") -> Plan:
    made = tuple(hook(step, URL) for step in range(1, hooks + 1))
    return kit.plan(n=n, pipeline_id=pipeline_id, name=name, slug=name, hooks=made, deadline_s=86_400, delays_s=(5,))


def push(
    number: int, plans: tuple[Plan, ...], *, received_at: int = NOW, repository: str = "acme/app", window_s: int = 3600
) -> PushReceived:
    tag = f"v{number}"
    return kit.push(
        *plans, push_id=str(uuid5(LOG_ID, str(number))), source="dockerhub", received_at=received_at, window_s=window_s, repository=repository, tag=tag,
        payload={"push_data": {"tag": tag}, "repository": {"repo_name": repository}}, raw=json.dumps({"padding": "x" * 1000}),
    )  # fmt: skip


class History(LogWriter):
    """Writes into a cluster, one record at a time, as the services would; its time is the brokers', too."""

    def __init__(self, cluster: MemoryCluster, partitions: int, now: int = NOW) -> None:
        super().__init__(partitions, ManualClock(now))
        self.cluster = cluster
        self.cluster.clock = self.clock

    def begin(self, log_id: UUID = LOG_ID) -> None:
        self.cluster.append(encode_setting(LogId(log_id=log_id), now_ms=self.now))

    def write(self, event: Event, partition: int, *, fence: int | None = None, event_id: str | None = None) -> int:
        self.now += 10
        return self.cluster.append(encode(event, partition, now_ms=self.now, fence=fence, event_id=event_id))

    def end_of(self, place: Place) -> int:
        return self.cluster.end(place)

    def push(self, event: PushReceived) -> list[ChainId]:
        return self.start(event)

    def delivered(
        self, chain: AnyId, step: int = 1, attempt: int = 1, *, fence: int | None = None, **fields: Any
    ) -> int:
        return super().delivered(chain, step, attempt, fence=fence, **{"answer": "thanks", **fields})


def sample(history: History, model: type[Event], chain: ChainId, number: int = 0) -> Event:
    """An event of that model, in the log already where it is one of that chain; a push is another one, by its number."""
    written: dict[type[Event], Callable[[], object]] = {
        HookAttemptFailed: lambda: history.failed(chain, 1),
        HookDelivered: lambda: history.delivered(chain, 1),
        CallbackReceived: lambda: history.verdict(chain, 1),
        StepClosing: lambda: history.closing(chain, 1),
        StepSealed: lambda: history.sealed(chain, 1, history.closing(chain, 1)),
        ChainHalted: lambda: history.halted(chain, 1, HaltReason.CANCELLED),
        ChainCompleted: lambda: history.completed(chain, 3),
        CancelRequested: lambda: history.cancel(chain),
        RedeliveryRequested: lambda: history.rerun(chain, plan()),
    }
    if model is PushReceived:
        return push(number, (plan(),), received_at=history.now)
    if model is SkipRequested:
        return kit.skip("pushes", 0, at=history.now)
    if model is Fence:
        return kit.fence(at=history.now)
    written[model]()
    return decode(history.cluster.log(Place(topic_of(model), history.partition_of(chain.push_id)))[-1]).event


def fill(history: History, seed: int, pushes: int) -> Iterator[None]:
    """Let some hundred things happen, in a random order over chains; yields after each."""
    random = Random(seed)
    chains: list[tuple[ChainId, int]] = []
    numbers = 0
    for _ in range(pushes):
        if numbers and random.random() < 0.15:
            repeated = push(random.randrange(numbers), (plan(),), received_at=history.now, window_s=3)
            chains += [(chain, 3) for chain in history.push(repeated)]
        else:
            plans = tuple(plan(n, random.randint(1, 3), f"p{n}") for n in range(random.choice((0, 1, 1, 2))))
            made = history.push(push(numbers, plans, received_at=history.now, window_s=3))
            chains += [(chain, len(p.hooks)) for chain, p in zip(made, plans, strict=True)]
            numbers += 1
        yield
        for _ in range(random.randint(0, 12)):
            if chains:
                _happen(history, random, chains)
                yield


def _happen(history: History, random: Random, chains: list[tuple[ChainId, int]]) -> None:
    chain, steps = random.choice(chains[-6:])
    step = random.randint(1, steps)
    match random.randrange(14):
        case 0 | 1 | 2:
            history.delivered(chain, step, random.randint(1, 2))
        case 3 | 4 | 5:
            history.verdict(chain, step, random.choice(list(Verdict)), description=f"said {history.now}")
        case 6:
            history.failed(chain, step, last=random.random() < 0.3)
        case 7:
            history.completed(chain, steps)
        case 8:
            history.halted(chain, step, random.choice(list(HaltReason)))
        case 9:
            history.fence(of=chain)
        case 10:
            old = max(0, history.fences.get(history.partition_of(chain.push_id), 0) - 1)
            history.delivered(chain, step, fence=old)
        case 11:
            if random.random() < 0.5:
                history.cancel(chain)
            else:
                run = history.rerun(chain, plan(chain.n, steps, f"p{chain.n}"), step)
                chains.append((run, steps))
        case 12:
            history.sealed(chain, step, history.closing(chain, step))
        case 13:
            intent = history.failed(chain, step, last=True)
            if random.random() < 0.5:
                history.verdict(chain, step, random.choice(list(Verdict)))
            history.sealed(chain, step, intent)
            history.verdict(chain, step, random.choice(list(Verdict)))
