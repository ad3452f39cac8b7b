"""docs/openapi/ingress.yaml says what ingress does."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from openapi_spec_validator import validate

from hookline.settings import Settings
from hookline.testing.manual_clock import ManualClock
from services.ingress.app import ingress_app
from services.ingress.credentials import Credentials, id_of
from services.ingress.scope import Scope
from services.ingress.sources import discover
from tests.unit.ingress.conftest import (
    BEARER,
    DATA,
    SOURCES,
    TOKEN,
    Ingress,
    distribution_request,
    dockerhub_files,
    running,
)

DOCUMENT = Path(__file__).parents[3] / "docs" / "openapi" / "ingress.yaml"
HANDSHAKE = '[{"eventType": "Microsoft.EventGrid.SubscriptionValidationEvent", "data": {"validationCode": "abc"}}]'
PUSH = '{"push_data":{"tag":"v1"},"repository":{"repo_name":"acme/app"}}'


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(DOCUMENT.read_text())
    return loaded


def schema(document: dict[str, Any], name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}", "components": document["components"]}


def test_it_is_valid(document: dict[str, Any]) -> None:
    validate(document)


def test_it_has_the_routes_and_no_others(document: dict[str, Any]) -> None:
    app = ingress_app({}, lambda: None, ManualClock(), Settings())
    routes = {
        (route.resource.canonical.rstrip("/"), route.method.lower())  # a slash at the end is a spelling
        for route in app.router.routes()
        if route.resource is not None
    }
    described = {
        (path, method) for path, methods in document["paths"].items() for method in methods if method != "parameters"
    }
    assert described == routes


def test_it_has_every_source(document: dict[str, Any]) -> None:
    source = document["paths"]["/events/{source}"]["parameters"][0]
    assert source["schema"]["enum"] == list(discover())
    for name, one in discover().items():
        assert (f"`{name}`" in source["description"]) == one.preview


async def test_the_answers_are_as_described(document: dict[str, Any]) -> None:
    answers = document["paths"]["/events/{source}"]["post"]["responses"]
    limited = Credentials((TOKEN.encode(),), scopes={id_of(TOKEN.encode()): Scope(("other/*",))})
    async with (
        running() as ingress,
        running(tokens=()) as closed,
        running(known=dict.fromkeys(SOURCES, limited)) as narrow,
    ):
        await check(answers, document, 403, narrow, "dockerhub", PUSH)
        await check(answers, document, 200, ingress, "acr", '{"action": "ping"}')
        await check(answers, document, 200, ingress, "acr", HANDSHAKE)
        await check(answers, document, 202, ingress, "dockerhub", PUSH)
        await check(answers, document, 202, ingress, "dockerhub", "{")
        await check(answers, document, 401, ingress, "dockerhub", PUSH, {})
        await check(answers, document, 404, ingress, "nothing", PUSH)
        await check(answers, document, 404, closed, "dockerhub", PUSH)
        await check(answers, document, 413, ingress, "dockerhub", "x" * 2_000_000)
        ingress.cluster.down = True
        await check(answers, document, 503, ingress, "dockerhub", PUSH)


async def check(
    answers: dict[str, Any],
    document: dict[str, Any],
    status: int,
    ingress: Ingress,
    source: str,
    body: str,
    headers: dict[str, str] = BEARER,
) -> None:
    answer = await ingress.post(source, body, headers)
    assert answer.status == status
    described = answers[str(status)]
    jsonschema.validate(
        await answer.json(),
        {**described["content"]["application/json"]["schema"], "components": document["components"]},
    )
    assert set(described.get("headers", ())) <= set(answer.headers)


async def test_the_answers_to_options_are_as_described(document: dict[str, Any]) -> None:
    answers = document["paths"]["/events/{source}"]["options"]["responses"]
    async with running() as ingress:
        for source, headers, status in (
            ("acr", BEARER, 200),
            ("acr", {}, 401),
            ("x", BEARER, 404),
            ("quay", BEARER, 405),
        ):
            answer = await ingress.client.options(f"/events/{source}", headers=headers)
            assert answer.status == status
            required = {name for name, it in answers[str(status)].get("headers", {}).items() if it.get("required")}
            assert required <= set(answer.headers)
            if status != 200:
                jsonschema.validate(await answer.json(), schema(document, "Error"))


KINDS = {
    "acr": "Event", "cloudevents": "CloudEvent", "ecr": "EventBridge", "forgejo": "Gitea", "gar": "PubSub",
    "gitea": "Gitea", "github": "GitHub", "harbor": "Harbor", "jfrog": "JFrog", "nexus": "Nexus", "quay": "Quay",
}  # fmt: skip


@pytest.mark.parametrize("name", [file.stem for file in sorted((DATA / "producers").glob("*.json"))])
def test_producers_bodies_are_as_described(document: dict[str, Any], name: str) -> None:
    file = json.loads((DATA / "producers" / f"{name}.json").read_text())
    shapes = {"specversion": "CloudEvent", "Type": "Sns", "action-type": "ImageDetail", "sync-status": "ImageDetail"}
    kind = next((shape for key, shape in shapes.items() if key in file["body"]), KINDS.get(file["source"]))
    if file["source"] == "acr" and isinstance(file["body"], list):
        kind = "EventGrid"
    if file["source"] == "gar" and "action" in file["body"]:
        kind = "Notice"
    if kind is None or name in ("cloudevents-batch", "cloudevents-binary", "gitea-push", "nexus-asset", "github-push"):
        return
    if name in ("github-ping", "quay-push-older", "jfrog-artifact"):
        return
    jsonschema.validate(file["body"], schema(document, kind))


def test_captured_bodies_are_as_described(document: dict[str, Any]) -> None:
    for file in dockerhub_files():
        jsonschema.validate(json.loads(file.read_text()), schema(document, "DockerHub"))
    for name in ("v2.8.2-push-manifest-tag-v1", "v3.1.1-push-index-tag", "v2.8.2-delete-tag-cascade"):
        jsonschema.validate(json.loads(distribution_request(name)[0]), schema(document, "Envelope"))
