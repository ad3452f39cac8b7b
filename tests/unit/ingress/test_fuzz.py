"""No body, header or encoding makes ingress answer 5xx while the log is up, nor writes a record that nobody can read."""

import gzip
import json
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict, MultiDict

from hookline.chain.registry_names import RegistryNames
from hookline.log.codec import decode
from services.ingress.contents import contents_of
from services.ingress.delivery import Delivery
from tests.unit.ingress.conftest import DATA, SOURCES, Ingress, dockerhub_files, running, shown
from tests.unit.ingress.raw import answer_to

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(
        [
            "",
            "/",
            ":",
            "a/b",
            "a/b:c",
            "push",
            "1e9",
            1e308,
            2**53,
            -(2**63),
            "2026-11-24T03:51:03Z",
            "9999-12-31T23:59:59-14:00",
        ]
    )
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def objects(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects that have some of these keys, with what belongs there or anything else."""
    return st.fixed_dictionaries({}, optional={key: value | values for key, value in fields.items()})


texts = st.text(max_size=12)
names = st.sampled_from(["acme/app", "app", "Acme/App:v1", "a//b", "/"])
manifests = st.sampled_from(["application/vnd.oci.image.index.v1+json", "application/octet-stream", ""])
dockerhub_bodies = objects(
    callback_url=texts,
    push_data=objects(tag=texts | st.integers(), pushed_at=st.integers() | st.floats(), pusher=texts, media_type=texts),
    repository=objects(repo_name=names, name=names, namespace=texts, star_count=texts, date_created=st.floats()),
)
events = objects(
    id=texts,
    timestamp=st.datetimes().map(lambda time: time.isoformat() + "Z"),
    action=st.sampled_from(["push", "push", "push", "pull", "mount", "delete", "other"]),
    target=objects(mediaType=manifests, repository=names, tag=texts, digest=texts),
    request=objects(host=texts),
    actor=objects(name=texts),
)
envelopes = objects(events=st.lists(events, max_size=4))
producers = [json.loads(file.read_text()) for file in sorted((DATA / "producers").glob("*.json"))]
captured = [
    *(file.read_bytes() for file in dockerhub_files()),
    *(json.loads(file.read_text())["body_raw"].encode() for file in sorted((DATA / "distribution").glob("*.json"))),
    *(json.dumps(file["body"]).encode() for file in producers),
    *(urlencode({"payload": json.dumps(file["body"])}).encode() for file in producers if "git" in file["source"]),
]
cloud_events = objects(
    specversion=st.sampled_from(["1.0", "0.3"]),
    id=texts,
    source=st.sampled_from(["https://r.example.com/x", "urn:aws:ecr:r:a:x", "/projects/1", ""]),
    type=st.sampled_from(
        ["a.image.pushed", "harbor.artifact.pushed", "zotregistry.image.updated", "x.published.0.2", "pushed"]
    ),
    time=texts | st.datetimes().map(lambda time: time.isoformat() + "Z"),
    subject=st.sampled_from(["a/b:c", ":", "@", "a"]),
    data=objects(repository=names, tag=texts, name=names, reference=texts, resources=st.lists(values, max_size=3)),
    data_base64=texts | st.just("e30="),
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A captured body with something cut out and something put in."""
    body: bytes = draw(st.sampled_from(captured))
    start = draw(st.integers(0, len(body)))
    end = draw(st.integers(start, min(len(body), start + 40)))
    return body[:start] + draw(st.binary(max_size=20)) + body[end:]


bodies = (
    (dockerhub_bodies | envelopes | cloud_events | st.lists(cloud_events, max_size=3) | values).map(
        lambda value: json.dumps(value).encode("utf-8", "surrogatepass")
    )
    | damaged()
    | st.binary(max_size=200)
)
packings = st.sampled_from([bytes, gzip.compress, zlib.compress, lambda body: gzip.compress(body)[:-3]])
encodings = st.sampled_from([None, b"gzip", b"deflate", b"br", b"identity", b"\xff"])
header_values = st.binary(max_size=30).map(lambda value: bytes(b for b in value if b >= 32 and b != 127))
CONTENT_TYPES = (
    b"application/json",
    b"application/x-www-form-urlencoded",
    b"application/cloudevents+json",
    b"application/cloudevents-batch+json; charset=utf-8",
)
known_values = st.sampled_from(
    [
        b"1.0",
        b"package",
        b"ping",
        b"a.image.pushed",
        b"zotregistry.image.updated",
        b"%FF%00",
        b"x",
        b"2026-11-24T00:00:00Z",
    ]
)
header_names = st.sampled_from(
    [name.encode() for source in SOURCES.values() for name in sorted(source.kept_headers)]
    + [b"User-Agent", b"X-Request-Id", b"Accept", b"Cookie", b"X-Other"]
)


class Sent(NamedTuple):
    """A request with a good credential, and anything else."""

    source: str
    body: bytes
    headers: list[bytes]


@st.composite
def requests(draw: st.DrawFn) -> Sent:
    kept = draw(st.dictionaries(header_names, known_values | header_values, max_size=6))  # a header twice is no HTTP
    headers = [name + b": " + value for name, value in kept.items()]
    headers.append(b"Content-Type: " + draw(st.sampled_from(CONTENT_TYPES) | header_values))
    if (encoding := draw(encodings)) is not None:
        headers.append(b"Content-Encoding: " + encoding)
    source, body = draw(st.sampled_from(sorted(SOURCES))), draw(packings)(draw(bodies))
    credential = [f"{name}: {value}".encode() for name, value in shown(source, body).items()]
    return Sent(source, body, credential + headers)


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(requests(), min_size=1, max_size=6))
async def test_every_delivery_is_taken_and_is_where_the_answer_says(sent: list[Sent]) -> None:
    async with running() as ingress:
        pushes = 0
        for source, body, headers in sent:
            status, answer = await answer_to(ingress, source, headers, body)
            assert status in (200, 202), answer
            pushes = check(ingress, json.loads(answer), pushes)


