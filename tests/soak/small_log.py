"""A small log and ledgers that agree with it: two chains, one completed after two steps, one timed out at its first."""

from typing import Any

from tests.soak.ledger import Called, Ledgers, Pushed, Seen
from tests.soak.naive import Entry, Log

__all__ = ["ONE", "TWO", "decision", "rerun", "seal", "small_ledgers", "small_log"]

PUSHES = ("11111111-1111-5111-8111-111111111111", "22222222-2222-5222-8222-222222222222")
ONE, TWO = (f"{push}-{offset}-1-0" for offset, push in enumerate(PUSHES))


def small_log() -> Log:
    return [
        _push(0, "v1", hooks=2),
        _push(1, "v2", hooks=1),
        _push(2, "v1", hooks=2),  # the first one, repeated within its window
        _callback(0, ONE, 1, "success"),
        _callback(1, ONE, 2, "success"),
        _callback(2, ONE, 2, "failure"),
        seal(3, TWO, 1, intent=7),
        _callback(4, TWO, 1, "success"),
        Entry("deliveries", 0, 0, 100, "Fence", {"owner": "a"}),
        decision(1, "HookAttemptFailed", ONE, 1, error="status", next_attempt_at=2_000),
        decision(2, "HookDelivered", ONE, 1, expires_at=9_000),
        decision(3, "HookDelivered", ONE, 2, expires_at=9_000),
        decision(4, "ChainCompleted", ONE, 2),
        decision(5, "ChainHalted", TWO, 1, valid=False, reason="gone"),
        decision(6, "HookDelivered", TWO, 1, expires_at=9_000),
        decision(7, "StepClosing", TWO, 1),
        decision(8, "ChainHalted", TWO, 1, reason="callback_timeout", read_to={"callbacks": 4}),
    ]


def small_ledgers() -> Ledgers:
    return Ledgers(
        pushed=[
            Pushed("dockerhub", "ns/app", "v1", "body of v1", 1_000, None),
            Pushed("dockerhub", "ns/app", "v1", "body of v1", 1_500, 202),
            Pushed("dockerhub", "ns/app", "v2", "body of v2", 1_500, 202),
        ],
        seen=[Seen(f"{ONE}-1", 1_000), Seen(f"{ONE}-1", 2_000), Seen(f"{ONE}-2", 3_000), Seen(f"{TWO}-1", 1_500)],
        called=[
            Called(ONE, 1, "success", 2_100, None),
            Called(ONE, 1, "success", 2_200, 200),
            Called(ONE, 2, "success", 3_100, 200),
            Called(ONE, 2, "failure", 3_200, 400),
            Called(TWO, 1, "success", 20_000, 400),
        ],
    )


def decision(offset: int, kind: str, chain_id: str, step: int, *, valid: bool = True, **more: Any) -> Entry:
    event = {"chain_id": chain_id, "step": step, "read_to": {"callbacks": 3}, **more}
    return Entry("deliveries", 0, offset, 1_000 + offset, kind, event, valid)


def seal(offset: int, chain_id: str, step: int, *, intent: int) -> Entry:
    event = {"chain_id": chain_id, "step": step, "intent": intent}
    return Entry("callbacks", 0, offset, 2_000 + offset, "StepSealed", event)


def rerun(offset: int) -> Entry:
    """The first push's chain, run again from its second step."""
    event = {"push_id": PUSHES[0], "cause": 0, "from_step": 2, "plan": {"n": 1, "hooks": [{}, {}]}}
    return Entry("commands", 0, offset, 1_000, "RedeliveryRequested", event)


def _push(offset: int, tag: str, hooks: int) -> Entry:
    event = {
        "push_id": PUSHES[int(tag[1:]) - 1],
        "source": "dockerhub",
        "raw": f"body of {tag}",
        "received_at": 1_000 + offset,
        "dedupe_window_s": 3_600,
        "plans": [{"n": 1, "hooks": [{}] * hooks}],
    }
    return Entry("pushes", 0, offset, 1_000 + offset, "PushReceived", event)


def _callback(offset: int, chain_id: str, step: int, state: str) -> Entry:
    event = {"chain_id": chain_id, "step": step, "state": state}
    return Entry("callbacks", 0, offset, 2_000 + offset, "CallbackReceived", event)
