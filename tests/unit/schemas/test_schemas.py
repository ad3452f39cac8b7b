"""The checked-in schemas are those of the models, and records as the codec writes them are valid by them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator, ValidationError

from hookline.chain.events import EVENTS, Quarantined
from hookline.chain.pipeline import Hook, Pipeline
from hookline.log.codec import encode, encode_quarantined, encode_setting
from hookline.log.records import Draft
from hookline.schemas.folder import check
from hookline.schemas.models import MODELS, Schema, all_schemas, schema_of
from tests.kit import events

ROOT = Path(__file__).parents[3]
PUSH = "0b5a1c1e-2f3d-5a6b-8c7d-9e0f1a2b3c4d"
HOOK = Hook(id="h", key="k1", name="test", url="http://127.0.0.1:9/", created_at=1, updated_at=1)
PIPELINE = Pipeline(
    pipeline_id="p", repository="acme/app", name="ci", slug="ci", hooks=(HOOK,), created_at=1, updated_at=1
)


def test_the_folder_is_as_the_models_are() -> None:
    assert check(ROOT / "schemas", all_schemas()) == []


def test_every_event_has_a_schema() -> None:
    assert MODELS.keys() >= EVENTS.keys()


def drafts() -> list[Draft]:
    plans = (PIPELINE.plan(0),)
    payload = {"callback_url": "", "push_data": {"images": [], "tag": None}}
    return [
        encode(events.push(*plans, push_id=PUSH, payload=payload, tag=None, producer_id=None), 0, now_ms=1),
        encode(events.verdict(f"{PUSH}-0-0-0"), 0, now_ms=1),
        encode(events.fence(), 0, now_ms=1),
        encode_setting(PIPELINE, now_ms=1),
        encode_quarantined(Quarantined(source="dockerhub", received_at=1, reason="no repository", raw="{}"), b"{}", now_ms=1),
    ]  # fmt: skip


def schema_and_value(draft: Draft) -> tuple[Schema, dict[str, object]]:
    ce_type = draft.headers["ce_type"].decode()
    return json.loads((ROOT / "schemas" / f"{ce_type}.json").read_text()), json.loads(draft.value or b"")


@pytest.mark.parametrize("draft", drafts(), ids=lambda draft: draft.headers["ce_type"].decode())
def test_what_the_codec_writes_is_valid(draft: Draft) -> None:
    schema, value = schema_and_value(draft)

    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(value)
    Draft202012Validator(schema).validate({**value, "a_field_of_the_future": {"x": 1}})
    with pytest.raises(ValidationError):
        Draft202012Validator(schema).validate({})


@pytest.mark.parametrize("ce_type", MODELS)
def test_fields_are_open_at_every_depth(ce_type: str) -> None:
    """Readers ignore unknown fields: a schema that forbids them would make every new field a break."""
    assert '"additionalProperties": false' not in json.dumps(schema_of(ce_type, MODELS[ce_type]))


def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "hookline.schemas", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_the_command_writes_then_checks(tmp_path: Path) -> None:
    before = run("--check", tmp_path)
    assert before.returncode == 1
    assert (
        "hookline.PushReceived.v1: hookline.PushReceived.v1.json is not as the model is; run scripts/schemas"
        in before.stderr
    )

    assert run(tmp_path).returncode == 0
    after = run("--check", tmp_path)
    assert (after.returncode, after.stderr) == (0, "")


def test_the_command_writes_nothing_over_a_conflict(tmp_path: Path) -> None:
    run(tmp_path)
    shape = tmp_path / "history" / "hookline.Fence.v1" / "1.json"
    shape.write_text(
        shape.read_text().replace('"owner": {\n      "type": "string"', '"owner": {\n      "type": "integer"')
    )
    (tmp_path / "hookline.PushReceived.v1.json").unlink()

    said = run(tmp_path)

    assert said.returncode == 1
    assert "owner: type was 'integer', is now 'string'" in said.stderr
    assert not (tmp_path / "hookline.PushReceived.v1.json").exists()
