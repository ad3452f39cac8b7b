"""CNCF Distribution's envelopes: every captured request, and what starts something."""

import json
from typing import Any

import pytest

from hookline.chain.events import PushReceived
from services.ingress.contents import MAX_EVENTS
from tests.metric_values import value_of
from tests.unit.ingress.conftest import DATA, NOW, Ingress, distribution_request

STARTS = {
    "v2.8.2-push-manifest-tag-v1": ("team/app", "v1", "alice"),
    "v2.8.2-push-retag-v2-same-digest": ("team/app", "v2", "alice"),
    "v2.8.2-push-same-tag-again": ("team/app", "v2", "alice"),
    "v3.1.1-push-docker-schema2-manifest-noauth": ("team/dockerfmt", "v1", None),
    "v3.1.1-push-index-tag": ("team/multi", "1.0.0", "alice"),
    "v3.1.1-push-oras-artifact": ("team/artifact", "v1", None),
}
IGNORED = {
    "v2.8.2-delete-blob": "delete",
    "v2.8.2-delete-manifest-digest": "delete",
    "v2.8.2-delete-tag-cascade": "delete",
    "v2.8.2-pull-HEAD-blob-config": "pull",
    "v2.8.2-pull-manifest": "pull",
    "v2.8.2-push-by-digest-no-tag": "untagged",
    "v2.8.2-push-index-child-no-tag": "untagged",
    "v2.8.2-push-layer-blob": "blob",
    "v3.1.1-delete-manifest-digest": "delete",
    "v3.1.1-mount-blob": "mount",
    "v3.1.1-pull-manifest": "pull",
    "v3.1.1-push-index-child-no-tag": "untagged",
    "v3.1.1-push-layer-blob": "blob",
}
OTHERS = {"verdaccio-6.8.0-publish"}
INDEX = "application/vnd.oci.image.index.v1+json"


def event(**target: Any) -> dict[str, Any]:
    return {
        "id": "e1",
        "timestamp": "2026-11-24T03:51:03.389101583Z",
        "action": "push",
        "target": {"mediaType": INDEX, "digest": f"sha256:{'a' * 64}", "repository": "team/app", "tag": "v1", **target},
        "request": {"host": "Registry.Example.com"},
        "actor": {"name": "alice"},
    }


def envelope(*events: object) -> str:
    return json.dumps({"events": events})


async def only_push(ingress: Ingress, body: str) -> PushReceived:
    assert (await ingress.deliver("distribution", body))["accepted"] == 1
    (push,) = ingress.pushes()
    return push


def test_every_captured_request_is_named_here() -> None:
    assert {file.stem for file in (DATA / "distribution").glob("*.json")} == {*STARTS, *IGNORED, *OTHERS}


@pytest.mark.parametrize("name", STARTS)
async def test_a_tagged_manifest_or_index_starts_something(ingress: Ingress, name: str) -> None:
    body, headers = distribution_request(name)
    assert await ingress.deliver("distribution", body, headers) == {
        "accepted": 1,
        "duplicates": 0,
        "ignored": 0,
        "quarantined": 0,
    }
    (push,) = ingress.pushes()
    sent = json.loads(body)["events"][0]
    assert (push.repository, push.tag, push.pusher) == STARTS[name]
    assert push.source == "distribution"
    assert push.producer_id == sent["id"]
    assert push.dedupe_window_s == 24 * 3600
    assert push.registry == sent["request"]["host"]
    assert (push.digest, push.media_type) == (sent["target"]["digest"], sent["target"]["mediaType"])
    assert push.raw == body
    assert push.headers == {"content-type": headers["Content-Type"], "user-agent": "Go-http-client/1.1"}
    assert abs(push.pushed_at - NOW) < 7 * 24 * 3600 * 1000


@pytest.mark.parametrize("name", IGNORED)
async def test_everything_else_starts_nothing_and_is_nowhere(ingress: Ingress, name: str) -> None:
    body, headers = distribution_request(name)
    assert await ingress.deliver("distribution", body, headers) == {
        "accepted": 0,
        "duplicates": 0,
        "ignored": 1,
        "quarantined": 0,
    }
    assert not ingress.pushes()
    assert not ingress.quarantine()


async def test_ignored_events_are_counted_by_reason(ingress: Ingress) -> None:
    from services.ingress.metrics import IGNORED as COUNTER

    for name, reason in IGNORED.items():
        before = value_of(COUNTER.labels("distribution", reason))
        await ingress.deliver("distribution", *distribution_request(name))
        assert value_of(COUNTER.labels("distribution", reason)) == before + 1


async def test_another_producers_body_is_quarantined(ingress: Ingress) -> None:
    """Verdaccio's publish: no envelope of events."""
    body, headers = distribution_request("verdaccio-6.8.0-publish")
    await ingress.deliver("distribution", body, headers)
    (kept,) = ingress.quarantine()
    assert kept.reason == 'no list "events"'
    assert kept.raw == body


async def test_the_payload_has_docker_hubs_shape(ingress: Ingress) -> None:
    push = await only_push(ingress, envelope(event()))
    assert json.dumps(push.payload) == json.dumps(
        {
            "push_data": {
                "pushed_at": 1795492263,
                "pusher": "alice",
                "tag": "v1",
                "images": [],
                "media_type": INDEX,
                "digest": f"sha256:{'a' * 64}",
                "artifact_type": "index",
            },
            "repository": {
                "status": "Active",
                "namespace": "team",
                "name": "app",
                "repo_name": "team/app",
                "repo_url": "https://registry.example.com/team/app",
                "description": "",
                "full_description": "",
                "star_count": 0,
                "comment_count": 0,
                "is_private": True,
                "is_trusted": False,
                "is_official": False,
                "owner": "team",
                "date_created": 1795492263,
                "registry": "registry.example.com",
            },
        }
    )
    assert push.pushed_at == 1_795_492_263_389


