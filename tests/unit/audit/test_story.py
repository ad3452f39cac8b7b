"""A chain's story: who wrote what, on which record it rests, what is void, and what is never shown."""

import json

import pytest

from hookline.audit.chain_standing import words
from hookline.audit.lines import as_fields, what
from hookline.audit.replay import Left, Run, replay, stood
from hookline.audit.story import Entry, Selection
from hookline.chain.events import AttemptError, HaltReason, Verdict
from hookline.chain.ids import ChainId
from hookline.log.codec import encode
from hookline.log.records import RawRecord, Topic
from hookline.times import parse_time, show_time
from tests.kit.events import START, plan, push
from tests.unit.audit.script import Script
from tests.unit.audit.sources import TAKEN_AT, Records

NOTHING = Selection()


async def entries(records: Records, selection: Selection = NOTHING) -> list[Entry]:
    told = [told async for told in replay(records.source(), selection, Run(), lambda count: None)]
    assert {t.chain.id for t in told if isinstance(t, Left)} == {
        t.chain.id for t in told if isinstance(t, Entry) and t.chain
    }
    return [t for t in told if isinstance(t, Entry)]


def push_at(offset: int) -> RawRecord:
    """A push that starts nothing."""
    draft = encode(push(name="other"), 0, now_ms=TAKEN_AT)
    return RawRecord(draft.place, offset, TAKEN_AT, draft.key, draft.value, draft.headers)


def places(entry: Entry) -> list[str]:
    return [f"{topic}@{offset}" for topic, offset in entry.inputs]


def of(found: list[Entry], name: str) -> list[Entry]:
    return [entry for entry in found if type(entry.record.event).__name__ == name]


def a_chain() -> Script:
    """Step 1 fails once and succeeds, step 2 runs out of time; then it is run again from step 2, and cancelled."""
    script = Script()
    made = script.push(2)
    script.failed(made)
    script.wait(5).delivered(made, 1, 2)
    script.verdict(made)
    script.delivered(made, 2)
    script.wait(60).closing(made, 2)
    script.sealed(made, 2)
    script.halted(made, 2, HaltReason.CALLBACK_TIMEOUT)
    run = script.rerun(made, from_step=2, by="ada")
    script.delivered(run, 2)
    script.cancel(run, by="ada")
    script.halted(run, 2, HaltReason.CANCELLED)
    return script


async def test_each_event_says_on_which_record_it_rests() -> None:
    found = await entries(a_chain().records)

    assert places(of(found, "PushReceived")[0]) == []
    assert places(of(found, "HookAttemptFailed")[0]) == ["pushes@0"]
    first, second, again = of(found, "HookDelivered")
    assert places(first) == ["deliveries@1"], "the attempt before"
    assert places(second) == ["callbacks@0"], "the verdict that opened its step"
    assert places(again) == ["commands@0"], "the run's own cause"
    assert places(of(found, "StepClosing")[0]) == ["deliveries@3"]
    timeout, cancelled = of(found, "ChainHalted")
    assert places(timeout) == ["callbacks@1"], "its seal"
    assert places(of(found, "StepSealed")[0]) == ["deliveries@4"], "its intent"
    assert places(cancelled) == ["commands@1"]
    assert places(of(found, "RedeliveryRequested")[0]) == ["pushes@0"]


async def test_a_chain_that_ends_by_a_verdict_rests_on_it() -> None:
    script = Script()
    made = script.push()
    script.delivered(made)
    script.verdict(made)
    script.completed(made)
    other = script.push(expect_final_callback=False)
    script.delivered(other)
    script.completed(other)
    by_verdict, by_delivery = of(await entries(script.records), "ChainCompleted")

    assert places(by_verdict) == ["callbacks@0"]
    assert places(by_delivery) == ["deliveries@3"]


async def test_the_state_after_each_event_is_told() -> None:
    found = await entries(a_chain().records)
    told = [words(entry.chain) for entry in found if entry.chain is not None and entry.chain.first_step == 1]

    assert told == [
        "step 1 of 2 due",
        f"step 1 of 2 failed 1 times, again at {show_time(START + 5_000)}",
        f"step 1 of 2 delivered, its verdict is awaited until {show_time(START + 65_000)}",
        "step 2 of 2 due",
        f"step 2 of 2 delivered, its verdict is awaited until {show_time(START + 65_000)}",
        "step 2 of 2 being closed: callback_timeout",
        "step 2 of 2 being closed: callback_timeout",
        "halted at step 2 of 2: callback_timeout",
    ]


