"""Made-up logs: pushes with plans, attempts, verdicts in and out of turn, fences, repeats, cancels and further runs."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from uuid import UUID, uuid5

from hookline.chain.events import (
    AttemptError,
    CallbackReceived,
    CancelRequested,
    ChainCompleted,
    ChainHalted,
    Event,
    Fence,
    HaltReason,
    HookAttemptFailed,
    HookDelivered,
    HookPlan,
    Plan,
    PushReceived,
    ReadTo,
    RedeliveryRequested,
    SkipRequested,
    StepClosing,
    StepSealed,
    Verdict,
)
from hookline.chain.ids import ChainId, partition_of
from hookline.chain.pipeline import LogId
from hookline.log.codec import decode, encode, encode_setting, topic_of
from hookline.log.records import Place, Topic
from hookline.testing.manual_clock import ManualClock
from hookline.testing.memory import MemoryCluster

LOG_ID = UUID("00000000-0000-4000-8000-000000000001")
NOW = 1_700_000_000_000
URL = "http://receiver.example/hook?token=s3cret"


def plan(n: int = 0, hooks: int = 3, pipeline_id: str = "p1", name: str = "ci") -> Plan:
    return Plan(
        n=n,
        pipeline_id=pipeline_id,
        name=name,
        slug=name,
        expect_final_callback=True,
        callback_deadline_s=86_400,
        timeout_s=15,
        retry_delays_s=(5,),
        hooks=tuple(HookPlan(id=f"h{i}", version=1, key="k1", name=str(i), url=URL) for i in range(1, hooks + 1)),
    )


def push(
    number: int, plans: tuple[Plan, ...], *, received_at: int = NOW, repository: str = "acme/app", window_s: int = 3600
) -> PushReceived:
    return PushReceived(
        push_id=str(uuid5(LOG_ID, str(number))),
        source="dockerhub",
        received_at=received_at,
        dedupe_window_s=window_s,
        pushed_at=received_at,
        repository=repository,
        tag=f"v{number}",
        payload={"push_data": {"tag": f"v{number}"}, "repository": {"repo_name": repository}},
        raw=json.dumps({"padding": "x" * 1000}),
        settings_offset=1,
        plans=plans,
    )


class _Now(ManualClock):
    """A history's time, as its brokers have it."""

    def __init__(self, history: "History") -> None:
        super().__init__()
        self._history = history

    def now_ms(self) -> int:
        return self._history.now


