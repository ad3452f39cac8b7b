"""docs/openapi/console.yaml is valid and says what the routes and forms are. Real answers are held against it by `Running.call`."""

import asyncio
import re
from pathlib import Path
from typing import get_args

from openapi_spec_validator import validate

from hookline import __version__
from hookline.chain.events import ChainEvent, HaltReason, RedeliveryRequested, Verdict
from hookline.clock import SystemClock
from hookline.log.watch import LogState
from hookline.settings import Settings
from hookline.testing.memory import MemoryCluster
from services.console.api.login import API
from services.console.forms import PIPELINE_FORM, HookForm
from services.console.readmodel.standing import Status
from services.console.service import Console
from services.console.why import WhyCode
from tests.unit.console.contract import document, operations
from tests.unit.console.histories import LOG_ID
from tests.unit.console.running import KEY, PASSWORD


def test_valid() -> None:
    validate(document())
    assert document()["info"]["version"] == __version__


def test_paths_and_methods_are_the_routes(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, master_keys=[KEY], admin_password=PASSWORD)
    app = Console(settings, SystemClock(), MemoryCluster(), check_log=lambda: asyncio.sleep(0, LogState(LOG_ID))).app
    routes = [(r.method, r.resource.canonical) for r in app.router.routes() if r.resource is not None]
    routes = [(method, path) for method, path in routes if path.startswith(API)]
    said = set(operations())
    assert set(routes) == said | {(method, f"{path}/") for method, path in said}
    assert len(routes) == len(set(routes))


def test_parameters_are_those_of_the_paths() -> None:
    for path, item in document()["paths"].items():
        named = {str(p.get("name", p.get("$ref", ""))).rpartition("/")[2] for p in item.get("parameters", ())}
        assert named == set(re.findall(r"{(\w+)}", path))


def test_forms() -> None:
    schemas = document()["components"]["schemas"]
    for model, name in ((PIPELINE_FORM, "PipelineForm"), (HookForm, "HookForm")):
        made, said = model.model_json_schema(), schemas[name]
        assert made["required"] == said["required"]
        assert made["properties"].keys() == said["properties"].keys()
        for field, shape in made["properties"].items():
            for limit in ("minLength", "maxLength", "minItems", "maxItems", "minimum", "maximum"):
                if limit in shape:
                    assert said["properties"][field][limit] == shape[limit], (field, limit)
            if shape.get("default") is not None:
                assert said["properties"][field]["default"] == shape["default"]


def test_words() -> None:
    schemas = document()["components"]["schemas"]
    assert schemas["Status"]["enum"] == [status.value for status in Status]
    assert schemas["Reason"]["enum"] == [*(reason.value for reason in HaltReason), None]
    assert schemas["Step"]["properties"]["verdict"]["enum"] == [*(verdict.value for verdict in Verdict), None]
    why = schemas["Push"]["properties"]["nothing_started"]["oneOf"][1]
    assert why["properties"]["code"]["enum"] == [code.value for code in WhyCode]


def test_a_timeline_may_hold_every_event_of_a_chain() -> None:
    kinds = document()["components"]["schemas"]["Event"]["properties"]["type"]["enum"]
    assert sorted(kinds) == sorted(model.__name__ for model in (*get_args(ChainEvent), RedeliveryRequested))


def test_every_answer_may_wait_for_the_sessions() -> None:
    for operation, said in operations().items():
        assert "503" in said["responses"], operation
