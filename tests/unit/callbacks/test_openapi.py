"""docs/openapi/callbacks.yaml is valid, and says what the routes and the body's rules are; real answers fit its schemas."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from hookline import __version__
from hookline.chain.events import Verdict
from services.callbacks.app import make_app
from services.callbacks.body import LIMITS
from services.callbacks.limit import PER_S
from tests.kit.clocks import HandClock
from tests.unit.callbacks.world import KEYS, World

DOCUMENT = Path(__file__).parents[3] / "docs" / "openapi" / "callbacks.yaml"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(DOCUMENT.read_text())
    return loaded


def resolved(document: dict[str, Any], node: Any) -> Any:
    while isinstance(node, dict) and "$ref" in node:
        at: Any = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            at = at[part]
        node = at
    return node


def answer_schema(document: dict[str, Any], status: int) -> Draft202012Validator:
    answers = document["paths"]["/u/{repository}/hook/{token}/"]["post"]["responses"]
    schema = resolved(document, answers[str(status)])["content"]["application/json"]["schema"]
    return Draft202012Validator({**schema, "components": document["components"]})


def test_valid(document: dict[str, Any]) -> None:
    validate(document)
    assert document["info"]["version"] == __version__


def test_paths_and_methods_are_the_routes(document: dict[str, Any]) -> None:
    app = make_app(KEYS, lambda: None, HandClock())
    routes = {(route.resource.canonical, route.method) for route in app.router.routes() if route.resource is not None}
    said = {
        (path, method.upper()) for path, item in document["paths"].items() for method in item if method != "parameters"
    }
    assert routes == said | {(path.rstrip("/"), method) for path, method in said}  # the last slash may be left out


def test_parameters_are_those_of_the_paths(document: dict[str, Any]) -> None:
    for path, item in document["paths"].items():
        named = {resolved(document, parameter)["name"] for parameter in item["parameters"]}
        assert named == set(re.findall(r"{(\w+)}", path))


def test_limits_of_the_body(document: dict[str, Any]) -> None:
    fields = document["components"]["schemas"]["Verdict"]["properties"]
    assert fields.pop("state")["enum"] == [verdict.value for verdict in Verdict]
    assert {name: field["maxLength"] for name, field in fields.items()} == LIMITS


def requests(world: World) -> Iterator[tuple[str, str, bytes, int]]:
    path, sealed, often = world.path(world.push(), 1), world.push(), world.path(world.push(), 1)
    world.sealed(sealed, 1, world.closing(sealed, 1))
    yield "POST", path, b'{"state": "success"}', 200
    yield "POST", path, b'{"state": "failure"}', 400
    yield "POST", path, b'{"state": "no", "context": 1}', 400
    yield "POST", path, b"x", 400
    yield "POST", path.replace("acme", "other"), b"{}", 404
    yield "GET", path, b"", 405
    yield "POST", path, b"x" * 70_000, 413
    yield "POST", world.path(sealed, 1), b'{"state": "success"}', 400
    for _ in range(PER_S):
        yield "POST", often, b"x", 400
    yield "POST", often, b'{"state": "success"}', 429


async def test_answers_are_as_it_says(document: dict[str, Any]) -> None:
    world = World()
    wanted = list(requests(world))
    async with world.replica() as replica:
        for method, path, body, status in wanted:
            async with replica.client.request(method, path, data=body) as answer:
                assert answer.status == status
                assert answer.content_type == "application/json"
                answer_schema(document, status).validate(await answer.json())


async def test_503_is_as_it_says(document: dict[str, Any]) -> None:
    world = World()
    path = world.path(world.push(), 1)
    world.cluster.down = True
    async with world.replica(wait=False) as replica, replica.client.post(path, data=b'{"state": "success"}') as answer:
        assert (answer.status, answer.content_type) == (503, "application/json")
        assert int(answer.headers["Retry-After"]) >= 1
        answer_schema(document, 503).validate(await answer.json())
