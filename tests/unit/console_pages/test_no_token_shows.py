"""I11: a callback token in any text of any event, in any encoding, shows on no page, in no answer, log line, metric or audit.

The fields are those of the models: a field that is added is looked at without anybody's doing.
"""

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import count, cycle
from typing import NamedTuple

import pytest
import structlog
from prometheus_client import generate_latest

from hookline.audit.lines import as_fields, hooks_of, what
from hookline.audit.story import Entry
from hookline.chain.callback_tokens import CallbackToken
from hookline.chain.decide import Post
from hookline.chain.events import (
    EVENTS,
    AttemptError,
    CallbackReceived,
    Event,
    HookAttemptFailed,
    HookDelivered,
    PushReceived,
    ReadTo,
    RedeliveryRequested,
    Verdict,
)
from hookline.chain.fold import rerun, start
from hookline.chain.ids import ChainId
from hookline.cli.operate.record_view import shown
from hookline.log.codec import decode, encode
from hookline.log.records import Place
from services.callbacks.body import LIMITS, CallbackBody
from services.callbacks.gate import Callback
from services.dispatcher.attempt import Attempt
from services.dispatcher.sender import Outcome
from tests.configured_logging import configured_logging
from tests.event_fields import Path, text_paths, with_value
from tests.token_encodings import ENCODINGS, TOKEN, URL, tells
from tests.unit.console.histories import plan, push, sample
from tests.unit.console.running import Running
from tests.unit.console_pages.visiting import Page, Visitor

IDS = ("push_id", "chain_id")
"""By these all is found: they are made by us, and hold no more than they say."""
OUR_OWN = (*IDS, "remote_ip")
"""Of what is written about a receiver, what it does not say itself."""
EACH = 3
"""Encodings of one field; the fields together have all of them."""


class Told(NamedTuple):
    """What was written into one field."""

    model: type[Event]
    path: Path
    said: str
    chain: ChainId
    place: Place
    offset: int


async def tell(console: Running) -> list[Told]:
    """A token in each field of each event, each in a chain of its own."""
    history, numbers, encodings = console.writing, count(1000), cycle(ENCODINGS.values())
    told = []
    for model in EVENTS.values():
        for path in (path for path in text_paths(model) if path[-1] not in IDS):
            for said in [URL, *(next(encodings)(URL) for _ in range(EACH - 1))]:
                (chain,) = history.push(push(next(numbers), (plan(),), received_at=history.now))
                event = sample(history, model, chain, next(numbers))
                partition = history.partition_of(event.push_id if isinstance(event, PushReceived) else chain.push_id)
                draft = encode(event, partition, now_ms=history.now, fence=history.fences.get(partition))
                body = with_value(event, path, said).model_dump_json().encode()
                offset = history.cluster.append(replace(draft, value=body))
                if isinstance(event, PushReceived):
                    chain = ChainId(event.push_id, offset, 0, 0)
                elif isinstance(event, RedeliveryRequested):
                    chain = chain._replace(run=offset + 1)
                told.append(Told(model, path, said, chain, draft.place, offset))
    await console.projected()
    return told


def telling(places: Mapping[str, str], said: set[str]) -> list[str]:
    return [f"{one[:30]}... in {where}" for where, text in places.items() for one in said if tells(text, one)]


async def test_no_page_no_answer_no_log_line_and_no_metric_tells_one(
    console: Running, visitor: Visitor, capfd: pytest.CaptureFixture[str]
) -> None:
    told = await tell(console)
    assert len(told) > 100
    said = {one.said for one in told}
    places: dict[str, str] = {}
    left = ["/", "/pushes", "/pushes?page_size=250", *(f"/chains/{one.chain}" for one in told)]
    while left:
        if (path := left.pop()) in places:
            continue
        async with visitor.http.get(visitor.base + path) as answer:
            assert answer.status < 500, path
            page = await Page.of(answer)
        places[path] = page.source
        if not path.startswith("/chains/"):
            left += [link for link in page.links if link.startswith(("/pushes", "/repositories", "/pipelines"))]
    chains = 0
    for one in told:
        status, timeline = await console.call("GET", f"/api/chains/{one.chain}")
        if status == 200:
            chains += 1
            places[f"API, {one.model.__name__} {one.path}"] = json.dumps(timeline, ensure_ascii=False)
    assert chains == len(told), "all of them are chains that are shown"
    places["API, pushes"] = json.dumps(await console.get("/api/pushes?page_size=250"), ensure_ascii=False)
    places["metrics"] = generate_latest().decode()
    places["log"] = "".join(capfd.readouterr())
    assert telling(places, said) == []
    assert sum("***" in text for text in places.values()) > 100, "they are where one looks, and masked"