async def test_who_wrote_it() -> None:
    found = await entries(a_chain().records)

    assert {type(entry.record.event).__name__: entry.who for entry in found} == {
        "PushReceived": "ingress, test",
        "CallbackReceived": "callbacks",
        "StepSealed": "dispatcher",
        "CancelRequested": "console, ada",
        "RedeliveryRequested": "console, ada",
        **dict.fromkeys(("HookAttemptFailed", "HookDelivered", "StepClosing", "ChainHalted"), "dispatcher w, fence 0"),
    }


async def test_what_is_void_says_why() -> None:
    script = Script()
    made = script.push(2, name="twice")
    script.push(name="twice")
    old = script.token
    script.fence("other")
    script.delivered(made, fence=old)
    script.delivered(made)
    script.verdict(made)
    script.verdict(made, 1, Verdict.ERROR)
    found = await entries(script.records)

    assert [(type(e.record.event).__name__, e.void) for e in found if e.void] == [
        ("PushReceived", "repeat"),
        ("HookDelivered", "fenced"),
        ("CallbackReceived", "later"),
    ]
    assert of(found, "HookDelivered")[0].who == "dispatcher w, fence 0"


async def test_a_verdict_above_a_seal_is_void_and_the_seal_of_a_judged_step_too() -> None:
    script = Script()
    timed_out, judged = script.push(), script.push()
    for made in (timed_out, judged):
        script.delivered(made)
    script.wait(60)
    for made in (timed_out, judged):
        script.closing(made)
    script.sealed(timed_out)
    script.verdict(timed_out)
    script.verdict(judged)
    script.sealed(judged)
    found = await entries(script.records)

    assert [(e.record.offset, e.void) for e in found if e.record.topic is Topic.CALLBACKS] == [
        (0, ""), (1, "later"), (2, ""), (3, "later"),
    ]  # fmt: skip
    assert "later verdicts are void" in what(of(found, "StepSealed")[0])


async def test_a_selection_tells_only_what_was_asked_for() -> None:
    script = a_chain()
    other = script.push(1)
    script.delivered(other)
    records = script.records
    everything = await entries(records)
    first = ChainId.parse(script.chain_of(0))

    assert {e.chain.id for e in await entries(records, Selection(chain=other)) if e.chain} == {other}
    assert {e.chain.id for e in await entries(records, Selection(push=first.push_id)) if e.chain} == {
        str(first), script.chain_of(1)
    }  # fmt: skip
    assert await entries(records, Selection(repository="acme/other")) == []
    assert len(await entries(records, Selection(repository="acme/app"))) == len(everything)
    assert await entries(records, Selection(since=TAKEN_AT + 1)) == []
    assert await entries(records, Selection(until=TAKEN_AT - 1)) == []
    assert Selection(chain=other).partitions(12) == {int(other[:8], 16) % 12}


async def test_a_push_that_starts_nothing_is_told_where_it_was_asked_for() -> None:
    records = Records({}, 1)
    event = push(name="lonely")
    records.append(event)

    (entry,) = await entries(records, Selection(push=event.push_id))
    assert entry.chain is None
    assert "starts nothing" in what(entry)
    assert await entries(records, Selection(chain=str(ChainId(event.push_id, 0, 0, 0)))) == []


async def test_fields_for_machines_name_place_inputs_and_state() -> None:
    found = await entries(a_chain().records)
    fields = as_fields(of(found, "ChainHalted")[0])

    json.dumps(fields)
    assert fields["topic"] == "deliveries"
    assert fields["offset"] == 6 - 1
    assert fields["rests_on"] == [{"topic": "callbacks", "partition": 0, "offset": 1}]
    assert fields["state"]["status"] == "halted"  # type: ignore[index]
    assert fields["data"]["read_to"] == {"pushes": 1, "callbacks": 2, "commands": 0}  # type: ignore[index]
    assert fields["at"] == show_time(START + 65_000)


