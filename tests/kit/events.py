"""Every event of a chain as the services write it, in one call each; any field can be said otherwise."""

from typing import TypeAlias, TypeVar
from uuid import UUID

from pydantic import BaseModel

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
from hookline.chain.ids import ChainId, push_id

START = 1_700_000_000_000
"""Unix ms: when every made-up history begins."""
LOG_ID = UUID("6f1c0f4e-6f0e-4a8e-9d0c-1f4f5f3b2a10")
NOTHING_READ = ReadTo(pushes=0, callbacks=0, commands=0)
AnyId: TypeAlias = ChainId | str
"""A chain's id, parsed or not."""
M = TypeVar("M", bound=BaseModel)


def plan(
    hooks: int | tuple[HookPlan, ...] = 1,
    *,
    n: int = 0,
    expect_final_callback: bool = True,
    deadline_s: int = 60,
    delays_s: tuple[int, ...] = (5, 300),
    **fields: object,
) -> Plan:
    """A plan with those hooks, or with that many, named by their step."""
    made = {
        "n": n, "pipeline_id": f"pipeline-{n}", "name": f"ci {n}", "slug": f"ci-{n}", "timeout_s": 15,
        "expect_final_callback": expect_final_callback, "callback_deadline_s": deadline_s, "retry_delays_s": delays_s,
        "hooks": tuple(hook(step) for step in range(1, hooks + 1)) if isinstance(hooks, int) else hooks,
    }  # fmt: skip
    return _made(Plan, made | fields)


def hook(step: int, url: str | None = None) -> HookPlan:
    return HookPlan(id=f"hook-{step}", version=1, key="k1", name=str(step), url=url or f"http://127.0.0.1/{step}")


def push(*plans: Plan, name: str = "a", received_at: int = START, window_s: int = 60, **fields: object) -> PushReceived:
    """A push; pushes of the same name have the same push_id."""
    made = {
        "push_id": push_id(LOG_ID, "test", name, b""), "source": "test", "producer_id": name, "received_at": received_at,
        "dedupe_window_s": window_s, "pushed_at": received_at, "repository": "acme/app", "tag": "1",
        "payload": {"push_data": {"tag": "1"}, "repository": {"repo_name": "acme/app"}}, "raw": "{}", "settings_offset": 0,
        "plans": plans,
    }  # fmt: skip
    return _made(PushReceived, made | fields)


# ---- what users and receivers cause


def verdict(
    chain: AnyId, step: int = 1, state: Verdict = Verdict.SUCCESS, *, at: int = START, **fields: object
) -> CallbackReceived:
    said = {"step": step, "state": state, "received_at": at, "remote_ip": "192.0.2.1"}
    return _of(CallbackReceived, chain, said | fields)


def cancel(chain: AnyId, *, at: int = START, **fields: object) -> CancelRequested:
    return _of(CancelRequested, chain, {"by": "admin", "requested_at": at} | fields)


def rerun(chain: AnyId, plan: Plan, from_step: int = 1, *, at: int = START, **fields: object) -> RedeliveryRequested:
    """Run that chain's push again; a run counts as its push, too."""
    push_id, offset, _, _ = parsed(chain)
    said = {
        "cause": offset, "push_id": push_id, "repository": "acme/app", "by": "admin", "requested_at": at,
        "from_step": from_step, "plan": plan, "payload": {"again": True},
    }  # fmt: skip
    return _made(RedeliveryRequested, said | fields)


def skip(topic: str, offset: int, *, at: int = START, **fields: object) -> SkipRequested:
    said = {"topic": str(topic), "offset": offset, "by": "ada", "requested_at": at, "reason": "cut off"}
    return _made(SkipRequested, said | fields)


# ---- what a dispatcher decides


def fence(owner: str = "w", *, at: int = START) -> Fence:
    return Fence(owner=owner, fenced_at=at)


def delivered(chain: AnyId, step: int = 1, attempt: int = 1, *, at: int = START, **fields: object) -> HookDelivered:
    said = {"attempt": attempt, "started_at": at, "took_ms": 5, "status": 200, "expires_at": at + 60_000}
    return _of(HookDelivered, chain, _decided(step, at) | said | fields)


def failed(chain: AnyId, step: int = 1, attempt: int = 1, *, at: int = START, **fields: object) -> HookAttemptFailed:
    """By status 500, and for the last time."""
    said = {"attempt": attempt, "started_at": at, "took_ms": 5, "error": AttemptError.STATUS, "status": 500}
    return _of(HookAttemptFailed, chain, _decided(step, at) | said | fields)


def closing(chain: AnyId, step: int = 1, *, at: int = START, **fields: object) -> StepClosing:
    return _of(StepClosing, chain, _decided(step, at) | fields)


def sealed(chain: AnyId, step: int, intent: int, *, at: int = START, **fields: object) -> StepSealed:
    """intent: the offset in `deliveries` that it names, whatever lies there."""
    return _of(StepSealed, chain, {"step": step, "intent": intent, "sealed_at": at} | fields)


def halted(chain: AnyId, step: int, reason: HaltReason, *, at: int = START, **fields: object) -> ChainHalted:
    return _of(ChainHalted, chain, _decided(step, at) | {"reason": reason} | fields)


def completed(chain: AnyId, step: int = 1, *, at: int = START, **fields: object) -> ChainCompleted:
    return _of(ChainCompleted, chain, _decided(step, at) | fields)


def parsed(chain: AnyId) -> ChainId:
    return chain if isinstance(chain, ChainId) else ChainId.parse(chain)


def _decided(step: int, at: int) -> dict[str, object]:
    return {"step": step, "read_to": NOTHING_READ, "decided_at": at}


def _of(model: type[M], chain: AnyId, said: dict[str, object]) -> M:
    return _made(model, {"cause": parsed(chain).cause, "chain_id": str(chain)} | said)


def _made(model: type[M], said: dict[str, object]) -> M:
    """The models ignore what they do not know, as readers must; a test that says it is mistaken."""
    assert said.keys() <= model.model_fields.keys(), said.keys() - model.model_fields.keys()
    return model.model_validate(said)