async def test_what_is_not_known_is_left_out(ingress: Ingress) -> None:
    bare = {"action": "push", "target": {"mediaType": INDEX, "repository": "App", "tag": "1", "digest": ""}}
    push = await only_push(ingress, envelope(bare))
    assert (push.registry, push.digest, push.pusher, push.producer_id) == (None, None, None, None)
    assert push.dedupe_window_s == 120
    assert push.pushed_at == NOW
    data, repository = push.payload["push_data"], push.payload["repository"]
    kind = {"media_type": INDEX, "artifact_type": "index"}
    assert data == {"pushed_at": NOW // 1000, "pusher": "", "tag": "1", "images": [], **kind}
    assert isinstance(repository, dict)
    assert (repository["namespace"], repository["name"], repository["owner"]) == ("", "app", "")
    assert repository["repo_url"] == ""
    assert "registry" not in repository


@pytest.mark.parametrize("tag", ["sha256-" + "a" * 64 + end for end in ("", ".sig", ".att", ".sbom")])
async def test_a_referrers_tag_is_no_release(ingress: Ingress, tag: str) -> None:
    assert (await ingress.deliver("distribution", envelope(event(tag=tag))))["ignored"] == 1


@pytest.mark.parametrize("tag", ["sha256-" + "a" * 64 + ".tgz", "sha256-abc", "x-sha256-" + "a" * 64])
async def test_a_tag_that_looks_nearly_so_is_one(ingress: Ingress, tag: str) -> None:
    assert (await only_push(ingress, envelope(event(tag=tag)))).tag == tag


async def test_a_number_as_tag_is_its_text(ingress: Ingress) -> None:
    push = await only_push(ingress, envelope(event(tag=20261124)))
    assert push.tag == "20261124"


async def test_one_unreadable_event_does_not_hold_up_the_others(ingress: Ingress) -> None:
    nested: Any = 1
    for _ in range(150):
        nested = [nested]
    bad = [{"action": "push", "target": {}}, "no object", {"id": "x"}, {"action": "pull", "x": nested}]
    body = envelope(event(), *bad, {"action": "pull"}, {**event(tag="v2"), "id": "e2"})
    assert await ingress.deliver("distribution", body) == {
        "accepted": 2,
        "duplicates": 0,
        "ignored": 1,
        "quarantined": 4,
        "reason": "no repository: target.repository is missing",
    }
    assert {push.tag for push in ingress.pushes()} == {"v1", "v2"}
    assert [kept.reason for kept in ingress.quarantine()] == [
        "no repository: target.repository is missing",
        "the event is not a JSON object",
        "no action",
        "nested more than 100 levels deep",
    ]
    # Each is kept as a body of its own, for a retry.
    assert [json.loads(kept.raw) for kept in ingress.quarantine()] == [{"events": [one]} for one in bad]
    assert [json.loads(push.raw)["events"][0]["id"] for push in ingress.pushes() if push.tag == "v2"] == ["e2"]


async def test_an_event_of_many_is_the_same_push_as_when_it_came_alone(ingress: Ingress) -> None:
    await ingress.deliver("distribution", envelope(event()))
    assert await ingress.deliver("distribution", envelope({"action": "pull"}, event(), event())) == {
        "accepted": 0,
        "duplicates": 2,
        "ignored": 1,
        "quarantined": 0,
    }
    assert len({push.push_id for push in ingress.pushes()}) == 1


async def test_an_envelope_of_many_is_taken_whole_and_one_of_too_many_is_quarantined_whole(ingress: Ingress) -> None:
    body = envelope(*({**event(), "id": f"e{n}"} for n in range(MAX_EVENTS)))
    assert (await ingress.deliver("distribution", body))["accepted"] == MAX_EVENTS
    assert len({push.producer_id for push in ingress.pushes()}) == MAX_EVENTS
    body = envelope(*({**event(), "id": f"e{n}"} for n in range(MAX_EVENTS + 1)))
    assert await ingress.deliver("distribution", body) == {
        "accepted": 0,
        "duplicates": 0,
        "ignored": 0,
        "quarantined": 1,
        "reason": f"more than {MAX_EVENTS} events, or 4 MiB of them, in one body",
    }
    (kept,) = ingress.quarantine()
    assert kept.reason.startswith(f"more than {MAX_EVENTS} events")
    assert kept.raw == body


async def test_an_empty_envelope_is_fine(ingress: Ingress) -> None:
    assert await ingress.deliver("distribution", '{"events": []}') == {
        "accepted": 0,
        "duplicates": 0,
        "ignored": 0,
        "quarantined": 0,
    }


async def test_a_redelivery_within_24_hours_is_a_duplicate(ingress: Ingress) -> None:
    await ingress.deliver("distribution", envelope(event()))
    ingress.clock.advance(24 * 3600 - 1)
    assert (await ingress.deliver("distribution", envelope({**event(), "timestamp": "late"})))["duplicates"] == 1
    ingress.clock.advance(24 * 3600)
    assert (await ingress.deliver("distribution", envelope(event())))["accepted"] == 1
