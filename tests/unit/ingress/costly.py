"""Bodies of at most MAX_BODY bytes made to cost as much as they can, and pipelines that make them dearer.

For the test that bounds their work and memory, and for `python -m bench.bodies`, which measures their time.
"""

import base64
import gzip
import json
from collections.abc import Callable, Mapping
from typing import NamedTuple

from hookline.chain.pipeline import Dedupe
from services.ingress.app import MAX_BODY
from services.ingress.contents import MAX_EVENTS
from tests.unit.ingress.conftest import pipeline

__all__ = ["COSTLY", "PIPELINES", "Costly"]

FORM, STRUCTURED, BATCH = (
    {"Content-Type": f"application/{kind}"}
    for kind in ("x-www-form-urlencoded", "cloudevents+json", "cloudevents-batch+json")
)
PUSH = (
    '{"action":"push","target":{"mediaType":"application/vnd.oci.image.index.v1+json","repository":"%s","tag":"v%d","digest":"sha256:'
    + "a" * 64
    + '"}}'
)
ENVELOPE = '{"specversion":"1.0","id":"1","source":"s","type":"x.pushed",%s}'


class Costly(NamedTuple):
    """A body of at most MAX_BODY bytes, and the sources that it is made for."""

    body: Callable[[], str | bytes]
    sources: tuple[str, ...]
    headers: Mapping[str, str] = {}

    def made(self) -> bytes:
        body = self.body()
        return body.encode() if isinstance(body, str) else body


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
    "escapes in a form": Costly(lambda: "payload=" + "%41" * (MAX_BODY // 3 - 4), ("gitea",), FORM),
    "fields in a form": Costly(lambda: "&" * MAX_BODY, ("gitea", "github"), FORM),
    "compressed": Costly(lambda: gzip.compress(b'{"x":"' + b"a" * 1_000_000 + b'"}'), ALL, {"Content-Encoding": "gzip"}),
    "a bomb": Costly(lambda: gzip.compress(b"\0" * (100 * MAX_BODY), 1), ("dockerhub", "nexus"), {"Content-Encoding": "gzip"}),
}  # fmt: skip
