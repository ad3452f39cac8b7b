"""Schemathesis: requests made from docs/openapi/ingress.yaml, fitting and not; every answer is one that it describes."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from tests.unit.ingress.conftest import BEARER, running, shown

DOCUMENT = Path(__file__).parents[3] / "docs" / "openapi" / "ingress.yaml"
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
]
"""Not `negative_data_rejection`: a body that fits nothing is taken, and kept in quarantine (design section 6)."""

EXAMPLES = max(20, settings.default.max_examples // 3)
"""Each is a request; what a body can do is for test_fuzz.py."""

schema = schemathesis.openapi.from_path(DOCUMENT)
schema.config.generation.update(modes=list(schemathesis.GenerationMode))


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    """An ingress on a loop and a thread of its own: Schemathesis waits for answers."""
    started, address = threading.Event(), ""
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        nonlocal address
        async with running() as ingress:
            address = "http://{}:{}".format(*ingress.address)
            started.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert started.wait(30)
    yield address
    loop.call_soon_threadsafe(stop.set)
    thread.join(30)
    loop.close()


@pytest.mark.filterwarnings("ignore")
@schema.parametrize()
@settings(deadline=None, max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
def test_every_answer_is_described(case: schemathesis.Case, base_url: str) -> None:
    case.call_and_validate(base_url=base_url, headers=BEARER, checks=CHECKS)


@pytest.mark.filterwarnings("ignore")
@given(schema["/events/{source}"]["POST"].as_strategy())  # `parametrize` would add two hundred cases, as above
@settings(deadline=None, max_examples=10, suppress_health_check=list(HealthCheck))
def test_without_a_credential_nothing_is_taken(base_url: str, case: schemathesis.Case) -> None:
    for name in ("Authorization", "X-Api-Key", "X-JFrog-Event-Auth", "X-Hub-Signature-256"):
        (case.headers or {}).pop(name, None)
    (case.query or {}).pop("token", None)
    answer = case.call(base_url=base_url)
    assert answer.status_code >= 400


def test_the_answers_come_from_a_real_ingress(base_url: str) -> None:
    import requests

    answer = requests.post(f"{base_url}/events/quay", data="{}", headers=shown("quay", "{}"), timeout=10)
    assert answer.status_code == 202