async def test_no_audit_and_no_record_that_is_shown_tells_one(console: Running) -> None:
    told = await tell(console)
    for one in told:
        raw = console.cluster.log(one.place)[one.offset]
        record = decode(raw)
        chain = _chain_of(record.event, one)
        entry = Entry(record, chain, "console", (), "")
        texts = {"fields": json.dumps(as_fields(entry), ensure_ascii=False), "line": what(entry)}
        texts["record"] = "\n".join(shown(raw))
        texts["hooks"] = "" if chain is None else "\n".join(hooks_of(chain.plan))
        assert telling(texts, {one.said}) == [], (one.model, one.path)


def _chain_of(event: Event, one: Told) -> object:
    if isinstance(event, PushReceived):
        return next(start(event, one.offset))
    return rerun(event, one.offset) if isinstance(event, RedeliveryRequested) else None


def verdicts() -> Iterator[tuple[str, CallbackReceived]]:
    """What callbacks writes, by what its receiver said."""
    token = CallbackToken(ChainId(push(1, ()).push_id, 0, 0, 0), 1, 2)
    for field in LIMITS:
        for encode_it in ENCODINGS.values():
            said = encode_it(URL)
            body = CallbackBody(**({"state": Verdict.SUCCESS} | dict.fromkeys(LIMITS) | {field: said}))  # type: ignore[arg-type]
            yield said, Callback(token, body, 1, "192.0.2.1").event()


def attempts() -> Iterator[tuple[str, HookAttemptFailed | HookDelivered]]:
    """What a dispatcher writes, by what its receiver said."""
    (chain,) = start(push(1, (plan(),)), 0)
    about = {
        "cause": 0,
        "chain_id": chain.id,
        "step": 1,
        "read_to": ReadTo(pushes=0, callbacks=0, commands=0),
        "decided_at": 1,
    }
    for encode_it in ENCODINGS.values():
        said = encode_it(URL)
        for outcome in (
            Outcome(1, 200, answer=said),
            Outcome(1, 500, AttemptError.STATUS, answer=said),
            Outcome(1, 301, AttemptError.STATUS, detail=said),
        ):
            yield said, Attempt(chain, Post(1, 1), 1).event(outcome, about, 2, lambda: 0.5)  # type: ignore[arg-type]


@pytest.mark.parametrize("written", [verdicts, attempts])
def test_what_a_receiver_says_is_masked_before_it_is_written(written: object) -> None:
    """In every text field of those events, but for those that are our own."""
    seen, models = set(), set()
    for said, event in written():  # type: ignore[operator]
        value = (encode(event, 0, now_ms=1, fence=0).value or b"").decode()
        fields = event.model_dump(mode="json")
        assert telling({"record": value} | {name: str(text) for name, text in fields.items()}, {said}) == []
        models.add(type(event))
        seen |= {(type(event), name) for name, text in fields.items() if isinstance(text, str) and "***" in text}
    texts = {(model, path[0]) for model in models for path in text_paths(model)}
    assert seen == {(model, name) for model, name in texts if name not in OUR_OWN}


def test_a_log_line_tells_none(capfd: pytest.CaptureFixture[str]) -> None:
    """Of ours, of a library's, or in a trace."""
    with configured_logging("json", "info"):
        structlog.get_logger().warning("odd", url=URL)
        logging.getLogger("some.library").warning("odd: %s", URL)
        try:
            raise ValueError(URL)
        except ValueError:
            structlog.get_logger().exception("odd")
            logging.getLogger("some.library").exception("odd")
    logged = "".join(capfd.readouterr())
    assert logged.count("***") >= 4
    assert TOKEN not in logged
