"""Of the clouds' sources: whatever is changed in a real body, it is a push with names that fit, ignored by name, or kept with a reason."""

import base64
import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict, MultiDict

from hookline.chain.events import PushReceived
from hookline.chain.registry_names import RegistryNames
from services.ingress.contents import Contents, contents_of
from services.ingress.delivery import Delivery, Ignored, IgnoredReason
from services.ingress.name_grammar import is_digest, is_registry, is_repository, is_tag
from services.ingress.push_records import Receipt, push_received
from tests.unit.ingress.conftest import LOG_ID, NOW, READER, SOURCES
from tests.unit.ingress.test_name_grammar import BAD, GOOD
from tests.unit.ingress.test_producers import FILES, HANDSHAKES, STARTS

CLOUDS = [name for name, file in FILES.items() if file["source"] in ("acr", "ecr", "gar")]
EVENTS = [name for name in CLOUDS if name not in HANDSHAKES]
KINDS = ("detail-type", "action-type", "result", "action", "eventType", "type")
"""What tells that an event is a push."""

strange = st.sampled_from([text for texts in (*BAD.values(), *GOOD.values()) for text in texts]) | st.sampled_from(
    [None, True, 0, 7, 1.5, 1e300, "", [], {}, ["a", "b"], ["1.0"], {"a": 1}, "x" * 70_000, "\ud800", "PUSH", "ping"]
)


def open_up(body: Any) -> Any:
    """With what is in an envelope as JSON, so that it can be changed, too."""
    if isinstance(body, dict) and body.get("Type") == "Notification" and body["Message"].startswith("{"):
        return {**body, "Message": json.loads(body["Message"])}
    if isinstance(body, dict) and isinstance(body.get("message"), dict):
        return {**body, "message": {**body["message"], "data": json.loads(base64.b64decode(body["message"]["data"]))}}
    if isinstance(body, dict) and "specversion" in body:
        return {**body, "data": open_up(body["data"])}
    return copy.deepcopy(body)


