"""Writes into a log what the services would, one event a call."""

from abc import ABC, abstractmethod
from typing import Any, TypeVar

from hookline.chain.events import Event, HaltReason, Plan, PushReceived, ReadTo, Verdict
from hookline.chain.ids import ChainId, partition_of
from hookline.log.records import Place, Topic
from hookline.testing.manual_clock import ManualClock
from tests.kit import events
from tests.kit.events import START, AnyId, parsed

Id = TypeVar("Id", ChainId, str)


class LogWriter(ABC):
    """One hand for all services. What it writes says `now`; its decisions carry the token of their partition's last fence,
    and had read everything. Each call gives the record's offset, but for what starts a chain: that gives the chain's id.
    Any field of an event can be said otherwise.
    """

    def __init__(self, partitions: int = 1, clock: ManualClock | None = None) -> None:
        self.partitions = partitions
        self.clock = clock or ManualClock(START)
        self.fences: dict[int, int] = {}
        """By partition."""
        self.plans: dict[str, Plan] = {}
        """By chain id, in the order in which the chains began."""
        self._intents: dict[tuple[str, int], int] = {}
        """The first of each chain's step."""

    @abstractmethod
    def write(self, event: Event, partition: int, *, fence: int | None = None, event_id: str | None = None) -> int:
        """Append it, past all faults; its offset."""

    @abstractmethod
    def end_of(self, place: Place) -> int:
        """The offset after its last record."""

    @property
    def now(self) -> int:
        """Unix ms."""
        return self.clock.now_ms()

    @now.setter
    def now(self, now: int) -> None:
        self.clock.advance((now - self.clock.now_ms()) / 1000)

    def partition_of(self, push_id: str) -> int:
        return partition_of(push_id, self.partitions)

    def read_to_of(self, partition: int) -> ReadTo:
        """What a decision says that it had read."""
        topics = (Topic.PUSHES, Topic.CALLBACKS, Topic.COMMANDS)
        return ReadTo(**{topic: self.end_of(Place(topic, partition)) for topic in topics})

    # ---- what starts chains

    def start(self, event: PushReceived, **how: Any) -> list[ChainId]:
        """The chains that this push starts, if it is no repeat. how: as `write` takes it."""
        offset = self.write(event, self.partition_of(event.push_id), **how)
        chains = [ChainId(event.push_id, offset, plan.n, 0) for plan in event.plans]
        self.plans |= {str(chain): plan for chain, plan in zip(chains, event.plans, strict=True)}
        return chains

    def rerun(
        self, chain: Id, plan: Plan | None = None, from_step: int = 1, *, event_id: str | None = None, **fields: Any
    ) -> Id:
        """Run a chain again, with its own plan unless said otherwise; the run's id."""
        plan = plan or self.plans[str(chain)]
        event = events.rerun(chain, plan, from_step, at=self.now, **fields)
        run = parsed(chain)._replace(run=self.write(event, self._home(chain), event_id=event_id) + 1)
        self.plans[str(run)] = plan
        return run if isinstance(chain, ChainId) else str(run)

    # ---- what users and receivers cause

    def verdict(self, chain: AnyId, step: int = 1, state: Verdict = Verdict.SUCCESS, **fields: Any) -> int:
        return self._of(chain, events.verdict(chain, step, state, at=self.now, **fields))

    def cancel(self, chain: AnyId, **fields: Any) -> int:
        return self._of(chain, events.cancel(chain, at=self.now, **fields))

    def skip(self, topic: str, offset: int, partition: int = 0, **fields: Any) -> int:
        """Let every reader pass over that record."""
        return self.write(events.skip(topic, offset, at=self.now, **fields), partition)

    # ---- what a dispatcher decides

    def fence(self, owner: str = "w", *, of: AnyId | int = 0) -> int:
        """A new worker's: what is decided from now on carries its token. of: its partition, or a chain of it."""
        partition = of if isinstance(of, int) else self._home(of)
        self.fences[partition] = self.write(events.fence(owner, at=self.now), partition)
        return self.fences[partition]

    def delivered(
        self, chain: AnyId, step: int = 1, attempt: int = 1, *, fence: int | None = None, **fields: Any
    ) -> int:
        """Answered 200; its verdict is awaited as long as the plan has it."""
        if plan := self.plans.get(str(chain)):
            fields.setdefault("expires_at", fields.get("started_at", self.now) + plan.callback_deadline_s * 1000)
        return self.decide(chain, events.delivered(chain, step, attempt, **self._known(chain, fields)), fence)

    def failed(
        self,
        chain: AnyId,
        step: int = 1,
        attempt: int = 1,
        *,
        last: bool | None = None,
        fence: int | None = None,
        **fields: Any,
    ) -> int:
        """By status 500. last: is it tried no more, so that this is an intent? None: as the plan has it."""
        plan = self.plans.get(str(chain))
        delays = plan.retry_delays_s[attempt - 1 :] if plan else ()
        spent = not delays if last is None else last
        fields.setdefault("next_attempt_at", None if spent else self.now + (delays or (5,))[0] * 1000)
        offset = self.decide(chain, events.failed(chain, step, attempt, **self._known(chain, fields)), fence)
        if fields["next_attempt_at"] is None:
            self._intents.setdefault((str(chain), step), offset)
        return offset

    def closing(self, chain: AnyId, step: int = 1, *, fence: int | None = None, **fields: Any) -> int:
        offset = self.decide(chain, events.closing(chain, step, **self._known(chain, fields)), fence)
        self._intents.setdefault((str(chain), step), offset)
        return offset

    def sealed(self, chain: AnyId, step: int = 1, intent: int | None = None, **fields: Any) -> int:
        """intent: its offset, whatever lies there; None: the step's first, or 0 where it has none."""
        intent = self._intents.get((str(chain), step), 0) if intent is None else intent
        return self._of(chain, events.sealed(chain, step, intent, at=self.now, **fields))

    def halted(self, chain: AnyId, step: int, reason: HaltReason, *, fence: int | None = None, **fields: Any) -> int:
        return self.decide(chain, events.halted(chain, step, reason, **self._known(chain, fields)), fence)

    def completed(self, chain: AnyId, step: int = 1, *, fence: int | None = None, **fields: Any) -> int:
        return self.decide(chain, events.completed(chain, step, **self._known(chain, fields)), fence)

    def decide(self, chain: AnyId, event: Event, fence: int | None = None) -> int:
        """Under that fence; None: the partition's last, which is made where there is none."""
        partition = self._home(chain)
        if fence is None:
            fence = self.fences[partition] if partition in self.fences else self.fence(of=partition)
        return self.write(event, partition, fence=fence)

    def _known(self, chain: AnyId, fields: dict[str, Any]) -> dict[str, Any]:
        """What every decision says."""
        return {"at": self.now, "read_to": self.read_to_of(self._home(chain))} | fields

    def _of(self, chain: AnyId, event: Event) -> int:
        return self.write(event, self._home(chain))

    def _home(self, chain: AnyId) -> int:
        return self.partition_of(parsed(chain).push_id)


class OnePartition(LogWriter):
    """One whose every record lies in one partition, whatever it is about."""

    def __init__(self, partition: int = 0, clock: ManualClock | None = None) -> None:
        super().__init__(clock=clock)
        self._partition = partition

    @property
    def token(self) -> int | None:
        """Of the last fence."""
        return self.fences.get(self._partition)

    @token.setter
    def token(self, token: int) -> None:
        self.fences[self._partition] = token

    @property
    def read_to(self) -> ReadTo:
        """The positions of a worker that has read everything."""
        return self.read_to_of(self._partition)

    def partition_of(self, push_id: str) -> int:
        return self._partition

    def fence(self, owner: str = "w", *, of: AnyId | int | None = None) -> int:
        return super().fence(owner, of=self._partition)
