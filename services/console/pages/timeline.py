"""The events of a chain as a timeline shows them: a title and facts for each, and why it is void. Pure."""

from enum import StrEnum
from typing import NamedTuple

from pydantic import JsonValue

from hookline.chain.events import (
    EVENTS,
    CallbackReceived,
    CancelRequested,
    ChainCompleted,
    ChainHalted,
    Event,
    HookAttemptFailed,
    HookDelivered,
    Plan,
    RedeliveryRequested,
    StepClosing,
    StepSealed,
    Verdict,
)
from hookline.chain.state import Chain
from hookline.times import milliseconds
from services.console.artifact_words import kind_words
from services.console.attempt_words import attempt_words
from services.console.pages.words import reason_words
from services.console.readmodel.history import PushRow, Timeline, TimelineEvent
from services.console.readmodel.projection import FENCED, MISFIT

__all__ = ["Entry", "Fact", "Tone", "entries"]


class Tone(StrEnum):
    """What kind of thing happened."""

    START = "start"
    GOOD = "good"
    BAD = "bad"
    WAIT = "wait"
    USER = "user"


class Fact(NamedTuple):
    """One of: a text, a time (Unix ms), or an address that was sent to us (a link only if it is http or https)."""

    label: str
    text: str | None = None
    at: int | None = None
    url: str | None = None


class Entry(NamedTuple):
    """`at`: Unix ms; `place`: `topic[partition]@offset`; `answer`: the first KiB; `void`: why it does not count."""

    at: int
    tone: Tone
    title: str
    place: str
    facts: tuple[Fact, ...] = ()
    answer: str | None = None
    void: str | None = None


def entries(timeline: Timeline) -> list[Entry]:
    """From what started the chain to its end."""
    partition = timeline.row.partition
    begun = [_push(timeline.push)] if timeline.push is not None and timeline.row.run == 0 else []
    return begun + [_entry(event, partition, timeline.chain) for event in timeline.events]


def _push(push: PushRow) -> Entry:
    facts = _given(
        Fact("tag", push.tag),
        Fact("digest", push.digest),
        Fact("artifact", None if push.artifact_type is None else kind_words(push.artifact_type)),
        Fact("pusher", push.pusher),
        Fact("source", push.source),
        Fact("registry", push.registry),
        Fact("pushed", at=push.pushed_at),
    )
    place = f"pushes[{push.partition}]@{push.offset}"
    return Entry(push.received_at, Tone.START, "Push received", place, facts)


def _entry(found: TimelineEvent, partition: int, chain: Chain) -> Entry:
    place = f"{found.topic}[{partition}]@{found.offset}"
    if found.type == f"hookline.{RedeliveryRequested.__name__}.v1":
        entry = _run(found.timestamp, place, found.fields)
    else:
        entry = _event(found.timestamp, place, EVENTS[found.type].model_validate(found.fields), chain.plan)
    return entry if found.void is None else entry._replace(void=_void_words(found, chain))


def _run(at: int, place: str, fields: dict[str, JsonValue]) -> Entry:
    """Its row is not the whole event."""
    title = f"Run again from step {fields.get('from_step')}"
    return Entry(at, Tone.USER, title, place, (Fact("asked by", str(fields.get("by"))),))


def _event(at: int, place: str, event: Event, plan: Plan) -> Entry:
    match event:
        case HookAttemptFailed():
            return _failed(at, place, event, plan)
        case HookDelivered():
            facts = _given(
                Fact("status", str(event.status)),
                Fact("started", at=event.started_at),
                Fact("took", milliseconds(event.took_ms)),
                Fact("verdict until", at=event.expires_at if _is_awaited(event, plan) else None),
            )
            title = f"{_step(event.step, plan)}: attempt {event.attempt} delivered"
            return Entry(at, Tone.GOOD, title, place, facts, event.answer)
        case CallbackReceived():
            facts = _given(
                Fact("description", event.description),
                Fact("context", event.context),
                Fact("target_url", url=event.target_url),
                Fact("from", event.remote_ip),
            )
            tone = Tone.GOOD if event.state is Verdict.SUCCESS else Tone.BAD
            title = f"{_step(event.step, plan)}: verdict {event.state}"
            return Entry(at, tone, title, place, facts)
        case StepClosing():
            facts = _given(Fact("why", reason_words(event.reason)), Fact("detail", event.detail))
            return Entry(at, Tone.WAIT, f"{_step(event.step, plan)}: being closed", place, facts)
        case StepSealed():
            facts = _given(Fact("intended", f"deliveries@{event.intent}"))
            return Entry(at, Tone.WAIT, f"{_step(event.step, plan)}: sealed, later verdicts are void", place, facts)
        case ChainHalted():
            facts = _given(Fact("why", reason_words(event.reason)), Fact("detail", event.detail))
            return Entry(at, Tone.BAD, f"Halted at step {event.step}: {event.reason}", place, facts)
        case ChainCompleted():
            return Entry(at, Tone.GOOD, "Completed", place)
        case CancelRequested():
            facts = _given(Fact("asked by", event.by), Fact("reason", event.reason))
            return Entry(at, Tone.USER, "Cancel", place, facts)
        case _:
            return Entry(at, Tone.WAIT, type(event).__name__, place)


def _failed(at: int, place: str, event: HookAttemptFailed, plan: Plan) -> Entry:
    is_last = event.next_attempt_at is None
    facts = _given(
        Fact("error", f"{event.error}: {attempt_words(event)}"),
        Fact("started", at=event.started_at),
        Fact("took", milliseconds(event.took_ms)),
        Fact("asked to wait", None if event.retry_after_s is None else milliseconds(round(event.retry_after_s * 1000))),
        Fact("next attempt", "none" if is_last else None, event.next_attempt_at),
    )
    title = f"{_step(event.step, plan)}: attempt {event.attempt} failed"
    return Entry(at, Tone.BAD if is_last else Tone.WAIT, title, place, facts, event.answer)


def _is_awaited(event: HookDelivered, plan: Plan) -> bool:
    return plan.expect_final_callback or event.step < len(plan.hooks)


def _step(number: int, plan: Plan) -> str:
    """With the hook's name, where it is more than its position."""
    name = plan.hooks[number - 1].name if number <= len(plan.hooks) else str(number)
    return f"Step {number}" if name == str(number) else f"Step {number} ({name})"


def _given(*facts: Fact) -> tuple[Fact, ...]:
    return tuple(fact for fact in facts if (fact.text, fact.at, fact.url) != (None, None, None))


def _void_words(event: TimelineEvent, chain: Chain) -> str:
    if event.void == FENCED:
        return "written by a dispatcher that had lost this partition to another one"
    step = event.fields["step"]
    if event.void == MISFIT:
        has_step = isinstance(step, int) and step <= len(chain.steps)
        return (
            "it is not for the first intent to halt at this step" if has_step else "this chain does not have that step"
        )
    if event.topic == "callbacks":
        seal = chain.step(step).seal if isinstance(step, int) else None
        if seal is not None:
            return "this step had been sealed already, and nothing above its seal counts"
        return "this step had a verdict already, and the first one counts"
    return "the chain had ended already, and the first end counts"