def close(body: Any) -> Any:
    if isinstance(body, dict) and body.get("Type") == "Notification" and isinstance(body.get("Message"), dict):
        return {**body, "Message": json.dumps(body["Message"])}
    if (
        isinstance(body, dict)
        and isinstance(body.get("message"), dict)
        and isinstance(body["message"].get("data"), dict)
    ):
        data = base64.b64encode(json.dumps(body["message"]["data"]).encode()).decode()
        return {**body, "message": {**body["message"], "data": data}}
    if isinstance(body, dict) and "specversion" in body:
        return {**body, "data": close(body["data"])} if "data" in body else body
    return body


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place that holds a value: container and key."""
    for key, inner in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        if isinstance(inner, dict | list):
            yield from places(inner)


def read(name: str, body: Any) -> tuple[Contents, Delivery]:
    file = FILES[name]
    delivery = Delivery(json.dumps(body).encode(), CIMultiDict(file["headers"]), MultiDict())
    return contents_of(SOURCES[file["source"]], delivery, RegistryNames()), delivery


def check(name: str, contents: Contents, delivery: Delivery) -> list[PushReceived]:
    """Each of its events is somewhere, and what is a push can be read again from what is kept of it."""
    assert len(contents.pushes) + len(contents.ignored) + len(contents.unread) >= 1
    for unread in contents.unread:
        assert unread.reason
        assert "bug" not in unread.reason
        assert unread.raw
    source, events = SOURCES[FILES[name]["source"]], []
    for raw, push in contents.pushes:
        assert is_repository(push.repository)
        assert is_tag(push.tag or "")
        assert push.registry is None or is_registry(push.registry)
        assert push.digest is None or is_digest(push.digest)
        event = push_received(Receipt(source, delivery, NOW), raw, push, log_id=LOG_ID, settings_offset=0, plans=())
        assert READER.read_again(event, LOG_ID) == event
        events.append(event)
    return events


@pytest.mark.parametrize("name", EVENTS)
@settings(deadline=None, max_examples=max(10, settings.default.max_examples // 2))
@given(data=st.data())
def test_a_value_changed(name: str, data: st.DataObject) -> None:
    body = open_up(FILES[name]["body"])
    for _ in range(data.draw(st.integers(1, 3))):
        holder, key = data.draw(st.sampled_from(list(places(body))))
        if data.draw(st.booleans()) and isinstance(holder, dict):
            del holder[key]
        else:
            holder[key] = copy.deepcopy(data.draw(strange))  # the same list would be in two places
        if not list(places(body)):
            break
    check(name, *read(name, close(body)))


@pytest.mark.parametrize("name", EVENTS)
@settings(deadline=None, max_examples=max(10, settings.default.max_examples // 5))
@given(
    headers=st.dictionaries(
        st.sampled_from(sorted({h for s in ("acr", "ecr", "gar") for h in SOURCES[s].kept_headers})),
        st.text(max_size=40),
        max_size=4,
    )
)
def test_any_headers(name: str, headers: dict[str, str]) -> None:
    file = FILES[name]
    sent = CIMultiDict({**file["headers"], **headers})
    delivery = Delivery(json.dumps(file["body"]).encode(), sent, MultiDict())
    check(name, contents_of(SOURCES[file["source"]], delivery, RegistryNames()), delivery)


@pytest.mark.parametrize("name", [name for name in CLOUDS if name in STARTS])
def test_a_kind_of_event_that_nobody_told_us_of_is_kept(name: str) -> None:
    """Not ignored: it may be a push of next year."""
    changed = 0
    for other in ("PUSHED_BY_ROBOT", "com.example.renamed", "", None, 7, ["PUSH"]):
        whole = open_up(FILES[name]["body"])
        for holder, key in [place for place in places(whole) if place[1] in KINDS]:
            before = holder[key]
            holder[key] = other
            contents, _ = read(name, close(whole))
            holder[key] = before
            if contents.pushes:  # it tells nothing here: Event Grid's type says it, not what stands beside
                assert (FILES[name]["source"], key) == ("acr", "action"), other
                continue
            changed += 1
            assert contents.ignored == [], (key, other)
            assert len(contents.unread) == 1
    assert changed >= 6


def test_what_is_ignored_is_ignored_for_a_named_reason() -> None:
    for name in EVENTS:
        contents, _ = read(name, FILES[name]["body"])
        assert all(reason in IgnoredReason for reason in contents.ignored)
        assert not any(isinstance(push, Ignored) for _, push in contents.pushes)


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("ecr-push", ("detail", "image-tag")),
        ("ecr-detail", ("image-tag",)),
        ("ecr-cloudevents", ("data", "imageTag")),
        ("ecr-cloudevents-detail", ("data", "image-tag")),
        ("acr-push", ("target", "tag")),
        ("acr-grid-pushed", (0, "data", "target", "tag")),
        ("acr-event-grid-pushed", ("data", "target", "tag")),
        ("gar-unwrapped", ("tag",)),
    ],
)
def test_a_list_of_tags_is_a_push_for_each(name: str, keys: tuple[Any, ...]) -> None:
    body = open_up(FILES[name]["body"])
    holder = body
    for key in keys[:-1]:
        holder = holder[key]
    tag = holder[keys[-1]]
    holder[keys[-1]] = [tag, tag.replace("latest", "v2").replace("v1", "v2").replace("1.1", "1.2")]
    contents, delivery = read(name, body)
    assert len({push.tag for _, push in contents.pushes}) == 2
    assert len({event.push_id for event in check(name, contents, delivery)}) == 2


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("us-west-2", "amazonaws.com"),
        ("us-gov-west-1", "amazonaws.com"),
        ("cn-north-1", "amazonaws.com.cn"),
        ("eusc-de-east-1", "amazonaws.eu"),
        ("us-iso-east-1", "c2s.ic.gov"),
        ("us-isob-east-1", "sc2s.sgov.gov"),
        ("us-isof-south-1", "csp.hci.ic.gov"),
        ("eu-isoe-west-1", "cloud.adc-e.uk"),
    ],
)
def test_amazons_registries_have_the_names_that_clients_use(region: str, host: str) -> None:
    contents, _ = read("ecr-push", {**FILES["ecr-push"]["body"], "region": region})
    ((_, push),) = contents.pushes
    assert push.registry == f"123456789012.dkr.ecr.{region}.{host}"
