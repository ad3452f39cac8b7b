"""`hookline log`: places as people write them, what must not be skipped, and what a record shows; over real Kafka:
tests/integration/test_operations.py."""

import pytest

from hookline.cli.operate.log import Spot, fault_of, parse_spot, skip_record
from hookline.cli.operate.record_view import masked, shown
from hookline.errors import ConfigError
from hookline.log.codec import encode
from hookline.log.records import Place, RawRecord, Topic
from hookline.log.skips import Skip, skip_of
from hookline.testing.memory import MemoryCluster
from tests.kit.events import START, plan, skip
from tests.unit.chain.logs import Logs

URL = "https://ci.example.com/hooks/0123456789abcdef0123456789/run?token=geheim"


def raw(value: bytes = b"{}", topic: Topic = Topic.PUSHES, **headers: str) -> RawRecord:
    return RawRecord(Place(topic, 3), 17, START, b"key", value, {name: text.encode() for name, text in headers.items()})


@pytest.mark.parametrize(
    ("text", "topic"),
    [("pushes[3]@17", None), ("pushes[3]@17", Topic.PUSHES), ("3@17", Topic.PUSHES), (" 3@17 ", Topic.PUSHES)],
)
def test_a_place_may_be_written_as_errors_say_it(text: str, topic: Topic | None) -> None:
    assert parse_spot(text, topic) == Spot(Place(Topic.PUSHES, 3), 17)
    assert str(parse_spot(text, topic)) == "pushes[3]@17"


@pytest.mark.parametrize(
    ("text", "topic", "said"),
    [
        ("3@17", None, "name the topic"),
        ("pushes[3]@17", Topic.CALLBACKS, "name the topic"),
        ("3", Topic.PUSHES, "is not a place"),
        ("-3@1", Topic.PUSHES, "is not a place"),
        ("logs[3]@17", None, "no topic logs"),
    ],
)
def test_what_is_no_place_is_said(text: str, topic: Topic | None, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse_spot(text, topic)


def test_only_what_nobody_can_read_may_be_skipped() -> None:
    assert "no ce_type" in fault_of(raw()) or "ce_type" in fault_of(raw())
    assert fault_of(raw(b"{", ce_type="hookline.PushReceived.v1"))
    logs = Logs()
    logs.push(plan())
    with pytest.raises(ConfigError, match="can be read"):
        fault_of(logs.records[Topic.PUSHES][0])
    with pytest.raises(ConfigError, match="only records of pushes"):
        fault_of(raw(topic=Topic.PIPELINES))


@pytest.mark.parametrize("ce_type", ["hookline.PushReceived.v2", "hookline.NewThing.v1"])
def test_what_a_newer_version_wrote_is_refused(ce_type: str) -> None:
    with pytest.raises(ConfigError, match="upgrade instead"):
        fault_of(raw(ce_type=ce_type))
    assert ce_type in fault_of(raw(ce_type=ce_type), newer=True)


@pytest.mark.parametrize("newer", [False, True])
def test_a_fence_is_refused_whatever_is_asked(newer: bool) -> None:
    with pytest.raises(ConfigError, match="a Fence must not be skipped"):
        fault_of(raw(topic=Topic.DELIVERIES, ce_type="hookline.Fence.v2"), newer=newer)


async def test_it_is_written_once_to_commands_of_that_partition() -> None:
    cluster, spot = MemoryCluster(4), parse_spot("callbacks[3]@17", None)
    assert "commands[3]@0 says so" in await skip_record(cluster, spot, "ada", "broken")
    assert "skipped already, by ada: broken" in await skip_record(cluster, spot, "bob", "again")
    (written,) = cluster.log(Place(Topic.COMMANDS, 3))
    assert skip_of(written) == Skip(Topic.CALLBACKS, 17)
    assert written.headers["ce_source"] == b"/hookline/console"


# ---- what is shown


def text(record: RawRecord) -> str:
    return "\n".join(shown(record))


def test_a_record_shows_its_headers_and_what_it_says_without_secrets() -> None:
    logs = Logs()
    made = plan()
    hook = made.hooks[0].model_copy(update={"url": URL})
    logs.push(made.model_copy(update={"hooks": (hook,)}))
    said = text(logs.records[Topic.PUSHES][0])
    assert "hookline.PushReceived.v1" in said
    assert "https://ci.example.com/hooks/***/run" in said
    assert "geheim" not in said
    assert '"payload": "(' in said
    assert "repo_name" not in said
    assert "cannot be read" not in said


def test_what_cannot_be_read_shows_why_and_no_bytes_that_are_no_json() -> None:
    said = text(raw(b"\xff\xfesecret", ce_type="hookline.PushReceived.v1"))
    assert "cannot be read" in said
    assert "8 bytes" in said
    assert "secret" not in said


def test_tokens_and_bodies_are_masked_wherever_they_stand() -> None:
    token = "a" * 120
    assert masked({"x": [{"description": f"see {token}"}]}) == {"x": [{"description": "see ***"}]}
    assert masked({"answer": "body", "raw": "", "headers": {}}) == {"answer": "(6 bytes)", "raw": "", "headers": {}}


def test_a_tombstone_and_a_snapshot_are_said() -> None:
    assert "tombstone" in text(RawRecord(Place(Topic.PIPELINES, 0), 1, START, b"p", None, {}))
    assert "part of a snapshot" in text(raw(b"\x93", topic=Topic.SNAPSHOTS, snapshot="id"))


def test_a_skip_is_shown_like_any_other() -> None:
    event = skip("pushes", 17)
    draft = encode(event, 3, now_ms=START)
    said = text(RawRecord(draft.place, 0, START, draft.key, draft.value, draft.headers))
    assert '"reason": "cut off"' in said