@dataclass
class History:
    """Writes into a cluster, one record at a time, as the services would."""

    cluster: MemoryCluster
    partitions: int
    now: int = NOW
    fences: dict[int, int] = field(default_factory=dict)

    def begin(self, log_id: UUID = LOG_ID) -> None:
        self.cluster.append(encode_setting(LogId(log_id=log_id), now_ms=self.now))

    def __post_init__(self) -> None:
        self.cluster.clock = _Now(self)

    def write(self, event: Event, partition: int, *, fence: int | None = None, event_id: str | None = None) -> int:
        self.now += 10
        draft = encode(event, partition, now_ms=self.now, fence=fence, event_id=event_id)
        return self.cluster.append(draft)

    def place(self, push_id: str) -> int:
        return partition_of(push_id, self.partitions)

    def fence(self, partition: int) -> int:
        offset = self.write(Fence(owner="w", fenced_at=self.now), partition)
        self.fences[partition] = offset
        return offset

    def push(self, event: PushReceived) -> list[ChainId]:
        offset = self.write(event, self.place(event.push_id))
        return [ChainId(event.push_id, offset, p.n, 0) for p in event.plans]

    def run(
        self,
        chain: ChainId,
        from_step: int,
        run_plan: Plan,
        event_id: str | None = None,
        repository: str = "acme/app",
        tag: str = "again",
    ) -> ChainId:
        event = RedeliveryRequested(
            cause=chain.offset,
            push_id=chain.push_id,
            repository=repository,
            by="admin",
            requested_at=self.now,
            from_step=from_step,
            plan=run_plan,
            payload={"push_data": {"tag": tag}},
        )
        offset = self.write(event, self.place(chain.push_id), event_id=event_id)
        return chain._replace(run=offset + 1)

    def verdict(self, chain: ChainId, step: int, state: Verdict = Verdict.SUCCESS, **said: str) -> int:
        event = CallbackReceived(
            cause=chain.cause,
            chain_id=str(chain),
            step=step,
            state=state,
            received_at=self.now,
            remote_ip="192.0.2.1",
            **said,
        )
        return self.write(event, self.place(chain.push_id))

    def cancel(self, chain: ChainId) -> int:
        event = CancelRequested(cause=chain.cause, chain_id=str(chain), by="admin", requested_at=self.now)
        return self.write(event, self.place(chain.push_id))

    def delivered(
        self, chain: ChainId, step: int, attempt: int = 1, *, fence: int | None = None, answer: str = "thanks"
    ) -> int:
        event = HookDelivered(
            **self.decision(chain, step),
            attempt=attempt,
            started_at=self.now,
            took_ms=12,
            status=200,
            answer=answer,
            expires_at=self.now + 86_400_000,
        )
        return self.decide(chain, event, fence)

    def failed(
        self,
        chain: ChainId,
        step: int,
        attempt: int = 1,
        *,
        last: bool = False,
        fence: int | None = None,
        detail: str | None = None,
    ) -> int:
        event = HookAttemptFailed(
            **self.decision(chain, step),
            attempt=attempt,
            started_at=self.now,
            took_ms=12,
            error=AttemptError.STATUS,
            detail=detail,
            status=500,
            next_attempt_at=None if last else self.now + 5000,
        )
        return self.decide(chain, event, fence)

    def closing(self, chain: ChainId, step: int) -> int:
        return self.decide(chain, StepClosing(**self.decision(chain, step)))

    def sealed(self, chain: ChainId, step: int, intent: int) -> int:
        event = StepSealed(cause=chain.cause, chain_id=str(chain), step=step, intent=intent, sealed_at=self.now)
        return self.write(event, self.place(chain.push_id))

    def halted(self, chain: ChainId, step: int, reason: HaltReason) -> int:
        return self.decide(chain, ChainHalted(**self.decision(chain, step), reason=reason))

    def completed(self, chain: ChainId, step: int, *, fence: int | None = None) -> int:
        return self.decide(chain, ChainCompleted(**self.decision(chain, step)), fence)

    def decide(self, chain: ChainId, event: Event, fence: int | None = None) -> int:
        partition = self.place(chain.push_id)
        if fence is None and (fence := self.fences.get(partition)) is None:
            fence = self.fence(partition)
        return self.write(event, partition, fence=fence)

    def decision(self, chain: ChainId, step: int) -> dict[str, object]:
        place = self.place(chain.push_id)
        ends = {t: self.cluster.end(Place(Topic(t), place)) for t in ("pushes", "callbacks", "commands")}
        return {
            "cause": chain.cause,
            "chain_id": str(chain),
            "step": step,
            "read_to": ReadTo(**ends),
            "decided_at": self.now,
        }


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
        RedeliveryRequested: lambda: history.run(chain, 1, plan()),
    }
    if model is PushReceived:
        return push(number, (plan(),), received_at=history.now)
    if model is SkipRequested:
        return SkipRequested(topic="pushes", offset=0, by="admin", requested_at=history.now, reason="no")
    if model is Fence:
        return Fence(owner="w", fenced_at=history.now)
    written[model]()
    return decode(history.cluster.log(Place(topic_of(model), history.place(chain.push_id)))[-1]).event


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
            history.fence(history.place(chain.push_id))
        case 10:
            old = max(0, history.fences.get(history.place(chain.push_id), 0) - 1)
            history.delivered(chain, step, fence=old)
        case 11:
            if random.random() < 0.5:
                history.cancel(chain)
            else:
                run = history.run(chain, step, plan(chain.n, steps, f"p{chain.n}"))
                chains.append((run, steps))
        case 12:
            history.sealed(chain, step, history.closing(chain, step))
        case 13:
            intent = history.failed(chain, step, last=True)
            if random.random() < 0.5:
                history.verdict(chain, step, random.choice(list(Verdict)))
            history.sealed(chain, step, intent)
            history.verdict(chain, step, random.choice(list(Verdict)))
