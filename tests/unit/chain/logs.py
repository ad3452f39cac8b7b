"""The four logs of one partition as lists, and short words to write events into them."""

from collections.abc import Iterator
from uuid import UUID

from hookline.chain.decide import Action, decide
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
    StepClosing,
    StepSealed,
    Verdict,
)
from hookline.chain.fold import PartitionFold
from hookline.chain.ids import ChainId, push_id
from hookline.chain.state import Chain
from hookline.log.codec import encode
from hookline.log.reader import PartitionReader, Read
from hookline.log.records import LOGS, Positions, RawRecord, Topic

PARTITION = 3
START = 1_700_000_000_000
"""Unix ms: when every history here begins."""
LOG_ID = UUID("6f1c0f4e-6f0e-4a8e-9d0c-1f4f5f3b2a10")


def plan(
    hooks: int = 1,
    *,
    n: int = 0,
    expect_final_callback: bool = True,
    deadline_s: int = 60,
    delays_s: tuple[int, ...] = (5, 300),
) -> Plan:
    """A plan with that many hooks, named by their step."""
    return Plan(
        n=n,
        pipeline_id=f"pipeline-{n}",
        name=f"ci {n}",
        slug=f"ci-{n}",
        expect_final_callback=expect_final_callback,
        callback_deadline_s=deadline_s,
        timeout_s=15,
        retry_delays_s=delays_s,
        hooks=tuple(
            HookPlan(id=f"hook-{step}", version=1, key="k1", name=str(step), url=f"http://127.0.0.1/{step}")
            for step in range(1, hooks + 1)
        ),
    )


def push(*plans: Plan, name: str = "a", received_at: int = START, window_s: int = 60) -> PushReceived:
    """A push; pushes of the same name have the same push_id."""
    return PushReceived(
        push_id=push_id(LOG_ID, "test", name, b""),
        source="test",
        producer_id=name,
        received_at=received_at,
        dedupe_window_s=window_s,
        pushed_at=received_at,
        repository="acme/app",
        tag="1",
        payload={"push_data": {"tag": "1"}, "repository": {"repo_name": "acme/app"}},
        raw="{}",
        settings_offset=0,
        plans=plans,
    )


