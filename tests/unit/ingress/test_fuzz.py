"""No body, header or encoding makes ingress answer 5xx while the log is up, nor writes a record that nobody can read."""

import gzip
import json
import zlib
from typing import Any, NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict, MultiDict

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
captured = [file.read_bytes() for file in dockerhub_files()] + [
    json.loads(file.read_text())["body_raw"].encode() for file in sorted((DATA / "distribution").glob("*.json"))
]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A captured body with something cut out and something put in."""
    body: bytes = draw(st.sampled_from(captured))
    start = draw(st.integers(0, len(body)))
    end = draw(st.integers(start, min(len(body), start + 40)))
    return body[:start] + draw(st.binary(max_size=20)) + body[end:]


bodies = (
    (dockerhub_bodies | envelopes | values).map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass"))
    | damaged()
    | st.binary(max_size=200)
)
packings = st.sampled_from([bytes, gzip.compress, zlib.compress, lambda body: gzip.compress(body)[:-3]])
encodings = st.sampled_from([None, b"gzip", b"deflate", b"br", b"identity", b"\xff"])
header_values = st.binary(max_size=30).map(lambda value: bytes(b for b in value if b >= 32 and b != 127))
header_names = st.sampled_from([b"User-Agent", b"Content-Type", b"X-Request-Id", b"Accept", b"Cookie", b"X-Other"])


class Sent(NamedTuple):
    """A request with a good credential, and anything else."""

    source: str
    body: bytes
    headers: list[bytes]


@st.composite
def requests(draw: st.DrawFn) -> Sent:
    kept = draw(st.dictionaries(header_names, header_values, max_size=4))  # a header twice is no HTTP
    headers = [name + b": " + value for name, value in kept.items()]
    if (encoding := draw(encodings)) is not None:
        headers.append(b"Content-Encoding: " + encoding)
    source, body = draw(st.sampled_from(sorted(SOURCES))), draw(packings)(draw(bodies))
    credential = [f"{name}: {value}".encode() for name, value in shown(source, body).items()]
    return Sent(source, body, credential + headers)


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(requests(), min_size=1, max_size=6))
async def test_every_delivery_is_answered_202_and_is_where_the_answer_says(sent: list[Sent]) -> None:
    async with running() as ingress:
        pushes = 0
        for source, body, headers in sent:
            status, answer = await answer_to(ingress, source, headers, body)
            assert status == 202, answer
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


@settings(deadline=None)
@given(source=st.sampled_from(sorted(SOURCES)), body=bodies)
def test_no_source_fails_on_anything(source: str, body: bytes) -> None:
    """A bug of a source goes to quarantine as such; there must be none."""
    contents = contents_of(SOURCES[source], Delivery(body, CIMultiDict(), MultiDict()))
    assert not [unread for unread in contents.unread if "bug" in unread.reason]