async def test_no_secret_is_shown() -> None:
    """I11: hook URLs masked, no payload, no body, no token that a receiver sent back."""
    token = "a" * 100
    made = plan(1)
    hook = made.hooks[0].model_copy(update={"url": "https://user:pass@ci.test/hook/AbcDefGhiJklMnoPqrStu1?key=S3CRET"})
    made = made.model_copy(update={"hooks": (hook,)})
    event = push(made).model_copy(
        update={
            "payload": {"note": "S3CRET"}, "raw": "S3CRET", "headers": {"x": "S3CRET"},
            "upstream_callback_url": "https://registry.test/S3CRET/",
        }
    )  # fmt: skip
    script = Script()
    chain = str(ChainId(event.push_id, script.records.append(event), 0, 0))
    script.plans[chain] = made
    script.delivered(chain, answer=f"you sent /u/acme/app/hook/{token}/")
    script.rerun(chain)
    shown = json.dumps([as_fields(entry) for entry in await entries(script.records)])

    assert "S3CRET" not in shown
    assert "user:pass" not in shown
    assert "AbcDefGhiJklMnoPqrStu1" not in shown
    assert token not in shown
    assert "https://ci.test/hook/***" in shown


async def test_stood_shows_every_chain_as_it_was_at_that_moment() -> None:
    script = a_chain()
    line = script.records.of(Topic.DELIVERIES)
    for at, raw in enumerate(line):
        line[at] = type(raw)(raw.place, raw.offset, at * 1_000, raw.key, raw.value, raw.headers)
    for topic in (Topic.PUSHES, Topic.CALLBACKS):
        for at, raw in enumerate(other := script.records.of(topic)):
            other[at] = type(raw)(raw.place, raw.offset, 0, raw.key, raw.value, raw.headers)

    async def at(until: int) -> list[str]:
        found = stood(script.records.source(), Selection(until=until), Run(), lambda count: None)
        return [words(one.chain) async for chains in found for one in chains]

    assert await at(1_000) == ["step 2 of 2 due"], "its verdict was in the log, and step 2 not yet called"
    assert (await at(3_999))[0].startswith("step 2 of 2 delivered")
    assert await at(4_000) == ["step 2 of 2 being closed: callback_timeout"]
    assert await at(5_000) == ["halted at step 2 of 2: callback_timeout"]
    assert len(await at(TAKEN_AT)) == 2


async def test_records_about_chains_that_are_gone_are_counted() -> None:
    script = a_chain()
    del script.records.of(Topic.PUSHES)[:]
    script.records.of(Topic.PUSHES).append(push_at(1))
    run = Run()
    told = [told async for told in replay(script.records.source(), NOTHING, run, lambda count: None)]

    assert {type(t.record.event).__name__ for t in told if isinstance(t, Entry)} >= {
        "RedeliveryRequested",
        "PushReceived",
    }
    assert run.passed == 8 - 1, "all of the first run"


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("now", 1_000_000),
        ("-90s", 910_000),
        ("-1.5m", 910_000),
        ("-0h", 1_000_000),
        ("-1d", 1_000_000 - 86_400_000),
        ("-1w", 1_000_000 - 604_800_000),
        ("1970-01-01T00:00:01Z", 1_000),
        ("1970-01-01T01:00:01+01:00", 1_000),
        ("1970-01-01T00:00:01.5", 1_500),
        ("1970-01-02", 86_400_000),
    ],
)
def test_times_are_read_as_people_write_them(text: str, ms: int) -> None:
    assert parse_time(text, 1_000_000) == ms


@pytest.mark.parametrize("text", ["", "yesterday", "-2", "2h", "-2y", "2026-13-01", "12:00"])
def test_what_is_no_time_is_said(text: str) -> None:
    with pytest.raises(ValueError, match="not a time"):
        parse_time(text, 0)


def test_a_time_that_no_calendar_has_is_shown_all_the_same() -> None:
    assert show_time(1_700_000_000_123) == "2023-11-14T22:13:20.123Z"
    assert show_time(10**18) == f"{10**18} ms"


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [(AttemptError.STATUS, 503, "status 503"), (AttemptError.TIMEOUT, None, "timeout")],
)
async def test_why_an_attempt_failed_is_told(error: AttemptError, status: int | None, said: str) -> None:
    script = Script()
    script.failed(script.push(), error=error, status=status)
    assert said in what(of(await entries(script.records), "HookAttemptFailed")[0])