class Logs:
    """Pushes, callbacks, commands and deliveries of one partition. Decisions carry the token of the last `fence()`."""

    def __init__(self) -> None:
        self.records: dict[Topic, list[RawRecord]] = {topic: [] for topic in LOGS}
        self.events: dict[Topic, list[tuple[Event, int | None]]] = {topic: [] for topic in LOGS}
        """The same, not encoded: each event with its fence."""
        self.token: int | None = None
        self.now = START
        """Unix ms, by the brokers' clocks."""

    @property
    def ends(self) -> Positions:
        return Positions(*(len(self.records[topic]) for topic in LOGS))

    @property
    def read_to(self) -> ReadTo:
        """Positions of a worker that has read everything."""
        return ReadTo(**{t: self.ends.of(t) for t in (Topic.PUSHES, Topic.CALLBACKS, Topic.COMMANDS)})

    def append(self, event: Event, fence: int | None = None, *, at: int | None = None) -> int:
        """The event's offset. at: its broker's time, where that is not `now`."""
        draft = encode(event, PARTITION, now_ms=START, fence=fence)
        records = self.records[draft.place.topic]
        records.append(
            RawRecord(draft.place, len(records), self.now if at is None else at, draft.key, draft.value, draft.headers)
        )
        self.events[draft.place.topic].append((event, fence))
        return len(records) - 1

    # ---- what services write; `chain` is a chain id, the offset comes back

    def push(self, *plans: Plan, name: str = "a", at: int | None = None, window_s: int = 60) -> list[str]:
        """The ids of the chains that this push starts, if it is no repeat. Its producer's clock stands still."""
        event = push(*plans, name=name, window_s=window_s)
        offset = self.append(event, at=at)
        return [str(ChainId(event.push_id, offset, p.n, 0)) for p in plans]

    def callback(self, chain: str, step: int, state: Verdict = Verdict.SUCCESS) -> int:
        event = CallbackReceived(
            cause=_cause(chain), chain_id=chain, step=step, state=state, received_at=START, remote_ip="127.0.0.1"
        )
        return self.append(event)

    def cancel(self, chain: str) -> int:
        return self.append(CancelRequested(cause=_cause(chain), chain_id=chain, by="admin", requested_at=START))

    def redeliver(self, chain: str, plan: Plan, from_step: int = 1) -> str:
        """The id of the run that this starts."""
        push_id, offset, n, _ = ChainId.parse(chain)
        event = RedeliveryRequested(
            cause=offset,
            push_id=push_id,
            repository="acme/app",
            by="admin",
            requested_at=START,
            from_step=from_step,
            plan=plan,
            payload={"again": True},
        )
        return str(ChainId(push_id, offset, n, self.append(event) + 1))

    def fence(self, owner: str = "w0") -> int:
        self.token = self.append(Fence(owner=owner, fenced_at=START))
        return self.token

    def delivered(self, chain: str, step: int, *, attempt: int = 1, expires_at: int = START + 60_000) -> int:
        event = HookDelivered(
            cause=_cause(chain),
            chain_id=chain,
            step=step,
            attempt=attempt,
            started_at=START,
            took_ms=1,
            status=200,
            expires_at=expires_at,
            read_to=self.read_to,
            decided_at=START,
        )
        return self.append(event, self.token)

    def failed(
        self,
        chain: str,
        step: int,
        *,
        attempt: int = 1,
        again_at: int | None = None,
        error: AttemptError = AttemptError.CONNECT,
        status: int | None = None,
        read_to: ReadTo | None = None,
    ) -> int:
        event = HookAttemptFailed(
            cause=_cause(chain),
            chain_id=chain,
            step=step,
            attempt=attempt,
            started_at=START,
            took_ms=1,
            error=error,
            status=status,
            next_attempt_at=again_at,
            read_to=read_to or self.read_to,
            decided_at=START,
        )
        return self.append(event, self.token)

    def closing(self, chain: str, step: int, *, read_to: ReadTo | None = None) -> int:
        event = StepClosing(
            cause=_cause(chain), chain_id=chain, step=step, read_to=read_to or self.read_to, decided_at=START
        )
        return self.append(event, self.token)

    def sealed(self, chain: str, step: int, intent: int) -> int:
        """A StepSealed for the intent at that offset of `deliveries`."""
        return self.append(StepSealed(cause=_cause(chain), chain_id=chain, step=step, intent=intent, sealed_at=START))

    def halted(self, chain: str, step: int, reason: HaltReason) -> int:
        event = ChainHalted(
            cause=_cause(chain), chain_id=chain, step=step, reason=reason, read_to=self.read_to, decided_at=START
        )
        return self.append(event, self.token)

    def completed(self, chain: str, step: int) -> int:
        event = ChainCompleted(cause=_cause(chain), chain_id=chain, step=step, read_to=self.read_to, decided_at=START)
        return self.append(event, self.token)

    # ---- reading

    def times_of(self, topic: str) -> list[int]:
        """The brokers'."""
        return [raw.timestamp for raw in self.records[Topic(topic)]]

    def events_of(self, topic: str) -> list[Event]:
        return [event for event, _ in self.events[Topic(topic)]]

    def read(self) -> Iterator[Read]:
        """Everything, in the order of the one reader."""
        reader = PartitionReader(PARTITION, Positions())
        for topic in LOGS:
            reader.offer(topic, self.records[topic])
        return reader.read()

    def fold(self, *, keep_ended: bool = False) -> PartitionFold:
        return fold_reads(self.read(), PartitionFold(keep_ended=keep_ended))

    def chain(self, chain: str) -> Chain:
        """That chain, ended or not."""
        return self.fold(keep_ended=True).chains[chain]


def due(logs: Logs, chain: str, now: int = START) -> Action:
    """What an open chain needs at that time."""
    return decide(logs.fold().chains[chain], now)


def fold_reads(reads: Iterator[Read], fold: PartitionFold) -> PartitionFold:
    """Fold what was delivered and is valid."""
    for read in reads:
        if read.valid:
            fold.fold(read.record.event, read.record.offset, read.record.timestamp)
    return fold


def _cause(chain: str) -> int:
    return ChainId.parse(chain).cause
