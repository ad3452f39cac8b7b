"""Events to records and back: CloudEvents in Kafka's binary mode (design section 2)."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.chain.events import EVENTS, Fence, Quarantined
from hookline.chain.pipeline import LOG_ID_KEY, LogId
from hookline.errors import Undecodable
from hookline.log.codec import decode, decode_setting, encode, encode_quarantined, encode_setting, topic_of, type_of
from hookline.log.records import Draft, Place, RawRecord, Topic
from tests.kit.events import LOG_ID, START, plan
from tests.unit.chain.logs import PARTITION, Logs
from tests.unit.log.random_logs import logs


def as_read(draft: Draft, offset: int = 5) -> RawRecord:
    return RawRecord(draft.place, offset, START, draft.key, draft.value, draft.headers)


@given(logs())
def test_every_event_comes_back_as_it_was(made: Logs) -> None:
    for topic, events in made.events.items():
        for raw, (event, fence) in zip(made.records[topic], events, strict=True):
            record = decode(raw)
            assert (record.event, record.fence) == (event, fence)
            assert (record.topic, record.partition, record.offset) == (topic, PARTITION, raw.offset)


@given(logs())
def test_headers_are_cloudevents(made: Logs) -> None:
    for topic, records in made.records.items():
        for raw in records:
            headers = raw.headers
            assert headers["ce_specversion"] == b"1.0"
            assert headers["ce_id"]
            assert headers["content-type"] == b"application/json"
            assert headers["ce_time"].endswith(b"+00:00")
            assert headers["ce_source"].startswith(b"/hookline/")
            assert headers["ce_type"].decode() in EVENTS
            assert topic_of(EVENTS[headers["ce_type"].decode()]) is topic
            assert json.loads(raw.value or b"")


def test_a_decision_written_twice_shows_as_such() -> None:
    made = Logs()
    (chain,) = made.push(plan())
    made.fence()
    made.delivered(chain, 1)
    made.delivered(chain, 1)
    made.delivered(chain, 1, attempt=2)
    ids = [raw.headers["ce_id"] for raw in made.records[Topic.DELIVERIES][1:]]
    assert ids[0] == ids[1] != ids[2]


def test_the_key_of_all_that_belongs_to_a_push_is_its_id() -> None:
    made = Logs()
    (chain,) = made.push(plan())
    made.verdict(chain, 1)
    made.rerun(chain, plan())
    made.fence()
    made.delivered(chain, 1)
    keys = {
        raw.key
        for records in made.records.values()
        for raw in records
        if raw.headers["ce_type"] != b"hookline.Fence.v1"
    }
    assert keys == {chain[:36].encode()}


def changed(raw: RawRecord, value: bytes | None = None, **headers: bytes | None) -> RawRecord:
    kept = {k: v for k, v in ({**raw.headers, **headers}).items() if v is not None}
    return RawRecord(raw.place, raw.offset, raw.timestamp, raw.key, raw.value if value is None else value, kept)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"ce_type": b"hookline.HookDelivered.v2"}, "hookline.HookDelivered.v2"),
        ({"ce_type": None}, "ce_type"),
        ({"ce_type": b"hookline.PushReceived.v1"}, "does not belong in deliveries"),
        ({"fence": None}, "fence"),
        ({"fence": b"x"}, "x"),
        ({"value": b"{"}, "JSON"),
        ({"value": b""}, "JSON"),
        ({"value": b'{"step": 1}'}, "cause"),
    ],
)
def test_what_this_version_cannot_read_says_where_and_why(change: dict[str, bytes | None], why: str) -> None:
    made = Logs()
    (chain,) = made.push(plan())
    made.fence()
    offset = made.delivered(chain, 1)
    raw = changed(made.records[Topic.DELIVERIES][offset], **change)
    with pytest.raises(Undecodable, match=why) as said:
        decode(raw)
    assert (said.value.topic, said.value.partition, said.value.offset) == ("deliveries", PARTITION, offset)


def test_a_record_without_a_value_is_undecodable() -> None:
    raw = as_read(encode(Fence(owner="w", fenced_at=START), 1, now_ms=START))
    with pytest.raises(Undecodable):
        decode(RawRecord(raw.place, 1, START, None, None, raw.headers))


def test_an_undecodable_record_keeps_its_content_out_of_the_words() -> None:
    """I11: a record may hold what must not be in a log line."""
    made = Logs()
    made.push(plan())
    raw = made.records[Topic.PUSHES][0]
    said = json.loads(raw.value or b"") | {"received_at": "s3cr3t-token"}
    with pytest.raises(Undecodable) as error:
        decode(changed(raw, json.dumps(said).encode()))
    assert "received_at" in str(error.value)
    assert "s3cr3t" not in str(error.value)


@given(st.dictionaries(st.text(min_size=1), st.integers(), max_size=3))
def test_unknown_fields_are_ignored(extra: dict[str, int]) -> None:
    event = Fence(owner="w", fenced_at=START)
    raw = as_read(encode(event, 1, now_ms=START))
    said = extra | json.loads(raw.value or b"")
    assert decode(changed(raw, json.dumps(said).encode())).event == event


def test_the_log_id_is_a_setting() -> None:
    draft = encode_setting(LogId(log_id=LOG_ID), now_ms=START)
    assert (draft.place, draft.key) == (Place(Topic.PIPELINES, 0), LOG_ID_KEY)
    assert decode_setting(as_read(draft), LogId).log_id == LOG_ID


def test_a_deleted_pipeline_is_a_tombstone() -> None:
    draft = encode_setting(None, now_ms=START, pipeline_id="p1")
    assert (draft.key, draft.value) == (b"p1", None)


def test_a_setting_of_another_kind_is_undecodable() -> None:
    draft = encode_setting(LogId(log_id=LOG_ID), now_ms=START)
    from hookline.chain.pipeline import Pipeline

    with pytest.raises(Undecodable, match="is not a Pipeline"):
        decode_setting(as_read(draft), Pipeline)


def test_a_quarantined_body_lies_under_its_digest() -> None:
    event = Quarantined(source="dockerhub", received_at=START, reason="no repository", raw="x")
    draft = encode_quarantined(event, b"x", now_ms=START)
    assert draft.place == Place(Topic.QUARANTINE, 0)
    assert draft.key == b"2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    assert Quarantined.model_validate_json(draft.value or b"") == event


def test_types_are_named_for_good() -> None:
    assert type_of(Fence(owner="w", fenced_at=START)) == "hookline.Fence.v1"
