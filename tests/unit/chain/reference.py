"""A naive reference of the fold and of what is due, straight from the design's text (sections 1, 3, 4). Shares no code with it.

It sees whole logs at once: lists of (event, fence) by offset. No memory, no forgetting, no order of reading.
"""

from typing import Any, TypeAlias

Log: TypeAlias = list[tuple[Any, int | None]]
Seen: TypeAlias = dict[str, dict[str, Any]]


def reference(pushes: Log, callbacks: Log, commands: Log, deliveries: Log, times: list[int], now: int) -> Seen:
    """times: the brokers', of `pushes`. chain id -> {"end", "cancelled", "steps", "due"} as the whole logs say it."""
    chains: Seen = {}
    for _event, plan, first_step, chain_id in _causes(pushes, commands, times):
        steps = [_step(chain_id, number, callbacks, deliveries) for number in range(1, len(plan.hooks) + 1)]
        cancelled = any(kind(e) == "CancelRequested" and e.chain_id == chain_id for e, _ in commands)
        end = _end(chain_id, deliveries)
        due = None if end else _due(plan, first_step, steps, cancelled, now)
        chains[chain_id] = {"end": end, "cancelled": cancelled, "steps": steps, "due": due}
    return chains


def kind(event: Any) -> str:
    return type(event).__name__


def _causes(pushes: Log, commands: Log, times: list[int]) -> list[tuple[Any, Any, int, str]]:
    """Every PushReceived that is no repeat, once for each plan, and every RedeliveryRequested."""
    out, began, clock = [], {}, 0
    for at, (event, _) in enumerate(pushes):
        if clock - times[at] >= 3_600_000:
            began, clock = {}, 0
        clock = max(clock, times[at])
        if clock >= began.get(event.push_id, 0):
            began[event.push_id] = clock + event.dedupe_window_s * 1000
            out += [(event, plan, 1, f"{event.push_id}-{at}-{plan.n}-0") for plan in event.plans]
    for at, (event, _) in enumerate(commands):
        if kind(event) == "RedeliveryRequested":
            chain_id = f"{event.push_id}-{event.cause}-{event.plan.n}-{at + 1}"
            out.append((event, event.plan, event.from_step, chain_id))
    return out


def _decisions(chain_id: str, deliveries: Log) -> list[tuple[int, Any]]:
    """The chain's decisions whose token is that of the latest fence before them."""
    out, token = [], None
    for at, (event, fence) in enumerate(deliveries):
        if kind(event) == "Fence":
            token = at
        elif fence == token and event.chain_id == chain_id:
            out.append((at, event))
    return out


def _end(chain_id: str, deliveries: Log) -> tuple[str, int] | None:
    for _, event in _decisions(chain_id, deliveries):
        if kind(event) in ("ChainCompleted", "ChainHalted"):
            return (str(event.reason) if kind(event) == "ChainHalted" else "completed", event.step)
    return None


def _step(chain_id: str, number: int, callbacks: Log, deliveries: Log) -> dict[str, Any]:
    decisions = _decisions(chain_id, deliveries)
    mine = [e for _, e in decisions if e.step == number]
    failed = [e for e in mine if kind(e) == "HookAttemptFailed"]
    last = next((e for e in failed if e.attempt == max(f.attempt for f in failed)), None)
    intents = [
        (at, e)
        for at, e in decisions
        if e.step == number and (kind(e) == "StepClosing" or (e in failed and e.next_attempt_at is None))
    ]
    verdict, sealed = _heard(chain_id, number, callbacks, intents[0][0] if intents else None)
    return {
        "verdict": verdict,
        "expires_at": max((e.expires_at for e in mine if kind(e) == "HookDelivered"), default=None),
        "failed": last.attempt if last else 0,
        "retry_at": last.next_attempt_at if last else None,
        "closing": (_reason(intents[0][1]), intents[0][0]) if intents else None,
        "sealed": sealed,
    }


def _heard(chain_id: str, number: int, callbacks: Log, intent: int | None) -> tuple[str | None, int | None]:
    """What comes first in `callbacks`: the step's verdict, or the offset of a StepSealed that names its first intent."""
    for at, (event, _) in enumerate(callbacks):
        if (event.chain_id, event.step) == (chain_id, number):
            if kind(event) == "CallbackReceived":
                return str(event.state), None
            if intent is not None and event.intent == intent:
                return None, at
    return None, None


def _reason(intent: Any) -> str:
    if kind(intent) == "StepClosing":
        return "callback_timeout"
    if str(intent.error) == "blocked":
        return "blocked_address"
    return "gone" if intent.status == 410 else "delivery_failed"


def _due(plan: Any, first_step: int, steps: list[dict[str, Any]], cancelled: bool, now: int) -> tuple[Any, ...]:
    for number in range(first_step, len(steps) + 1):
        step = steps[number - 1]
        needs_no_verdict = number == len(steps) and not plan.expect_final_callback
        if step["verdict"] == "success":
            continue
        if step["verdict"] is not None:
            return ("complete", number) if needs_no_verdict else ("halt", number, "callback_" + step["verdict"])
        if cancelled:
            return ("halt", number, "cancelled")
        if step["expires_at"] is not None and needs_no_verdict:
            return ("complete", number)
        if step["closing"]:
            reason, intent = step["closing"]
            return ("seal", number, intent) if step["sealed"] is None else ("halt", number, reason)
        if step["expires_at"] is not None:
            return ("close", number) if now >= step["expires_at"] else ("wait", number, step["expires_at"])
        if step["retry_at"] is not None and step["retry_at"] > now:
            return ("wait", number, step["retry_at"])
        return ("post", number, step["failed"] + 1)
    return ("complete", len(steps))
