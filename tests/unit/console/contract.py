"""docs/openapi/console.yaml, to hold every answer of every test against."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

__all__ = ["document", "fits", "operations"]

DOCUMENT = Path(__file__).parents[3] / "docs" / "openapi" / "console.yaml"
METHODS = ("get", "post", "patch", "delete")


@cache
def document() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(DOCUMENT.read_text())
    return loaded


def operations() -> dict[tuple[str, str], dict[str, Any]]:
    """By method and path, the path without its last slash."""
    return {
        (method.upper(), path.rstrip("/")): item[method]
        for path, item in document()["paths"].items()
        for method in METHODS
        if method in item
    }


def fits(method: str, path: str, status: int, body: object) -> None:
    """Fails where the document does not know such an answer to such a request."""
    asked = path.partition("?")[0].rstrip("/")
    found = next((said for (m, template), said in operations().items() if m == method and _is(template, asked)), None)
    if found is None:
        assert status in (401, 404, 405), f"{method} {path} is not in {DOCUMENT.name}, and was answered {status}"
        return
    assert str(status) in found["responses"], f"{method} {path}: {DOCUMENT.name} does not know a {status}"
    answer = _resolved(found["responses"][str(status)])
    if "content" not in answer:
        assert body is None
        return
    schema = {**answer["content"]["application/json"]["schema"], "components": document()["components"]}
    Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(body)


def _is(template: str, path: str) -> bool:
    return re.fullmatch(re.sub(r"{\w+}", "[^/]+", template), path) is not None


def _resolved(node: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        at: Any = document()
        for part in node["$ref"].removeprefix("#/").split("/"):
            at = at[part]
        node = at
    return node