def check(ingress: Ingress, tally: dict[str, int], before: int) -> int:
    """I1: what was accepted is in `pushes` beside the `before` ones, and every record can be read again; how many there are."""
    pushes, quarantined = ingress.raw_pushes(), ingress.quarantine()
    assert len(pushes) == before + tally["accepted"] + tally["duplicates"]
    for raw in pushes:
        decode(raw)
    for kept in quarantined:
        assert kept.reason
        assert "bug" not in kept.reason
    return len(pushes)


@st.composite
def strange_credentials(draw: st.DrawFn) -> list[bytes]:
    names = st.sampled_from([b"Authorization", b"X-Hub-Signature-256", b"X-Gitea-Signature", b"X-Forgejo-Signature",
                             b"X-JFrog-Event-Auth", b"X-Nexus-Webhook-Signature", b"X-Api-Key"])  # fmt: skip
    beginnings = st.sampled_from([b"", b"Bearer ", b"Basic ", b"sha256=", b"Bearer e30.e30.", b"Basic OjE="])
    return [name + b": " + draw(beginnings) + draw(header_values) for name in draw(st.sets(names, max_size=3))]


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(sorted(SOURCES)), strange_credentials(), bodies)
async def test_no_credential_that_is_none_opens_anything(source: str, headers: list[bytes], body: bytes) -> None:
    async with running() as ingress:
        status, answer = await answer_to(ingress, source, headers, body)
        assert status in (400, 401), answer  # 400: no HTTP for aiohttp
        assert not ingress.raw_pushes()
        assert not ingress.quarantine()


@settings(deadline=None)
@given(
    source=st.sampled_from(sorted(SOURCES)),
    body=bodies,
    headers=st.dictionaries(header_names, known_values | header_values, max_size=6),
    content_type=st.sampled_from(CONTENT_TYPES),
)
def test_no_source_fails_on_anything(
    source: str, body: bytes, headers: dict[bytes, bytes], content_type: bytes
) -> None:
    """A bug of a source goes to quarantine as such; there must be none."""
    sent = CIMultiDict({"Content-Type": content_type.decode()})
    for name, value in headers.items():
        sent[name.decode()] = value.decode("utf-8", "surrogateescape")
    contents = contents_of(SOURCES[source], Delivery(body, sent, MultiDict()), RegistryNames())
    assert not [unread.reason for unread in contents.unread if "bug" in unread.reason]


@pytest.mark.parametrize("file", producers, ids=lambda file: f"{file['source']}: {file['from'][:30]}")
@settings(deadline=None, max_examples=max(10, settings.default.max_examples // 5))
@given(data=st.data())
def test_no_source_fails_on_its_own_events_with_one_value_changed(file: dict[str, Any], data: st.DataObject) -> None:
    body = json.loads(json.dumps(file["body"]))
    places = list(_places(body))
    parent, key = data.draw(st.sampled_from(places))
    parent[key] = data.draw(values | st.sampled_from([{}, [], "", None]))
    delivery = Delivery(json.dumps(body).encode("utf-8", "replace"), CIMultiDict(file["headers"]), MultiDict())
    contents = contents_of(SOURCES[file["source"]], delivery, RegistryNames())
    assert not [unread.reason for unread in contents.unread if "bug" in unread.reason]


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a body that holds a value: container and key."""
    for key, inner in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        if isinstance(inner, dict | list):
            yield from _places(inner)
