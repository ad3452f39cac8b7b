"""A log that begins later than at 0 is judged from there: what can be judged is, what cannot is counted and never accused."""

from typing import Any

import pytest

from hookline.chain.events import HaltReason, Verdict
from hookline.log.records import LOGS, Topic
from tests.unit.audit.script import Script
from tests.unit.audit.sources import Records, judge
from tests.unit.audit.test_walk import long_log


def cut(records: Records, **starts: int) -> Records:
    kept = records.copy()
    for topic, start in starts.items():
        line = kept.of(Topic(topic))
        line[:] = [raw for raw in line if raw.offset >= start]
    return kept


@pytest.mark.parametrize(
    "starts",
    [
        {"pushes": 20},
        {"callbacks": 33},
        {"deliveries": 60},
        {"deliveries": 61},
        {"pushes": 40, "callbacks": 20, "deliveries": 90},
        {"pushes": 10, "callbacks": 80, "deliveries": 70},
        {"pushes": 10, "callbacks": 80, "deliveries": 250},
    ],
)
async def test_what_is_left_is_clean(starts: dict[str, int]) -> None:
    records = cut(long_log(50).records, **starts)
    findings, figures = await judge(records)

    assert findings == []
    assert figures.records == sum(len(records.of(topic)) for topic in LOGS)
    assert figures.passed["unjudged"], "what began before is counted"


async def test_what_is_left_is_judged() -> None:
    script = long_log(50).wait(60)
    script.records.now += 60_000  # past the window in which a push might repeat one that is gone
    made = script.push(2)
    script.delivered(made, 2)
    findings, _ = await judge(cut(script.records, pushes=20, callbacks=41, deliveries=75))

    assert [(f.invariant, f.chain_id) for f in findings] == [("I2", made)]


async def test_a_push_that_may_repeat_one_that_is_gone_is_not_judged() -> None:
    script = Script()
    before = script.push(name="twice")
    script.delivered(before)
    script.verdict(before)
    script.completed(before)
    other = script.push(name="other")
    script.push(name="twice")
    script.delivered(other)
    script.verdict(other)
    script.completed(other)
    assert (await judge(script.records, settled=True))[0] == []

    findings, figures = await judge(cut(script.records, pushes=1), settled=True)
    assert findings == [], "it looks like a chain that nobody cares for"
    assert figures.open == 1


async def test_a_chain_whose_first_decisions_are_gone_is_not_judged() -> None:
    script = Script()
    made = script.push(2)
    script.failed(made)
    script.wait(5).delivered(made, 1, 2)
    script.verdict(made, 1, Verdict.FAILURE)
    script.halted(made, 1, HaltReason.CALLBACK_FAILURE)
    findings, figures = await judge(cut(script.records, deliveries=2))

    assert findings == []
    assert figures.passed["unjudged"] == 3


async def test_a_hole_in_what_is_left_is_found() -> None:
    records: Any = cut(long_log(50).records, pushes=20, callbacks=41, deliveries=75)
    del records.of(Topic.CALLBACKS)[10]
    findings, _ = await judge(records)

    assert (findings[0].invariant, findings[0].offset) == ("I4", 51)
