"""Bodies made to cost as much as they can, at the cap: each is answered, within a bound of work and one of memory.

Work is counted in calls of functions, so it is the same on every machine; `python -m bench.bodies` measures the time.
"""

import base64
import gzip
import json
import sys
import tracemalloc
from collections.abc import Awaitable, Callable, Mapping
from types import FrameType
from typing import NamedTuple

import aiohttp
import pytest

from hookline.chain.pipeline import Dedupe
from services.ingress.app import MAX_BODY
from services.ingress.contents import MAX_EVENTS
from tests.unit.ingress.conftest import Ingress, pipeline, shown

CALLS = 10_000
"""Functions that the answer to a request may call, whatever is in it: our client's are among them."""
CALLS_A_PUSH = 600
"""More for each push in it, with a plan to be found among 52 pipelines."""
MEMORY = 40 * MAX_BODY
"""What a body of MAX_BODY may become while it is read."""
FORM, STRUCTURED, BATCH = (
    {"Content-Type": f"application/{kind}"}
    for kind in ("x-www-form-urlencoded", "cloudevents+json", "cloudevents-batch+json")
)
PUSH = '{"action":"push","target":{"mediaType":"application/vnd.oci.image.index.v1+json","repository":"%s","tag":"v%d","digest":"sha256:aa"}}'
ENVELOPE = '{"specversion":"1.0","id":"1","source":"s","type":"x.pushed",%s}'


class Costly(NamedTuple):
    """A body of at most MAX_BODY bytes, and the sources that it is made for."""

    body: Callable[[], str | bytes]
    sources: tuple[str, ...]
    headers: Mapping[str, str] = {}


def full(unit: str, head: str = "", tail: str = "") -> str:
    """As many of that unit as fit, with commas between."""
    return head + ",".join([unit] * ((MAX_BODY - len(head) - len(tail)) // (len(unit) + 1))) + tail


def pushes(repository: str) -> str:
    return '{"events":[' + ",".join(PUSH % (repository, n) for n in range(MAX_EVENTS)) + "]}"


PIPELINES = (
    *(pipeline(f"g{number}/*", name=f"g{number}", created_at=number) for number in range(50)),
    pipeline("once/*", name="once", dedupe=Dedupe.DIGEST),
    pipeline("*", name="releases", tags="^1"),
)
ALL = ("dockerhub", "cloudevents", "nexus")
"""Of each kind one: they read a body by the same few functions."""
COSTLY = {
    "brackets": Costly(lambda: "[" * MAX_BODY, ALL),
    "objects in objects": Costly(lambda: '{"a":' * (MAX_BODY // 5), ALL),
    "empty lists": Costly(lambda: full("[]", '{"x":[', "]}"), ALL),
    "small objects": Costly(lambda: full('{"a":1}', '{"x":[', "]}"), ALL),
    "one key again and again": Costly(lambda: full('"a":1', "{", "}"), ALL),
    "huge numbers": Costly(lambda: full("9" * 4000, '{"x":[', "]}"), ALL),
    "floats": Costly(lambda: full("1.5e300", '{"x":[', "]}"), ALL),
    "no utf-8": Costly(lambda: b'{"repository":"' + b"\xff" * 1_000_000 + b'"}', ALL),
    "zeros": Costly(lambda: b"\0" * MAX_BODY, ALL),
    "spaces": Costly(lambda: " " * MAX_BODY, ALL),
    "quotes": Costly(lambda: '"" ' * (MAX_BODY // 3), ALL),
    "strings without an end": Costly(lambda: '\\"' * (MAX_BODY // 2), ALL),
    "the same, short enough to look for spaces": Costly(lambda: '\\"' * (32 * 1024), ("nexus",)),
    "a repository of many parts": Costly(lambda: '{"repository":"' + "a/" * 500_000 + 'b","updated_tags":["1"]}', ("quay",)),
    "a long tag": Costly(lambda: '{"repository":"a/b","updated_tags":["' + "1" * 1_000_000 + '"]}', ("quay",)),
    "numbers for events": Costly(lambda: full("1", '{"events":[', "]}"), ("distribution", "gitlab")),
    "objects for events": Costly(lambda: full("{}", '{"events":[', "]}"), ("distribution",)),
    "the most events": Costly(lambda: pushes("a/b"), ("distribution",)),
    "the most events that go by digest": Costly(lambda: pushes("once/b"), ("distribution",)),
    "tags": Costly(lambda: full('"t"', '{"repository":"a/b","updated_tags":[', "]}"), ("quay",)),
    "tags and much beside": Costly(
        lambda: json.dumps({"repository": "a/b", "junk": "x" * 900_000, "updated_tags": ["t"] * 20_000}), ("quay",)
    ),
    "resources": Costly(lambda: full("{}", '{"type":"PUSH_ARTIFACT","event_data":{"resources":[', "]}}"), ("harbor",)),
    "resources and much beside": Costly(
        lambda: json.dumps({"type": "PUSH_ARTIFACT", "junk": "x" * 900_000, "event_data": {"resources": [1] * 30_000}}),
        ("harbor",),
    ),
    "a batch": Costly(lambda: full("{}", "[", "]"), ("cloudevents",), BATCH),
    "attributes": Costly(lambda: ENVELOPE % ",".join(f'"a{n}":1' for n in range(49_000)), ("cloudevents", "zot"), STRUCTURED),
    "brackets in base64": Costly(
        lambda: ENVELOPE % f'"data_base64":"{base64.b64encode(b"[" * 700_000).decode()}"', ("cloudevents",), STRUCTURED
    ),
    "lists in a message": Costly(
        lambda: json.dumps({"message": {"data": base64.b64encode(b'{"a":[' + b"[]," * 230_000 + b"1]}").decode()}}), ("gar",)
    ),
    "escapes in a form": Costly(lambda: "payload=" + "%41" * (MAX_BODY // 3 - 4), ("gitea", "github", "forgejo"), FORM),
    "fields in a form": Costly(lambda: "&" * MAX_BODY, ("gitea", "github"), FORM),
    "compressed": Costly(lambda: gzip.compress(b'{"x":"' + b"a" * 1_000_000 + b'"}'), ALL, {"Content-Encoding": "gzip"}),
    "a bomb": Costly(lambda: gzip.compress(b"\0" * (300 * MAX_BODY), 6), ("dockerhub", "nexus"), {"Content-Encoding": "gzip"}),
}  # fmt: skip


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
    made, sources, headers = COSTLY[name]
    given = made()
    body = given.encode() if isinstance(given, str) else given
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
