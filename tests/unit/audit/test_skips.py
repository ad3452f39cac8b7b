"""The audit passes over what an operator skipped as every reader does, counts it, and tells who did it and why."""

import pytest

from hookline.audit.lines import as_fields, what
from hookline.audit.replay import Left, Run, replay
from hookline.audit.story import Entry, Selection
from hookline.chain.events import SkipRequested
from hookline.log.records import LOGS, Topic
from tests.unit.audit.record import skipped_log
from tests.unit.audit.script import Script
from tests.unit.audit.sources import judge


@pytest.mark.parametrize("chunk", [1, 2, 7, 1000])
async def test_skipped_records_are_counted_and_are_no_loss(chunk: int) -> None:
    findings, figures = await judge(skipped_log().records, chunk=chunk, settled=True)
    assert findings == []
    assert figures.passed["skipped"] == len(LOGS) + 1
    assert figures.ended == {"completed": 1, "callback_failure": 1}


@pytest.mark.parametrize("topic", LOGS)
async def test_without_its_skip_reading_stops_there(topic: Topic) -> None:
    script = Script()
    script.delivered(script.push())
    script.skip(Topic.PUSHES, 40)
    bad = script.garbage(topic)
    script.push()
    (finding,), figures = await judge(script.records)
    assert (finding.invariant, finding.topic, finding.offset) == ("I8", topic, bad)
    assert not figures.passed["skipped"]


async def test_a_skip_that_comes_long_after_is_found() -> None:
    script = Script()
    bad = script.garbage(Topic.PUSHES)
    chains = [script.push() for _ in range(300)]
    script.skip(Topic.PUSHES, bad)
    for chain in chains:
        script.delivered(chain)
    findings, figures = await judge(script.records)
    assert findings == []
    assert figures.started == 300


async def test_a_skipped_fence_still_stops_everyone() -> None:
    script = Script()
    bad = script.garbage(Topic.DELIVERIES, b"hookline.Fence.v2")
    script.skip(Topic.DELIVERIES, bad)
    (finding,), _ = await judge(script.records)
    assert (finding.topic, finding.offset) == (Topic.DELIVERIES, bad)


async def entries(script: Script, selection: Selection) -> list[Entry]:
    told = replay(script.records.source(), selection, Run(), lambda records: None)
    return [entry async for entry in told if not isinstance(entry, Left)]


async def test_the_story_tells_who_skipped_what_and_why() -> None:
    script = skipped_log()
    skips = [e for e in await entries(script, Selection()) if isinstance(e.record.event, SkipRequested)]
    assert [what(entry) for entry in skips] == [
        "pushes@1 skipped by ada: cut off",
        "callbacks@0 skipped by ada: cut off",
        "commands@2 skipped by ada: cut off",
        "deliveries@4 skipped by ada: cut off",
        "deliveries@11 skipped by ada: cut off",
    ]
    fields = as_fields(skips[0])
    assert (fields["event"], fields["who"], fields["chain_id"]) == ("SkipRequested", "console, ada", None)
    assert fields["rests_on"] == [{"topic": "pushes", "partition": 0, "offset": 1}]
    assert fields["data"] == {
        "topic": "pushes", "offset": 1, "until": None, "by": "ada", "requested_at": skips[0].record.event.requested_at, "reason": "cut off",
    }  # fmt: skip


async def test_the_story_of_one_chain_has_none() -> None:
    script = skipped_log()
    told = await entries(script, Selection(chain=script.chain_of(0)))
    assert not any(isinstance(entry.record.event, SkipRequested) for entry in told)
