"""Every declared setting of a pipeline gets everywhere: form, answers, topic, a push's plan, page, and the API's description."""

import json
from enum import StrEnum

import pytest

from hookline.chain.pipeline import Pipeline
from hookline.chain.pipeline_settings import SETTINGS, PipelineSettings, PlanSettings, Setting
from hookline.log.codec import decode_setting
from hookline.log.records import Topic
from services.console.pages import setting_rows
from tests.unit.console.contract import document
from tests.unit.console.running import Running
from tests.unit.console_pages.visiting import Visitor

OTHERS = {"registry": "ghcr.io", "tags": ["v*"], "artifacts": ["sbom"], "retry_delays": [7]}


def other_than_default(field: str) -> object:
    """A value that a client may send."""
    match PipelineSettings.model_fields[field].default:
        case bool(default):
            return not default
        case int(default):
            return default * 2 or 1
        case StrEnum() as default:
            return next(value.value for value in type(default) if value is not default)
        case _:
            return OTHERS[SETTINGS[field].name]


@pytest.mark.parametrize("field", SETTINGS)
async def test_a_setting_gets_everywhere(field: str, console: Running, visitor: Visitor) -> None:
    setting, other = SETTINGS[field], other_than_default(field)
    made = await console.make("acme/shop")
    before = await visitor.get("/repositories/acme/shop")

    status, changed = await console.call("PATCH", f"/api/pipelines/{made['id']}", {setting.name: other})

    assert status == 200
    assert changed | {"warnings": []} == made | {setting.name: other}, "by the API, and nothing else with it"
    stored = decode_setting(console.records(Topic.PIPELINES)[-1], Pipeline)
    assert stored.sent()[setting.name] == other, "in the topic"
    assert getattr(stored, field) != PipelineSettings.model_fields[field].default
    plan = json.loads(stored.plan(0).model_dump_json())
    assert plan.get(field) == (other if field in PlanSettings.model_fields else None), "in the plan, if it says so"
    after = await visitor.get("/repositories/acme/shop")
    assert setting.label is None or setting.label in after.text
    assert after.text != before.text, "on the page"
    _, renamed = await console.call("PATCH", f"/api/pipelines/{made['id']}", {"name": "renamed"})
    assert renamed[setting.name] == other, "what is not sent stays"


@pytest.mark.parametrize("field", SETTINGS)
def test_the_description_of_the_api_has_it(field: str) -> None:
    shapes = document()["components"]["schemas"]
    assert SETTINGS[field].name in shapes["PipelineForm"]["properties"]
    assert SETTINGS[field].name in shapes["PipelineFields"]["required"]


class _Wider(Pipeline):
    """With settings for which the page has no words of its own."""

    quiet_s: int = 90
    loud: bool = False
    times: int = 3
    names: tuple[str, ...] = ("a", "b")
    note: str | None = None


def test_a_setting_without_words_of_its_own_is_shown_by_its_type(monkeypatch: pytest.MonkeyPatch) -> None:
    own = _Wider.model_fields.keys() - Pipeline.model_fields.keys()
    added = {field: Setting(field.title()) for field in _Wider.model_fields if field in own}
    monkeypatch.setattr(setting_rows, "SETTINGS", {**SETTINGS, **added, "hidden": Setting(None)})
    made = _Wider(pipeline_id="p", repository="a/b", name="ci", slug="ci", hooks=(), created_at=1, updated_at=1)
    assert setting_rows.setting_rows(made)[-5:] == [
        ("Quiet_S", "1 min 30 s"),
        ("Loud", "no"),
        ("Times", "3"),
        ("Names", "a, b"),
        ("Note", "none"),
    ]
