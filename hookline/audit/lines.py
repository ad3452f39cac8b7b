"""An entry of a story as one line: in words for people, in fields for machines. URLs of hooks and callback tokens are masked (I11)."""

from pydantic import JsonValue

from hookline.audit.chain_standing import standing
from hookline.audit.story import Entry
from hookline.chain.events import (
    CallbackReceived,
    CancelRequested,
    ChainHalted,
    Event,
    Fence,
    HookAttemptFailed,
    HookDelivered,
    Plan,
    PushReceived,
    RedeliveryRequested,
    SkipRequested,
    StepClosing,
    StepSealed,
    written_at,
)
from hookline.times import show_time
from hookline.web.masking import mask_json, mask_tokens, mask_url

__all__ = ["as_fields", "hooks_of", "what"]

OF_A_PUSH = {
    "source",
    "producer_id",
    "registry",
    "repository",
    "tag",
    "digest",
    "artifact_type",
    "pusher",
    "dedupe_window_s",
    "same_digest",
}
"""Of a PushReceived, what is shown: not its body, nor the headers and the callback URL that it came with."""
OF_A_RUN = {"by", "from_step"}
SAID_ELSEWHERE = {"chain_id", "cause"}


def as_fields(entry: Entry) -> dict[str, object]:
    """A JSON object. Times are RFC 3339 in UTC: `at` by its writer's clock, `timestamp` by Kafka's record."""
    record, chain = entry.record, entry.chain
    event = record.event
    push_id = event.push_id if isinstance(event, PushReceived) else None
    fields: dict[str, JsonValue] = {
        "chain_id": None if chain is None else chain.id,
        "push_id": push_id if chain is None else chain.push_id,
        "repository": _repository(event) if chain is None else chain.repository,
        "pipeline": None if chain is None else chain.plan.slug,
        "event": type(event).__name__,
        "topic": record.topic.value,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": show_time(record.timestamp),
        "at": show_time(written_at(event)),
        "who": entry.who,
        "void": entry.void or None,
        "rests_on": [
            {"topic": topic.value, "partition": record.partition, "offset": offset} for topic, offset in entry.inputs
        ],
        "said": what(entry),
        "data": _data(event),
    }
    state = None if chain is None else standing(chain)
    return {**{name: mask_json(value) for name, value in fields.items()}, "state": state}


def what(entry: Entry) -> str:
    """What happened, in a few words."""
    return mask_tokens(_what(entry))


def _what(entry: Entry) -> str:
    match entry.record.event:
        case PushReceived() as event:
            tag = f":{event.tag}" if event.tag else ""
            return f"{event.repository}{tag}" if entry.chain else f"{event.repository}{tag}, starts nothing"
        case CallbackReceived() as event:
            said = f": {event.description}" if event.description else ""
            return f"step {event.step} {event.state}{said}"
        case HookDelivered() as event:
            return f"step {event.step}, attempt {event.attempt}: {event.status} in {event.took_ms} ms"
        case HookAttemptFailed() as event:
            again = "no more" if event.next_attempt_at is None else f"again at {show_time(event.next_attempt_at)}"
            why = event.error.value if event.status is None else f"{event.error.value} {event.status}"
            return f"step {event.step}, attempt {event.attempt}: {why} in {event.took_ms} ms, {again}"
        case StepSealed() as event:
            return f"step {event.step}: sealed, later verdicts are void"
        case StepClosing() | ChainHalted() as event:
            return f"step {event.step}: {event.reason}"
        case CancelRequested() as event:
            return f"cancelled: {event.reason}" if event.reason else "cancelled"
        case SkipRequested() as event:
            last = "" if event.until is None else f" to {event.until - 1}"
            return f"{event.topic}@{event.offset}{last} skipped by {event.by}: {event.reason}"
        case RedeliveryRequested() as event:
            return f"run again from step {event.from_step}"
        case _:
            return ""


def hooks_of(plan: Plan) -> list[str]:
    """Each hook by name and URL."""
    return [mask_tokens(f"{hook.name} {mask_url(hook.url)}") for hook in plan.hooks]


def _repository(event: Event) -> str | None:
    return event.repository if isinstance(event, PushReceived | RedeliveryRequested) else None


def _data(event: Event) -> dict[str, JsonValue]:
    match event:
        case PushReceived():
            plans: list[JsonValue] = [_plan(plan) for plan in event.plans]
            return {**event.model_dump(mode="json", include=OF_A_PUSH), "plans": plans}
        case RedeliveryRequested():
            return {**event.model_dump(mode="json", include=OF_A_RUN), "plan": _plan(event.plan)}
        case Fence():
            return event.model_dump(mode="json")
        case _:
            return event.model_dump(mode="json", exclude=SAID_ELSEWHERE)


def _plan(plan: Plan) -> dict[str, JsonValue]:
    hooks: list[JsonValue] = [{"name": hook.name, "url": mask_url(hook.url)} for hook in plan.hooks]
    return {"n": plan.n, "pipeline_id": plan.pipeline_id, "name": plan.name, "slug": plan.slug, "hooks": hooks}
