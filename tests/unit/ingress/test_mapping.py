"""Of the source `generic`: what is found in a body by an operator's expressions, and what is said where it is not."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from multidict import CIMultiDict, MultiDict

from hookline.chain.registry_names import RegistryNames
from hookline.errors import Unreadable
from hookline.settings import Settings
from services.ingress.contents import MAX_EVENTS, Contents, contents_of
from services.ingress.delivery import Delivery, Push
from services.ingress.expression import Expression
from services.ingress.mapping import BodyMapping
from services.ingress.sources import discover

HEX = "ab" * 32
D = f"sha256:{HEX}"


def read(expressions: Mapping[str, str], body: object, headers: Mapping[str, str] | None = None) -> Contents:
    """`body`: JSON, or bytes as they are."""
    source = discover(Settings(**{f"generic_{field}": text for field, text in expressions.items()}))["generic"]
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    return contents_of(source, Delivery(sent, CIMultiDict(headers or {}), MultiDict()), RegistryNames())


def pushes(expressions: Mapping[str, str], body: object) -> list[Push]:
    contents = read(expressions, body)
    assert not contents.unread, contents.unread
    return [push for _, push in contents.pushes]


def named(push: Push) -> tuple[str | None, str, str | None, str | None]:
    return push.registry, push.repository, push.tag, push.digest


def reasons(expressions: Mapping[str, str], body: object) -> list[str]:
    contents = read(expressions, body)
    assert not contents.pushes
    return [unread.reason for unread in contents.unread]


IMAGE = {"image": "image"}
WHOLE = f"registry.example.com:5000/acme/app:1.0@{D}"


@pytest.mark.parametrize("field", ["image", "repository"])
@pytest.mark.parametrize(
    ("written", "right"),
    [
        (WHOLE, ("registry.example.com:5000", "acme/app", "1.0", D)),
        (f"https://{WHOLE}", ("registry.example.com:5000", "acme/app", "1.0", D)),
        (f"docker://{WHOLE}", ("registry.example.com:5000", "acme/app", "1.0", D)),
        ("registry.example.com/acme/app:1.0", ("registry.example.com", "acme/app", "1.0", None)),
        ("localhost/app:1.0", ("localhost", "app", "1.0", None)),
        ("acme/app:1.0", (None, "acme/app", "1.0", None)),
        (" acme/app:1.0 ", (None, "acme/app", "1.0", None)),
        ("docker.io/nginx:1", ("docker.io", "library/nginx", "1", None)),
        (f"pkg:oci/app@sha256%3A{HEX}?repository_url=mycr.io/acme/app&tag=1.2.3", ("mycr.io", "acme/app", "1.2.3", D)),
    ],
)
def test_a_whole_reference_is_taken_apart(field: str, written: str, right: tuple[object, ...]) -> None:
    (push,) = pushes({field: "x"}, {"x": written})
    assert named(push) == right


@pytest.mark.parametrize("field", ["image", "repository"])
def test_what_is_mapped_by_itself_wins(field: str) -> None:
    other = "sha256:" + "cd" * 32
    body = {"x": WHOLE, "t": "2.0", "r": "https://public.example.com/", "d": other}
    (push,) = pushes({field: "x", "tag": "t", "registry": "r", "digest": "d"}, body)
    assert named(push) == ("public.example.com", "acme/app", "2.0", other)
    (push,) = pushes({field: "x", "tag": "t", "registry": "r", "digest": "d"}, {"x": WHOLE})
    assert named(push) == ("registry.example.com:5000", "acme/app", "1.0", D), "what is not there wins over nothing"


def test_a_repository_of_its_own_wins_over_the_image() -> None:
    (push,) = pushes({"image": "i", "repository": "r"}, {"i": WHOLE, "r": "team/other"})
    assert named(push) == ("registry.example.com:5000", "team/other", "1.0", D)
    (push,) = pushes({"image": "i", "repository": "r"}, {"i": WHOLE})
    assert push.repository == "acme/app"


def test_a_namespace_with_a_dot_is_no_host_where_the_registry_stands_beside_it() -> None:
    expressions = {"repository": "name", "registry": "registry", "tag": "tag"}
    (push,) = pushes(expressions, {"name": "my.org/app", "registry": "quay.io", "tag": "1"})
    assert named(push) == ("quay.io", "my.org/app", "1", None)
    for registry in ("registry.example.com", "registry.example.com:443", "https://Registry.example.com/v2/"):
        (push,) = pushes(expressions, {"name": "registry.example.com/app", "registry": registry, "tag": "1"})
        assert named(push) == ("registry.example.com", "app", "1", None)


@pytest.mark.parametrize(
    ("tag", "right"),
    [
        ("team/api:1.2.3", "1.2.3"),
        ("api:1.2.3", "1.2.3"),
        ("registry.example.com:5000/team/api:1.2.3", "1.2.3"),
        (f"team/api:1.2.3@{D}", "1.2.3"),
        (f"1.2.3@{D}", "1.2.3"),
        (17, "17"),
    ],
)
def test_of_a_tag_that_is_a_whole_reference_the_tag_is_taken(tag: object, right: str) -> None:
    (push,) = pushes({"repository": "name", "tag": "tag"}, {"name": "ns/team/api", "tag": tag})
    assert push.tag == right
    assert push.digest == (D if isinstance(tag, str) and "@" in tag else None)


@pytest.mark.parametrize("tag", ["team/api", "a b", "1.2/3", {"a": 1}, True, 1.5, 1e3, "é"])
def test_a_tag_that_is_none_goes_to_quarantine(tag: object) -> None:
    (reason,) = reasons({"repository": "name", "tag": "tag"}, {"name": "acme/app", "tag": tag})
    assert reason.startswith("tag: ")


@pytest.mark.parametrize("tag", [None, "", False, [], D])
def test_without_a_tag_it_starts_nothing(tag: object) -> None:
    assert read({"repository": "name", "tag": "tag"}, {"name": "acme/app", "tag": tag}).ignored == ["untagged"]


def test_a_digest_with_its_name_before_it() -> None:
    (push,) = pushes(IMAGE | {"digest": "d"}, {"image": "acme/app:1", "d": f"acme/app@{D}"})
    assert push.digest == D


def test_the_registry_where_none_is_found() -> None:
    expressions = IMAGE | {"default_registry": "https://Registry.example.com:443/"}
    assert [push.registry for push in pushes(expressions, {"image": "acme/app:1"})] == ["registry.example.com"]
    assert [push.registry for push in pushes(expressions, {"image": "quay.io/acme/app:1"})] == ["quay.io"]


# Expressions that fail


OPTIONAL = ("tag", "digest", "registry", "media_type", "pusher", "pushed_at", "id")


@pytest.mark.parametrize("field", OPTIONAL)
def test_an_optional_field_that_fails_is_not_there(field: str) -> None:
    (push,) = pushes(IMAGE | {field: "join('', ['registry.', x.region, '.example.com'])"}, {"image": "acme/app:1"})
    assert named(push) == (None, "acme/app", "1", None)


@pytest.mark.parametrize("field", ["image", "repository", "when", "each"])
def test_a_required_field_that_fails_says_so(field: str) -> None:
    expressions = {"repository": "name", field: "join('', [x])"}
    (reason,) = reasons(expressions, {"name": "acme/app", "x": 1})
    assert reason == f"HOOKLINE_GENERIC_{field.upper()} fails on it: JMESPathTypeError"


@pytest.mark.parametrize("body", [{}, {"image": None}, {"image": ""}, {"image": False}, [], ["x"]])
def test_without_a_name_it_says_which_expression_finds_none(body: object) -> None:
    assert reasons(IMAGE, body) == ["no repository: HOOKLINE_GENERIC_IMAGE finds none"]
    both = reasons(IMAGE | {"repository": "name"}, body)
    assert both == ["no repository: HOOKLINE_GENERIC_IMAGE and HOOKLINE_GENERIC_REPOSITORY find none"]


@pytest.mark.parametrize("found", [1, {"a": 1}, True])
def test_a_name_that_is_no_text_says_so(found: object) -> None:
    assert reasons(IMAGE, {"image": found}) == ["image: HOOKLINE_GENERIC_IMAGE finds no text"]


@pytest.mark.parametrize("event", [{}, {"event": "pull"}, {"event": None}])
def test_where_when_is_not_true_it_is_ignored_by_that_name(event: dict[str, str]) -> None:
    assert read(IMAGE | {"when": "event == 'push'"}, event).ignored == ["when"]


# Several in one


def test_lists_are_several_pushes() -> None:
    found = pushes({"repository": "image", "tag": "tag"}, {"image": "acme/app", "tag": ["1.0", "latest"]})
    assert [named(push) for push in found] == [(None, "acme/app", "1.0", None), (None, "acme/app", "latest", None)]
    found = pushes(IMAGE, {"image": ["acme/app:1", "quay.io/acme/web:2"]})
    assert [named(push) for push in found] == [(None, "acme/app", "1", None), ("quay.io", "acme/web", "2", None)]
    found = pushes(IMAGE | {"tag": "tag"}, {"image": ["acme/app"], "tag": ["1", "2", "3"]})
    assert [push.tag for push in found] == ["1", "2", "3"]


def test_lists_of_one_length_go_together_and_other_fields_are_the_same_for_all() -> None:
    digests = [f"sha256:{n:064x}" for n in range(2)]
    expressions = {"repository": "name", "tag": "all[].tag", "digest": "all[].digest", "pusher": "by", "id": "all[].id"}
    body = {"name": "acme/app", "by": "ci", "all": [{"tag": str(n), "digest": digests[n], "id": n} for n in range(2)]}
    found = pushes(expressions, body)
    assert [(push.tag, push.digest, push.pusher, push.producer_id) for push in found] == [
        ("0", digests[0], "ci", "0"),
        ("1", digests[1], "ci", "1"),
    ]


def test_lists_of_different_lengths_say_so() -> None:
    body = {"name": "acme/app", "all": [{"tag": "1", "digest": D}, {"tag": "2"}]}
    (reason,) = reasons({"repository": "name", "tag": "all[].tag", "digest": "all[].digest"}, body)
    assert reason == (
        "lists of different lengths: HOOKLINE_GENERIC_TAG 2, HOOKLINE_GENERIC_DIGEST 1; "
        "take the body apart with HOOKLINE_GENERIC_EACH"
    )


EACH = {
    "each": "events",
    "image": "each.image",
    "tag": "each.tag",
    "pusher": "body.by",
    "when": "!each || each.kind == 'push'",
}


def test_each_element_is_looked_at_beside_the_body() -> None:
    body = {"by": "ci", "events": [{"image": "acme/app", "tag": ["1", "2"], "kind": "push"}, {"kind": "pull"}]}
    contents = read(EACH, body)
    assert [(push.tag, push.pusher) for _, push in contents.pushes] == [("1", "ci"), ("2", "ci")]
    assert contents.ignored == ["when"]
    assert not contents.unread


def test_a_body_that_is_a_list_is_taken_apart_too() -> None:
    found = pushes({"each": "@", "image": "each"}, ["acme/app:1", "acme/app:2"])
    assert [push.tag for push in found] == ["1", "2"]


def test_one_element_that_cannot_be_read_does_not_take_the_others_with_it() -> None:
    body = {
        "events": [
            {"image": "acme/app:1", "kind": "push"},
            {"image": 7, "kind": "push"},
            {"image": "acme/app:1 2", "kind": "push"},
        ]
    }
    contents = read(EACH, body)
    assert [push.tag for _, push in contents.pushes] == ["1"]
    assert [unread.reason for unread in contents.unread] == [
        "image: HOOKLINE_GENERIC_IMAGE finds no text",
        "tag: not one that the OCI distribution-spec allows",
    ]


@pytest.mark.parametrize(("body", "reason"), [({"events": []}, "no_image"), ({"events": [], "image": []}, "no_image")])
def test_an_empty_list_is_ignored_by_name(body: object, reason: str) -> None:
    assert read(EACH, body).ignored == [reason]
    assert read(IMAGE, {"image": []}).ignored == [reason]


def test_where_each_finds_no_list_it_says_so_unless_when_says_that_it_is_no_push() -> None:
    assert reasons(EACH, {"event": "ping"}) == ["no list: HOOKLINE_GENERIC_EACH finds none"]
    assert read(EACH | {"when": "body.event != 'ping'"}, {"event": "ping"}).ignored == ["when"]


@pytest.mark.parametrize(
    ("expressions", "body"),
    [
        ({"repository": "name", "tag": "tag"}, {"name": "acme/app", "tag": [str(n) for n in range(MAX_EVENTS + 1)]}),
        ({"each": "@", "image": "each"}, ["acme/app:1"] * (MAX_EVENTS + 1)),
        ({"each": "@", "image": "each.i", "tag": "each.t"}, [{"i": "acme/app", "t": ["1"] * 26}] * 20),
        ({"each": "each", "image": "each"}, {"each": ["acme/app:1"] * 6, "filling": "x" * 900_000}),
    ],
)
def test_more_than_can_be_answered_in_time_is_refused_as_a_whole(expressions: dict[str, str], body: object) -> None:
    assert reasons(expressions, body) == ["more than 500 events, or 4 MiB of them, in one body"]


@pytest.mark.parametrize(
    "expressions", [{"image": "x"}, {"image": "x", "each": "@"}, {"image": "each", "each": "body"}]
)
def test_no_more_is_looked_for_than_may_be_taken(expressions: dict[str, str]) -> None:
    """Of a mapping itself: what is kept of a body is counted by whoever keeps it, after all was found."""
    mapping = BodyMapping({field: Expression(text) for field, text in expressions.items()}, str)
    body: dict[str, Any] = {"x": ["acme/app:1"] * 4, "body": ["acme/app:1"] * 4}
    if expressions.get("each") == "@":
        mapping = BodyMapping({"image": Expression("body.x"), "each": Expression("x")}, str)
    assert len(mapping.findings(body, 16)) in (4, 16)
    assert refused(mapping, body) == ["more than 500 events, or 4 MiB of them, in one body"]


def refused(mapping: BodyMapping, body: Any) -> list[str]:
    """Why nothing of it is taken."""
    try:
        return [str(finding) for finding in mapping.findings(body, 3)]
    except Unreadable as error:
        return [str(error)]


# What is kept of each


SEVERAL = b'{"image": "acme/app", "tag": ["1.0", "latest"], "n": 1.20, "url": "/?a=b&payload={}"}'
LISTS = {"image": "image", "tag": "tag"}


def test_what_is_kept_of_one_of_several_is_read_again_as_that_one() -> None:
    for body in (SEVERAL, b"\xef\xbb\xbf" + SEVERAL):
        contents = read(LISTS, body)
        raws = [raw for raw, _ in contents.pushes]
        assert len(set(raws)) == 2
        assert all(SEVERAL in raw for raw in raws), "as it was written"
        for raw, push in contents.pushes:
            assert read(LISTS, raw).pushes == [(raw, push)]


def test_what_is_kept_of_one_of_several_in_a_form_is_read_again_though_its_type_says_that_it_is_a_form() -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    from urllib.parse import urlencode

    contents = read(LISTS, urlencode({"payload": SEVERAL.decode()}).encode(), headers)
    assert [push.tag for _, push in contents.pushes] == ["1.0", "latest"]
    for raw, push in contents.pushes:
        assert [again for _, again in read(LISTS, raw, headers).pushes] == [push]


def test_the_one_of_several_that_could_not_be_read_is_kept_and_read_again_alone() -> None:
    contents = read(LISTS, b'{"image": "acme/app", "tag": ["1", 2.5, "3"]}')
    assert [push.tag for _, push in contents.pushes] == ["1", "3"]
    (unread,) = contents.unread
    assert read(LISTS, unread.raw).unread == [unread]
    assert [
        push.tag for _, push in read({"image": "image", "tag": "tag[0]"}, b'{"image":"acme/app","tag":["1"]}').pushes
    ] == ["1"]


@pytest.mark.parametrize("number", [0, 3, -1, "1", None, 1.5])
def test_a_place_that_is_not_in_the_body_any_more_is_said(number: Any) -> None:
    body = {"hookline_part": number, "body": {"image": "acme/app", "tag": ["1", "2"]}}
    (reason,) = reasons(LISTS, body)
    assert "of a body in which there are 2 now" in reason


def test_ids_that_several_share_are_told_apart_by_their_place() -> None:
    expressions = {"each": "events", "image": "each.image", "id": "each.id"}
    body = {
        "events": [
            {"image": "acme/app:1", "id": "a"},
            {"image": "acme/app:2", "id": "a"},
            {"image": "acme/app:3", "id": "b"},
        ]
    }
    assert [push.producer_id for push in pushes(expressions, body)] == ["a/1", "a/2", "b"]
    assert [push.producer_id for push in pushes(expressions, {"events": body["events"][:1]})] == ["a"]


@pytest.mark.parametrize("body", [b"", b"1", b'"x"', b"null", b"{", b"payload={}", b"[" * 300, b"[1,", b"\xff"])
def test_what_is_no_json_is_said(body: bytes) -> None:
    (reason,) = reasons(IMAGE, body)
    assert "bug" not in reason


def test_bounds_are_those_of_every_source() -> None:
    deep: object = 1
    for _ in range(101):
        deep = [deep]
    assert reasons(IMAGE, {"image": "acme/app:1", "x": deep}) == ["nested more than 100 levels deep"]
    assert reasons(IMAGE, {"image": "acme/app:1", "x": [0] * 50_000}) == ["more than 50000 values"]
