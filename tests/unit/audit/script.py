"""Writes a log as a well-behaved dispatcher would, one event a call; any field can be said otherwise."""

from typing import Any

from hookline.chain.events import (
    AttemptError,
    CallbackReceived,
    CancelRequested,
    ChainCompleted,
    ChainHalted,
    Fence,
    HaltReason,
    HookAttemptFailed,
    HookDelivered,
    Plan,
    ReadTo,
    RedeliveryRequested,
    SkipRequested,
    StepClosing,
    StepSealed,
    Verdict,
)
from hookline.chain.ids import ChainId
from hookline.log.records import Place, RawRecord, Topic
from tests.unit.audit.sources import TAKEN_AT, Records
from tests.unit.chain.logs import START, plan, push

SECOND = 1_000


class Script:
    """One partition, the only one of its log. Decisions carry the token of the last `fence`, and had read everything."""

    def __init__(self, now: int = START) -> None:
        self.records = Records({}, 1)
        self.now = now
        self.token = -1
        self.fence()
        self.plans: dict[str, Plan] = {}
        self._names = 0
        self._intents: dict[tuple[str, int], int] = {}

    def wait(self, seconds: float) -> "Script":
        self.now += round(seconds * SECOND)
        return self

    def chain_of(self, n: int) -> str:
        """The id of the n-th chain."""
        return list(self.plans)[n]

    def end(self, topic: Topic) -> int:
        records = self.records.of(topic)
        return records[-1].offset + 1 if records else 0

    @property
    def read_to(self) -> ReadTo:
        return ReadTo(
            pushes=self.end(Topic.PUSHES), callbacks=self.end(Topic.CALLBACKS), commands=self.end(Topic.COMMANDS)
        )

    # ---- each returns the offset, but for what starts a chain

    def fence(self, owner: str = "w") -> int:
        self.token = self.records.append(Fence(owner=owner, fenced_at=self.now))
        return self.token

    def push(self, steps: int = 1, *, name: str = "", **of_plan: Any) -> str:
        """The chain's id. `name`: pushes of one name are one push."""
        self._names += not name
        made = plan(steps, **of_plan)
        event = push(made, name=name or f"p{self._names}", received_at=self.now)
        chain = str(ChainId(event.push_id, self.records.append(event), 0, 0))
        self.plans[chain] = made
        return chain

    def rerun(self, chain: str, from_step: int = 1) -> str:
        """The run's chain id."""
        push_id, offset, n, _ = ChainId.parse(chain)
        made = self.plans[chain]
        event = RedeliveryRequested(
            cause=offset, push_id=push_id, repository="acme/app", by="ada", requested_at=self.now, from_step=from_step,
            plan=made, payload={"again": True},
        )  # fmt: skip
        run = str(ChainId(push_id, offset, n, self.records.append(event) + 1))
        self.plans[run] = made
        return run

    def cancel(self, chain: str) -> int:
        event = CancelRequested(cause=ChainId.parse(chain).cause, chain_id=chain, by="ada", requested_at=self.now)
        return self.records.append(event)

    def garbage(self, topic: Topic, ce_type: bytes = b"hookline.Broken") -> int:
        """A record that nobody can read."""
        records, offset = self.records.of(topic), self.end(topic)
        records.append(RawRecord(Place(topic, 0), offset, TAKEN_AT, None, b"\xff", {"ce_type": ce_type}))
        return offset

    def skip(self, topic: Topic, offset: int) -> int:
        """Let every reader pass over that record."""
        event = {"topic": topic.value, "offset": offset, "by": "ada", "requested_at": self.now, "reason": "cut off"}
        return self.records.append(SkipRequested.model_validate(event))

    def callback(self, chain: str, step: int = 1, state: Verdict = Verdict.SUCCESS, **fields: Any) -> int:
        said = {
            "cause": ChainId.parse(chain).cause, "chain_id": chain, "step": step, "state": state,
            "received_at": self.now, "remote_ip": "192.0.2.1",
        }  # fmt: skip
        return self.records.append(CallbackReceived(**(said | fields)))

    def deliver(self, chain: str, step: int = 1, attempt: int = 1, **fields: Any) -> int:
        started_at = fields.get("started_at", self.now)
        expires_at = started_at + self.plans[chain].callback_deadline_s * SECOND
        said = {"attempt": attempt, "started_at": started_at, "took_ms": 5, "status": 200, "expires_at": expires_at}
        return self._decide(HookDelivered, chain, step, said | fields)

    def fail(self, chain: str, step: int = 1, attempt: int = 1, **fields: Any) -> int:
        """By status 500; again as the plan has it."""
        delays = self.plans[chain].retry_delays_s
        again = self.now + delays[attempt - 1] * SECOND if attempt <= len(delays) else None
        said = {
            "attempt": attempt, "started_at": self.now, "took_ms": 5, "error": AttemptError.STATUS, "status": 500,
            "next_attempt_at": again,
        }  # fmt: skip
        offset = self._decide(HookAttemptFailed, chain, step, said := said | fields)
        if said["next_attempt_at"] is None:
            self._intents.setdefault((chain, step), offset)
        return offset

    def close(self, chain: str, step: int = 1, **fields: Any) -> int:
        offset = self._decide(StepClosing, chain, step, fields)
        self._intents.setdefault((chain, step), offset)
        return offset

    def seal(self, chain: str, step: int = 1, **fields: Any) -> int:
        """For the step's first intent; 0 where it has none."""
        said = {
            "cause": ChainId.parse(chain).cause, "chain_id": chain, "step": step,
            "intent": self._intents.get((chain, step), 0), "sealed_at": self.now,
        }  # fmt: skip
        return self.records.append(StepSealed(**(said | fields)))

    def halt(self, chain: str, reason: HaltReason, step: int = 1, **fields: Any) -> int:
        return self._decide(ChainHalted, chain, step, {"reason": reason, **fields})

    def complete(self, chain: str, step: int = 1, **fields: Any) -> int:
        return self._decide(ChainCompleted, chain, step, fields)

    def _decide(self, model: Any, chain: str, step: int, fields: dict[str, Any]) -> int:
        token = fields.pop("token", self.token)
        said = {
            "cause": ChainId.parse(chain).cause, "chain_id": chain, "step": step, "read_to": self.read_to,
            "decided_at": self.now,
        }  # fmt: skip
        return self.records.append(model(**(said | fields)), token)
