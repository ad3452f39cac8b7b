"""The lies that somebody could write into a log, each with the invariant that names it; and those that stay unseen, with why."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from pydantic_core import to_json

from hookline.log.records import LOGS, Topic
from services.ingress.rereading import Rereader
from tests.unit.audit.sources import TAKEN_AT, Records, judge
from tests.unit.audit.test_verify import Spot, change, spots
from tests.unit.audit.true_log import true_log

DAY_MS = 86_400_000
DECISIONS = ("HookDelivered", "HookAttemptFailed", "StepClosing", "ChainHalted", "ChainCompleted")
TERMINAL = ("ChainHalted", "ChainCompleted")
READER = Rereader()

Tell = Callable[[Records, Spot], None]


@dataclass(frozen=True)
class Lie:
    """One kind, told of each record of those types in turn. `invariant`: by which its very record is named; "" for none."""

    topics: tuple[Topic, ...]
    types: tuple[str, ...]
    tell: Tell
    invariant: str
    why: str = ""
    """It is not seen."""


def said(**fields: Any) -> Tell:
    return lambda records, spot: change(records, spot, **fields)


def moved(field: str, ms: int) -> Tell:
    def tell(records: Records, spot: Spot) -> None:
        if (at := spot.value[field]) is not None:
            change(records, spot, **{field: at + ms})

    return tell


def header(name: str, value: bytes) -> Tell:
    def tell(records: Records, spot: Spot) -> None:
        records.places[spot.place][spot.index] = replace(spot.raw, headers={**spot.raw.headers, name: value})

    return tell


def key(value: bytes) -> Tell:
    def tell(records: Records, spot: Spot) -> None:
        records.places[spot.place][spot.index] = replace(spot.raw, key=value)

    return tell


def stamped(ms: int) -> Tell:
    def tell(records: Records, spot: Spot) -> None:
        records.places[spot.place][spot.index] = replace(spot.raw, timestamp=spot.raw.timestamp + ms)

    return tell


def in_payload(part: str, field: str) -> Tell:
    def tell(records: Records, spot: Spot) -> None:
        payload = spot.value["payload"]
        change(records, spot, payload=payload | {part: payload[part] | {field: "another"}})

    return tell


def in_plan(**fields: Any) -> Tell:
    def tell(records: Records, spot: Spot) -> None:
        if plans := spot.value["plans"]:
            change(records, spot, plans=[plans[0] | fields, *plans[1:]])

    return tell


def in_hook(**fields: Any) -> Tell:
    def tell(records: Records, spot: Spot) -> None:
        if plans := spot.value["plans"]:
            hooks = plans[0]["hooks"]
            change(records, spot, plans=[plans[0] | {"hooks": [hooks[0] | fields, *hooks[1:]]}, *plans[1:]])

    return tell


def without_plan(records: Records, spot: Spot) -> None:
    if plans := spot.value["plans"]:
        change(records, spot, plans=plans[1:])


def in_raw(old: str, new: str) -> Tell:
    return lambda records, spot: change(records, spot, raw=spot.value["raw"].replace(old, new))


def asked_for(seconds: float) -> Tell:
    """Of one that is tried again: else nothing hangs on it."""

    def tell(records: Records, spot: Spot) -> None:
        if spot.value["next_attempt_at"] is not None:
            change(records, spot, retry_after_s=seconds)

    return tell


def with_another_of_its_writer(records: Records, spot: Spot) -> None:
    """As if an earlier version had written it, that says nothing of what was asked for."""
    if spot.value["attempt"] == 2:
        value = {name: value for name, value in spot.value.items() if name != "retry_after_s"}
        records.places[spot.place][spot.index] = replace(spot.raw, value=to_json(value))


PUSHES, DELIVERIES, CALLBACKS, COMMANDS = (Topic.PUSHES,), (Topic.DELIVERIES,), (Topic.CALLBACKS,), (Topic.COMMANDS,)
PUSH, HEARD, SEAL = ("PushReceived",), ("CallbackReceived",), ("StepSealed",)
FOREIGN = "00000000-0000-4000-8000-000000000000"

LIES = {
    # what a push is made of
    "another push_id": Lie(PUSHES, PUSH, said(push_id=FOREIGN), "I13"),
    "a push_id that is none": Lie(PUSHES, PUSH, said(push_id="p1"), "I13"),
    "another event id": Lie(PUSHES, PUSH, said(producer_id="e9"), "I13"),
    "another pusher": Lie(PUSHES, PUSH, said(pusher="eve"), "I13"),
    "another digest": Lie(PUSHES, PUSH, said(digest="sha256:" + "e" * 64), "I13"),
    "another tag": Lie(PUSHES, PUSH, said(tag="evil"), "I13"),
    "another registry": Lie(PUSHES, PUSH, said(registry="evil.example.com"), "I13"),
    "another repository": Lie(PUSHES, PUSH, said(repository="acme/evil"), "I13"),
    "another kind of artifact": Lie(PUSHES, PUSH, said(artifact_type="signature"), "I13"),
    "what is in it of another media type": Lie(PUSHES, PUSH, said(artifact_media_type="text/plain"), "I13"),
    "another media type": Lie(PUSHES, PUSH, said(media_type="text/plain"), "I13"),
    "another time of the push": Lie(PUSHES, PUSH, moved("pushed_at", 1), "I13"),
    "received at another time": Lie(PUSHES, PUSH, moved("received_at", 1), "I13"),
    "no window for repeats": Lie(PUSHES, PUSH, said(dedupe_window_s=0), "I13"),
    "a callback URL of Docker Hub's": Lie(PUSHES, PUSH, said(upstream_callback_url="https://evil.example.com"), "I13"),
    "a header that is not kept": Lie(PUSHES, PUSH, said(headers={"authorization": "x"}), "I13"),
    "another body": Lie(PUSHES, PUSH, said(raw='{"a": 1}'), "I13"),
    "a body that is none": Lie(PUSHES, PUSH, said(raw="!", raw_encoding="base64"), "I13"),
    "another tag in the payload": Lie(PUSHES, PUSH, in_payload("push_data", "tag"), "I13"),
    "another repository in the payload": Lie(PUSHES, PUSH, in_payload("repository", "repo_name"), "I13"),
    "more in the payload": Lie(PUSHES, PUSH, in_payload("repository", "evil"), "I13"),
    # its plans
    "another URL": Lie(PUSHES, PUSH, in_hook(url="http://evil.example.com"), "I13"),
    "another key of a hook": Lie(PUSHES, PUSH, in_hook(key="k9"), "I13"),
    "another deadline": Lie(PUSHES, PUSH, in_plan(callback_deadline_s=1), "I13"),
    "other retries": Lie(PUSHES, PUSH, in_plan(retry_delays_s=[1]), "I13"),
    "a plan's number": Lie(PUSHES, PUSH, in_plan(n=7), "I13"),
    "a plan's negative number": Lie(PUSHES, PUSH, in_plan(n=-1), "I13"),
    "a plan of no pipeline": Lie(PUSHES, PUSH, in_plan(pipeline_id="none"), "I13"),
    "a plan less": Lie(PUSHES, PUSH, without_plan, "I13"),
    "a plan that went by its digest": Lie(PUSHES, PUSH, said(plans=[], same_digest=["ci", "all", "other"]), "I13"),
    "a digest of a pipeline that goes by none": Lie(PUSHES, PUSH, said(same_digest=["ci"]), "I13"),
    "a digest of a pipeline that is not for it": Lie(PUSHES, PUSH, said(same_digest=["other"]), "I13"),
    "settings that are not there": Lie(PUSHES, PUSH, said(settings_offset=99), "I13"),
    "settings of another day": Lie(PUSHES, PUSH, said(settings_offset=1), "I13"),
    # what stands beside an event
    "another ce_id": Lie(LOGS, (), header("ce_id", b"another"), "I13"),
    "another decision's ce_id": Lie(DELIVERIES, DECISIONS, header("ce_id", FOREIGN.encode()), "I13"),
    "another ce_source": Lie(LOGS, (), header("ce_source", b"/evil"), "I13"),
    "another ce_subject": Lie(LOGS, (), header("ce_subject", b"another"), "I13"),
    "another ce_specversion": Lie(LOGS, (), header("ce_specversion", b"0.3"), "I13"),
    "another content-type": Lie(LOGS, (), header("content-type", b"text/html"), "I13"),
    "another key": Lie(LOGS, (), key(b"another"), "I13"),
    # times
    "a ce_time of another day": Lie(LOGS, (), header("ce_time", b"2023-11-13T22:13:20.000+00:00"), "I14"),
    "a ce_time that is none": Lie(LOGS, (), header("ce_time", b"now"), "I14"),
    "decided a day later": Lie(DELIVERIES, DECISIONS, moved("decided_at", DAY_MS), "I14"),
    "decided a day earlier": Lie(DELIVERIES, DECISIONS, moved("decided_at", -DAY_MS), "I14"),
    "Kafka's time a day back": Lie((Topic.CALLBACKS, Topic.COMMANDS), (), stamped(-DAY_MS), "I14"),
    "Kafka's time of a decision a day back": Lie(DELIVERIES, DECISIONS, stamped(-DAY_MS), "I14"),
    "Kafka's time years ahead": Lie(LOGS, (), stamped(TAKEN_AT), "I14"),
    # seals
    "a seal for what is no intent": Lie(CALLBACKS, SEAL, said(intent=1), "I4"),
    "a seal of another step": Lie(CALLBACKS, SEAL, said(step=2), "I7"),
    # waits
    "an invented next attempt": Lie(DELIVERIES, ("HookAttemptFailed",), moved("next_attempt_at", 3_600_000), "I8"),
    "an invented Retry-After": Lie(DELIVERIES, ("HookAttemptFailed",), asked_for(3600.0), "I8"),
    "no word of Retry-After": Lie(DELIVERIES, ("HookAttemptFailed",), with_another_of_its_writer, "I13"),
    # ---- not seen, for a reason
    "another description": Lie(
        CALLBACKS, HEARD, said(description="evil"), "", "what a receiver says is nowhere else, and decides nothing"
    ),
    "called back on another day": Lie(CALLBACKS, HEARD, moved("received_at", DAY_MS), "", "one replica's clock may be wrong"),
    "sealed on another day": Lie(CALLBACKS, SEAL, moved("sealed_at", DAY_MS), "", "its place decides, and no time"),
    "another address": Lie(CALLBACKS, HEARD, said(remote_ip="::1"), "", "who called is nowhere else"),
    "another user": Lie(COMMANDS, (), said(by="eve"), "", "who asked is nowhere else"),
    "another owner": Lie(DELIVERIES, ("Fence",), said(owner="eve"), "", "a worker's name is its own choice"),
    "another answer": Lie(DELIVERIES, ("HookDelivered",), said(answer="evil"), "", "what a receiver says is nowhere else"),
    "another status that delivers": Lie(DELIVERIES, ("HookDelivered",), said(status=302), "", "as above"),
    "a second later": Lie(DELIVERIES, ("StepClosing", *TERMINAL), moved("decided_at", 1_000), "", "clocks differ as much"),
    "Kafka's time a second back": Lie(LOGS, (), stamped(-1_000), "", "brokers' clocks differ as much"),
}  # fmt: skip


def told(lie: Lie) -> Iterator[tuple[Spot, Records]]:
    """The log with that lie, once for each record that it changes."""
    truth = true_log().records
    for topic in lie.topics:
        for spot in spots(truth, topic, *lie.types):
            records = truth.copy()
            lie.tell(records, spot)
            if records.places != truth.places:
                yield spot, records


@pytest.mark.parametrize("name", LIES)
async def test_each_lie_is_named_at_its_record_or_is_legal(name: str) -> None:
    lie, count = LIES[name], 0
    for spot, records in told(lie):
        findings, _ = await judge(records, pushes=READER)
        if lie.invariant:
            there = {(f.invariant.value, f.topic, f.offset) for f in findings}
            assert (lie.invariant, spot.place.topic, spot.raw.offset) in there or (
                # of a stamp that is ahead the next record is the witness
                lie.invariant == "I14" and any(f.invariant == "I14" for f in findings)
            ), (spot.raw, findings)
        else:
            assert findings == [], lie.why
        count += 1
    assert count, "it was told nowhere"


async def test_the_truth_is_clean() -> None:
    findings, figures = await judge(true_log().records, pushes=READER)

    assert findings == []
    assert figures.passed["unread"] == 0
    assert figures.started > 6
