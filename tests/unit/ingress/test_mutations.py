"""20,000 real bodies of each source with something changed: every event of them is a push with names that fit, ignored by a named
reason, or kept with a reason; nothing else comes of it, and no fault of ours."""

import json
import os
from collections import Counter
from collections.abc import Mapping
from copy import deepcopy
from random import Random
from typing import Any, NamedTuple

import pytest
from multidict import CIMultiDict, MultiDict

from hookline.chain.registry_names import RegistryNames
from services.ingress.contents import contents_of
from services.ingress.delivery import Delivery, IgnoredReason
from services.ingress.name_grammar import check_names
from tests.unit.ingress.conftest import DATA, SOURCES, distribution_request, dockerhub_files
from tests.unit.ingress.test_front_door import CASES

BODIES = int(os.environ.get("HOOKLINE_TEST_MUTATIONS", "20000"))
NAMES = RegistryNames({"registry:5000": "registry.example.com"})
ODD: tuple[Any, ...] = (
    None, True, 0, -1, 1.5, 1e300, "", " ", "a", "A/B", "a//b", "../a", "a b", "é", "\0", "a:b", "a@b", ":", "@", "sha256:", "latest",
    "x" * 300, "ab" * 32, "pkg:oci/a@b?repository_url=c/d", "https://h:99999/a/b:c", [], ["1"], ["1", "2"], [None, {}], {}, {"a": 1},
    "push", "pushed", "delete", "2026-11-29 20:25:46", "2026-11-29T20:25:46Z", "../../etc/passwd", "<script>", "a\nb", "\ud800",
)  # fmt: skip


class Real(NamedTuple):
    """What a producer was seen to send."""

    body: Any
    headers: Mapping[str, str]


def real_bodies(source: str) -> list[Real]:
    files = [json.loads(file.read_text()) for file in sorted((DATA / "producers").glob("*.json"))]
    found = [Real(file["body"], file["headers"]) for file in files if file["source"] == source]
    found += [Real(c.body, dict(c.headers)) for c in CASES if c.source == source and not isinstance(c.body, str)]
    if source == "dockerhub":
        found += [Real(json.loads(file.read_text()), {}) for file in dockerhub_files()]
    if source in ("distribution", "gitlab"):
        names = [file.stem for file in sorted((DATA / "distribution").glob("v*.json"))]
        found += [Real(json.loads(body), headers) for body, headers in map(distribution_request, names)]
    return found


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every place that holds a value: container and key."""
    found = []
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        found.append((value, key))
        if isinstance(inner, dict | list):
            found += places(inner)
    return found


def changed(random: Random, real: Real) -> Delivery:
    """With one to three values changed, taken out, doubled or exchanged; now and then with some bytes cut out."""
    body, headers = deepcopy(real.body), dict(real.headers)
    for _ in range(random.randint(1, 3)):
        there = places(body) if isinstance(body, dict | list) else []
        if not there:
            break
        parent, key = random.choice(there)
        match random.randrange(5):
            case 0:
                del parent[key]
            case 1:
                parent[key] = [parent[key], deepcopy(random.choice(ODD))]
            case 2:
                other, place = random.choice(there)
                parent[key] = deepcopy(other[place]) if place in other or isinstance(other, list) else None
            case _:
                parent[key] = deepcopy(random.choice(ODD))
    if headers and random.random() < 0.1:
        headers[random.choice(list(headers))] = random.choice(
            ["", "other", "application/x-www-form-urlencoded", "\udcff"]
        )
    raw = json.dumps(body).encode("utf-8", "surrogatepass")
    if random.random() < 0.05:
        start = random.randrange(len(raw))
        raw = raw[:start] + raw[start + random.randint(1, 20) :]
    query = {"registry": random.choice(["r.example.com", "a b", ""])} if random.random() < 0.1 else {}
    return Delivery(raw, CIMultiDict(headers), MultiDict(query))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", sorted(SOURCES))
def test_nothing_odd_starts_anything_and_nothing_vanishes(name: str) -> None:
    random, reals = Random(name), real_bodies(name)
    assert reals
    came_of_it: Counter[str] = Counter()
    for _ in range(BODIES):
        delivery = changed(random, random.choice(reals))
        contents = contents_of(SOURCES[name], delivery, NAMES)
        for _, push in contents.pushes:
            check_names(push)
            assert push.registry == (None if push.registry is None else NAMES.of(push.registry))
        assert all(reason in IgnoredReason for reason in contents.ignored)
        assert all(unread.reason and "bug" not in unread.reason for unread in contents.unread), (
            delivery,
            contents.unread,
        )
        came_of_it.update(
            pushes=bool(contents.pushes), ignored=bool(contents.ignored), unread=bool(contents.unread),
            nothing=not (contents.pushes or contents.ignored or contents.unread),
        )  # fmt: skip
        if not (contents.pushes or contents.ignored or contents.unread):
            assert delivery.body in (b'{"events": []}', b"[]"), "an event that left no trace"
    kinds = {"pushes", "unread", "ignored"} - (
        {"ignored"} if name == "dockerhub" else set()
    )  # it sends nothing but pushes
    assert min(came_of_it[kind] for kind in kinds) > BODIES // 100, came_of_it
