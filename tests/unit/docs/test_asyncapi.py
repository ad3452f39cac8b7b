"""docs/asyncapi.yaml against the code: topics, types, schemas, keys, headers and writers."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeAlias
from uuid import UUID

import pytest
import yaml
from jsonschema import Draft202012Validator, FormatChecker
from pydantic import JsonValue

from hookline import __version__
from hookline.chain.events import (
    EVENTS,
    AttemptError,
    Event,
    Fence,
    HaltReason,
    Quarantined,
)
from hookline.chain.pipeline import LogId, Pipeline
from hookline.log.codec import encode, encode_quarantined, encode_setting
from hookline.log.records import Draft, Topic
from hookline.log.snapshots import Snapshot, write_snapshot
from hookline.schemas.models import MODELS
from tests.kit import events

Json: TypeAlias = dict[str, JsonValue]

DOCS = Path(__file__).parents[3] / "docs"
DOCUMENT: Json = yaml.safe_load((DOCS / "asyncapi.yaml").read_text())
SERVICES = ("ingress", "dispatcher", "callbacks", "console")
PUSH = "0b5a1c1e-2f3d-5a6b-8c7d-9e0f1a2b3c4d"
CHAIN = f"{PUSH}-7-0-0"


def part(*path: str, of: JsonValue = None) -> Json:
    """What lies at that path, with a `$ref` in its place followed."""
    found: JsonValue = of or DOCUMENT
    for name in path:
        assert isinstance(found, dict)
        found = found[name]
        while isinstance(found, dict) and str(found.get("$ref", "")).startswith("#/"):
            found = part(*str(found["$ref"]).removeprefix("#/").split("/"))
    assert isinstance(found, dict)
    return found


def messages() -> dict[str, tuple[str, Json]]:
    """`ce_type` to its channel and message."""
    return {
        str(message["name"]): (channel, message)
        for channel in part("channels")
        for name in part("channels", channel, "messages")
        for message in [part("channels", channel, "messages", name)]
    }


def test_the_channels_are_the_topics() -> None:
    assert list(part("channels")) == list(Topic)
    assert {topic: part("channels", topic)["address"] for topic in Topic} == {t: f"hookline.{t}" for t in Topic}


def test_every_type_has_a_message_whose_payload_is_its_schema() -> None:
    found = {ce_type: message["payload"] for ce_type, (_, message) in messages().items()}
    snapshot = found.pop("hookline.Snapshot.v1")

    assert isinstance(snapshot, dict)
    assert found == {ce_type: {"$ref": f"../schemas/{ce_type}.json"} for ce_type in MODELS}
    assert all((DOCS / f"../schemas/{ce_type}.json").exists() for ce_type in found)


def test_each_topic_has_one_writer_and_callbacks_the_sealing_dispatcher_too() -> None:
    senders = [
        name
        for name, operation in part("operations").items()
        if isinstance(operation, dict) and operation["action"] == "send"
    ]

    writers = {topic: {name.split("-")[0] for name in senders if name.endswith(f"-sends-{topic}")} for topic in Topic}
    assert writers.pop(Topic.CALLBACKS) == {"callbacks", "dispatcher"}
    assert {topic: len(found) for topic, found in writers.items()} == dict.fromkeys(writers, 1)


@pytest.mark.parametrize("name", part("operations"))
def test_an_operation_is_what_its_name_says(name: str) -> None:
    service, verb, topic = name.split("-")

    assert service in SERVICES
    assert DOCUMENT["operations"][name] == {  # type: ignore[call-overload,index]
        "action": {"sends": "send", "reads": "receive"}[verb],
        "channel": {"$ref": f"#/channels/{topic}"},
    }


def test_only_pipelines_is_compacted() -> None:
    policies = {
        topic: part("channels", topic, "bindings", "kafka", "topicConfiguration")["cleanup.policy"] for topic in Topic
    }

    assert policies == {topic: ["compact"] if topic is Topic.PIPELINES else ["delete"] for topic in Topic}


def test_the_version_is_ours() -> None:
    assert part("info")["version"] == __version__


SAMPLES: dict[type[Event], Event] = {
    type(event): event
    for event in (
        events.push(push_id=PUSH),
        events.verdict(CHAIN),
        events.sealed(CHAIN, 1, 9),
        events.cancel(CHAIN),
        events.rerun(CHAIN, events.plan()),
        events.skip("pushes", 7),
        events.failed(CHAIN, error=AttemptError.DNS, status=None),
        events.delivered(CHAIN),
        events.closing(CHAIN),
        events.halted(CHAIN, 1, HaltReason.GONE),
        events.completed(CHAIN),
        events.fence(),
    )
}  # fmt: skip


class Drafts:
    """A producer that keeps what it is given."""

    def __init__(self) -> None:
        self.drafts: list[Draft] = []
        self.broken = False

    async def append(self, draft: Draft) -> int:
        self.drafts.append(draft)
        return len(self.drafts)

    async def close(self) -> None: ...


def drafts() -> Iterator[Draft]:
    for model in EVENTS.values():
        in_log = encode(SAMPLES[model], 3, now_ms=1)
        decision = in_log.place.topic is Topic.DELIVERIES and model is not Fence
        yield encode(SAMPLES[model], 3, now_ms=1, fence=4) if decision else in_log
    pipeline = Pipeline(
        pipeline_id="p", repository="acme/app", name="ci", slug="ci", hooks=(), created_at=1, updated_at=1
    )
    yield encode_setting(pipeline, now_ms=1)
    yield encode_setting(LogId(log_id=UUID(PUSH)), now_ms=1)
    yield encode_quarantined(Quarantined(source="dockerhub", received_at=1, reason="no JSON", raw="{"), b"{", now_ms=1)


def check_headers(draft: Draft, message: Json) -> None:
    """Exactly those that the document names, each as it says."""
    said = dict(part("headers", of=message))
    schemas = [said, *([part("components", "schemas", "Headers")] if said.pop("allOf", None) else [])]
    headers = {name: value.decode(errors="replace") for name, value in draft.headers.items()}

    assert headers.keys() <= {name for schema in schemas for name in part("properties", of=schema)}
    for schema in schemas:
        Draft202012Validator(schema, format_checker=FormatChecker()).validate(headers)


@pytest.mark.parametrize("draft", list(drafts()), ids=lambda draft: draft.headers["ce_type"].decode())
def test_records_are_as_the_document_says(draft: Draft) -> None:
    channel, message = messages()[draft.headers["ce_type"].decode()]

    assert draft.place.topic == channel
    check_headers(draft, message)
    service = draft.headers["ce_source"].decode().removeprefix("/hookline/")
    assert f"{service}-sends-{channel}" in part("operations")
    if draft.key is None:
        assert "bindings" not in message
    else:
        key = part("bindings", "kafka", "key", of=message)
        Draft202012Validator(key, format_checker=FormatChecker()).validate(draft.key.decode())


async def test_snapshots_are_as_the_document_says() -> None:
    producer = Drafts()
    await write_snapshot(producer, 3, UUID(PUSH), Snapshot({}, {PUSH: 1}, clock=1))
    channel, message = messages()["hookline.Snapshot.v1"]

    assert len(producer.drafts) >= 2
    for draft in producer.drafts:
        assert draft.place.topic == channel
        check_headers(draft, message)
        assert draft.key is not None
        assert len(draft.key) == 16
    assert ["last" in draft.headers for draft in producer.drafts][-2:] == [False, True]


def test_flow_mappings_are_whole() -> None:
    """An unquoted comma in a `{description: ...}` would end it: the rest becomes a key without a value."""

    def walk(value: JsonValue) -> Iterator[str]:
        if isinstance(value, Mapping):
            yield from (
                key for key, inner in value.items() if inner is None or not re.fullmatch(r"[\w.$/-]+", str(key))
            )
            for inner in value.values():
                yield from walk(inner)

    assert list(walk(DOCUMENT)) == []
