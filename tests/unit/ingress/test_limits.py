"""Bodies made to cost as much as they can, at the cap: each is answered, within a bound of work and one of memory.

Work is counted in calls of functions, so it is the same on every machine; `python -m bench.bodies` measures the time.
"""

import sys
import tracemalloc
from collections.abc import Awaitable
from types import FrameType

import aiohttp
import pytest

from services.ingress.app import MAX_BODY
from tests.unit.ingress.conftest import Ingress, shown
from tests.unit.ingress.costly import COSTLY, PIPELINES

CALLS = 10_000
"""Functions that the answer to a request may call, whatever is in it: our client's are among them."""
CALLS_A_PUSH = 600
"""More for each push in it, with a plan to be found among 52 pipelines."""
MEMORY = 40 * MAX_BODY
"""What a body of MAX_BODY may become while it is read."""


async def calls_of(post: Awaitable[aiohttp.ClientResponse]) -> tuple[int, aiohttp.ClientResponse]:
    """How many functions, of Python or C, are called until the answer is there."""
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        answer = await post
    finally:
        sys.setprofile(None)
    return calls, answer


@pytest.mark.parametrize("name", COSTLY)
async def test_a_costly_body_is_answered_within_bounds(ingress: Ingress, name: str) -> None:
    for costly_pipeline in PIPELINES:
        ingress.set_pipeline(costly_pipeline)
    costly = COSTLY[name]
    body, sources, headers = costly.made(), costly.sources, costly.headers
    assert len(body) <= MAX_BODY
    await ingress.deliver("dockerhub", b"{}")  # what is made once
    for source in sources:
        sent = {"Content-Type": "application/json", **headers, **shown(source, body)}
        calls, answer = await calls_of(ingress.post(source, body, sent))
        assert answer.status in (200, 202, 413), source
        pushes = (await answer.json())["accepted"] if answer.status == 202 else 0
        # A byte may cost a call: of each escape in a form.
        assert calls < CALLS + len(body) + CALLS_A_PUSH * pushes, source
        if source not in ("nexus", "gitea"):
            continue
        # Those look into the body before anything is proved.
        wrong = headers | {"X-Nexus-Webhook-Signature": "0", "X-Gitea-Signature": "0"}
        calls, answer = await calls_of(ingress.post(source, body, wrong))
        assert answer.status == 401
        assert calls < CALLS + len(body), source
    tracemalloc.start()
    await ingress.post(sources[0], body, {"Content-Type": "application/json", **headers, **shown(sources[0], body)})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < MEMORY
