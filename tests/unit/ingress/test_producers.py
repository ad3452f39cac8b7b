"""What each producer sends (tests/data/producers, each file says where its shape is from), and what becomes of it."""

import json
from typing import Any, NamedTuple
from unittest.mock import ANY

import pytest

from services.ingress.metrics import IGNORED as COUNTER
from tests.metric_values import value_of
from tests.unit.ingress.conftest import BEARER, DATA, NOW, SOURCES, Ingress

FILES = {file.stem: json.loads(file.read_text()) for file in sorted((DATA / "producers").glob("*.json"))}
HARBOR = "sha256:dde8e930c7b6a490f728e66292bc9bce42efc9bbb5278bae40e4f30f6e00fe8c"
ECR = "sha256:7f5b2640fe6fb4f46592dfd3410c4a79dac4f89e4782432e0378abcd12340000"
MINUTES_10 = 1_795_510_800_000
"""2026-11-24T09:00:00Z."""


class Starts(NamedTuple):
    """A push: of its event id only the beginning."""

    repository: str
    tag: str
    registry: str | None
    digest: str | None
    pusher: str | None
    pushed_at: int
    producer_id: str | None


STARTS = {
    "harbor-push": Starts("library/busybox", "1.36.0", "harbor.dev", HARBOR, "admin", 1_678_082_303_000, None),
    "harbor-cloudevents-push": Starts("library/busybox", "1.36.0", "harbor.dev", HARBOR, "admin", 1_678_082_923_000, "66e18103-bf23-4690-9b8f-8c4a3f0a3b9c"),
    "quay-push": Starts("mynamespace/repository", "latest", "quay.io", None, None, NOW, None),
    "quay-push-older": Starts("mynamespace/repository", "latest", "quay.io", None, None, NOW, None),
    "github-package": Starts("codertocat/hello-world", "1.0.0", "ghcr.io", HARBOR, "Codertocat", 1_557_444_509_000, "72d3162e-cc78-11e3-81ab-4c9367dc0958"),
    "github-registry-package": Starts("codertocat/hello-world", "1.0.0", "ghcr.io", HARBOR, "Codertocat", 1_557_444_509_000, "72d3162e-cc78-11e3-81ab-4c9367dc0959"),
    "github-no-url": Starts("codertocat/hello-world", "1.0.0", "ghcr.io", HARBOR, "Codertocat", 1_557_444_509_000, "72d3162e-cc78-11e3-81ab-4c9367dc0962"),
    "gitea-created": Starts("acme/team/app", "1.0.0", "gitea.example.com", None, "alice", MINUTES_10, "3ba5dfe1-1d02-4a9b-8d0c-3a3a7f0c0a01"),
    "forgejo-created": Starts("acme/team/app", "1.0.0", "gitea.example.com", None, "alice", MINUTES_10, "3ba5dfe1-1d02-4a9b-8d0c-3a3a7f0c0a06"),
    "zot-updated": Starts("acme/app", "1.0.0", None, HARBOR, "alice", MINUTES_10 + 123, "0b7d9c7e-5f3a-4a55-8d65-f5f8a2e8c701"),
    "cloudevents-structured": Starts("acme/app", "1.0.0", "registry.example.com", HARBOR, "alice", MINUTES_10, "https://registry.example.com/events A234-1234-1234"),
    "cloudevents-structured-as-json": Starts("acme/app", "1.0.0", "registry.example.com", HARBOR, "alice", MINUTES_10, "https://registry.example.com/events A234-1234-1234"),
    "cloudevents-binary": Starts("acme/app", "1.0.0", "registry.example.com", HARBOR, "alice", MINUTES_10, "https://registry.example.com/events A234-1234-1234"),
    "cloudevents-base64": Starts("acme/app", "1.0.0", "registry.example.com", None, None, MINUTES_10, "https://registry.example.com/events A234-1234-1234"),
    "cloudevents-subject": Starts("acme/app", "1.0.0", "registry.example.com", None, None, MINUTES_10, "https://registry.example.com/events A234-1234-1234"),
    "cloudevents-published": Starts("acme/app", "1.0.0", "registry.example.com", HARBOR, "alice", MINUTES_10, "https://registry.example.com/events A234-1234-1234"),
    "cloudevents-ecr-reshaped": Starts("my-repo", "latest", None, ECR, None, 1_573_869_274_000, "urn:aws:ecr:us-west-2:123456789012:repository/my-repo 13cde686-328b-6117-af20-0e5566167482"),
    "generic-verdaccio": Starts("hc-demo", "1.0.0", None, None, "bob", NOW, None),
    "acr-push": Starts("hello-world", "v1", "myregistry.azurecr.io", HARBOR, None, 1_510_937_521_343, "cb8c3971-9adc-488b-xxxx-43cbb4974ff5"),
    "acr-event-grid-pushed": Starts("aci-helloworld", "v1", "myregistry.azurecr.io", HARBOR, None, 1_795_545_660_958, "31c51664-e5bd-416a-a5df-e5206bc47ed0"),
    "ecr-push": Starts("my-repo", "latest", "123456789012.dkr.ecr.us-west-2.amazonaws.com", ECR, None, 1_573_869_274_000, "13cde686-328b-6117-af20-0e5566167482"),
    "ecr-cloudevents": Starts("my-repo", "latest", "123456789012.dkr.ecr.us-west-2.amazonaws.com", ECR, None, 1_573_869_274_000, "13cde686-328b-6117-af20-0e5566167482"),
    "acr-grid-pushed": Starts("aci-helloworld", "v1", "myregistry.azurecr.io", HARBOR, None, 1_795_545_660_958, "31c51664-e5bd-416a-a5df-e5206bc47ed0"),
    "acr-grid-pushed-as-text": Starts("aci-helloworld", "v1", "myregistry.azurecr.io", HARBOR, None, 1_795_545_660_958, "31c51664-e5bd-416a-a5df-e5206bc47ed0"),
    "acr-grid-pushed-short": Starts("aci-helloworld", "v1", "myregistry.azurecr.io", HARBOR, None, 1_795_545_660_958, "31c51664-e5bd-416a-a5df-e5206bc47ed0"),
    "acr-chart-push": Starts("repo", "wordpress-5.4.0.tgz", None, HARBOR, None, 1_551_829_531_261, "6356e9e0-627f-4fed-xxxx-d9059b5143ac"),
    "acr-grid-chart-pushed": Starts("repo", "mychart-1.0.0.tgz", None, HARBOR, None, 1_552_428_991_008, "ea3a9c28-5b17-40f6-a500-3f02b682927"),
    "acr-push-charset": Starts("hello-world", "v1", "myregistry.azurecr.io", HARBOR, None, 1_510_937_521_343, "cb8c3971-9adc-488b-xxxx-43cbb4974ff5"),
    "acr-push-no-media-type": Starts("hello-world", "v1", "myregistry.azurecr.io", HARBOR, None, 1_510_937_521_343, "cb8c3971-9adc-488b-xxxx-43cbb4974ff5"),
    "ecr-detail": Starts("my-repo", "latest", None, ECR, None, NOW, None),
    "ecr-replication": Starts("docker-hub/alpine", "3.17.2", "123456789012.dkr.ecr.us-east-1.amazonaws.com", ECR, None, 1_715_201_094_000, "c8b133b1-6029-ee73-e2a1-4f466b8ba999"),
    "ecr-replication-detail": Starts("docker-hub/alpine", "3.17.2", None, ECR, None, NOW, None),
    "ecr-china": Starts("my-repo", "latest", "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", ECR, None, 1_573_869_274_000, "13cde686-328b-6117-af20-0e5566167482"),
    "ecr-sns": Starts("my-repo", "latest", "123456789012.dkr.ecr.us-west-2.amazonaws.com", ECR, None, 1_573_869_274_000, "13cde686-328b-6117-af20-0e5566167482"),
    "ecr-sns-raw": Starts("my-repo", "latest", "123456789012.dkr.ecr.us-west-2.amazonaws.com", ECR, None, 1_573_869_274_000, "13cde686-328b-6117-af20-0e5566167482"),
    "ecr-sns-cloudevents": Starts("my-repo", "latest", "123456789012.dkr.ecr.us-west-2.amazonaws.com", ECR, None, 1_573_869_274_000, "13cde686-328b-6117-af20-0e5566167482"),
    "ecr-sns-detail": Starts("my-repo", "latest", None, ECR, None, 1_573_869_275_123, "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324"),
    "ecr-sns-raw-detail": Starts("my-repo", "latest", None, ECR, None, NOW, "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324"),
    "ecr-cloudevents-subject": Starts("myrepo", "v2.1.0", "111111111111.dkr.ecr.us-west-2.amazonaws.com", ECR, None, 1_573_869_274_000, "13cde686-328b-6117-af20-0e5566167482"),
    "ecr-cloudevents-source": Starts("my.team/my-app", "latest", "987654321098.dkr.ecr.us-west-2.amazonaws.com", None, None, 1_573_869_274_000, "13cde686-328b-6117-af20-0e5566167482"),
    "ecr-cloudevents-detail": Starts("my-repo", "latest", "123456789012.dkr.ecr.us-west-2.amazonaws.com", ECR, None, 1_573_869_274_000, "13cde686-328b-6117-af20-0e5566167482"),
    "gar-unwrapped": Starts("my-project/my-repo/hello-world", "1.1", "us-docker.pkg.dev", HARBOR, None, MINUTES_10 + 123, "1070443606910003"),
    "gar-unwrapped-bare": Starts("my-project/my-repo/hello-world", "1.1", "us-docker.pkg.dev", HARBOR, None, NOW, None),
    "gar-short-tag": Starts("my-project/my-repo/hello-world", "1.1", "us-docker.pkg.dev", HARBOR, None, MINUTES_10 + 123, "1070443606910004"),
    "gar-eventarc": Starts("my-project/my-repo/hello-world", "1.1", "us-docker.pkg.dev", HARBOR, None, MINUTES_10 + 123, "1070443606910001"),
    "gar-eventarc-binary": Starts("my-project/my-repo/hello-world", "1.1", "us-docker.pkg.dev", HARBOR, None, MINUTES_10 + 123, "1070443606910001"),
    "gar-insert-tag": Starts("my-project/my-repo/hello-world", "1.1", "us-docker.pkg.dev", HARBOR, None, MINUTES_10 + 123, "1070443606910001"),
    "jfrog-pushed": Starts("docker-local/team/app", "1.0.0", "acme.jfrog.io", HARBOR, "alice@example.com", NOW, None),
    "jfrog-pushed-index": Starts("docker-local/team/app", "1.0.0", "acme.jfrog.io", HARBOR, "alice@example.com", NOW, None),
    "jfrog-no-tag-field": Starts("docker-local/team/app", "1.0.0", "acme.jfrog.io", HARBOR, None, NOW, None),
    "nexus-created": Starts("team/app", "1.0.0", None, None, "admin", MINUTES_10 + 664, "7f4a6dde-5c68-4999-bcc0-a62f3fb8ae41"),
    "nexus-updated": Starts("team/app", "1.0.0", None, None, "admin", MINUTES_10 + 664, "7f4a6dde-5c68-4999-bcc0-a62f3fb8ae42"),
}  # fmt: skip
IGNORED = {
    "harbor-push-untagged": "untagged",
    "harbor-push-signature": "referrer",
    "harbor-pull": "pull",
    "harbor-delete": "delete",
    "harbor-scan": "other_action",
    "harbor-cloudevents-untagged": "untagged",
    "harbor-cloudevents-pull": "pull",
    "quay-push-no-tags": "untagged",
    "quay-build-success": "other_action",
    "quay-vulnerability": "other_action",
    "github-untagged": "untagged",
    "github-npm": "no_image",
    "github-ping": "ping",
    "github-push": "other_action",
    "gitea-created-by-digest": "untagged",
    "gitea-deleted": "delete",
    "gitea-generic-package": "no_image",
    "gitea-push": "other_action",
    "zot-updated-by-digest": "untagged",
    "zot-updated-signature": "referrer",
    "zot-deleted": "delete",
    "zot-lint-failed": "other_action",
    "zot-repository-created": "other_action",
    "cloudevents-deleted": "delete",
    "cloudevents-scanned": "other_action",
    "generic-other": "when",
    "acr-delete": "delete",
    "acr-chart-delete": "delete",
    "acr-quarantine": "other_action",
    "acr-push-untagged": "untagged",
    "acr-grid-deleted": "delete",
    "acr-ping": "ping",
    "acr-event-grid-deleted": "delete",
    "ecr-push-untagged": "untagged",
    "ecr-delete": "delete",
    "ecr-push-failed": "other_action",
    "ecr-scan": "other_action",
    "ecr-scan-resource": "other_action",
    "ecr-inspector": "other_action",
    "ecr-archived": "other_action",
    "ecr-api-call": "other_action",
    "ecr-referrer": "referrer",
    "ecr-pull-through": "pull",
    "ecr-pull-through-detail": "pull",
    "ecr-replication-failed": "other_action",
    "gar-insert-digest": "untagged",
    "gar-delete": "delete",
    "gar-unwrapped-delete": "delete",
    "jfrog-pushed-child": "untagged",
    "jfrog-deleted": "delete",
    "jfrog-artifact": "no_image",
    "nexus-deleted": "delete",
    "nexus-npm": "no_image",
    "nexus-asset": "other_action",
}
QUARANTINED = {
    "ecr-sns-confirmation": "SNS asks to confirm a subscription: open the SubscribeURL",
    "ecr-sns-unsubscribed": "SNS says that a subscription has ended",
    "ecr-sns-text": "SNS: Message: not JSON: ",
    "ecr-unknown-event": "unknown event: detail-type is 'ECR Artifact Action'",
    "ecr-unknown-action": "unknown event: action-type is 'TAG'",
    "ecr-api-call-put-image": "PutImage by way of CloudTrail: let the rule match the detail-type ECR Image Action",
    "ecr-cloudevents-unknown": "unknown event: type is 'com.amazon.ecr.image.tagged'",
    "gar-unknown-action": "unknown event: action is 'UPDATE'",
    "acr-unknown-action": "unknown event: action is 'import'",
    "acr-grid-unknown": "unknown event: type is 'Microsoft.Storage.BlobCreated'",
}
"""What the reason begins with."""
SEVERAL = {
    "harbor-two-resources",
    "harbor-cloudevents-two-resources",
    "quay-push-two-tags",
    "cloudevents-batch",
    "acr-grid-two",
}
"""Each has a test of its own."""
HANDSHAKES = {"acr-grid-handshake": {"validationResponse": "512d38b6-c7b8-40c8-89fe-f46f9e9622b6"}}
"""What is answered."""


async def send(ingress: Ingress, name: str, /, **changed: Any) -> dict[str, int]:
    file = FILES[name]
    body = {**file["body"], **changed} if isinstance(file["body"], dict) else file["body"]
    return await ingress.deliver(file["source"], json.dumps(body), file["headers"])


def test_every_file_is_named_here_and_every_source_has_one() -> None:
    assert set(FILES) == {*STARTS, *IGNORED, *SEVERAL, *QUARANTINED, *HANDSHAKES}
    assert {file["source"] for file in FILES.values()} | {"dockerhub", "distribution", "gitlab"} == set(SOURCES)
    assert all(file["from"] for file in FILES.values())


@pytest.mark.parametrize("name", STARTS)
async def test_a_tagged_image_starts_something(ingress: Ingress, name: str) -> None:
    assert await send(ingress, name) == {"accepted": 1, "duplicates": 0, "ignored": 0, "quarantined": 0}
    (push,) = ingress.pushes()
    assert push.source == FILES[name]["source"]
    given = (push.registry, push.digest, push.pusher, push.pushed_at, push.producer_id)
    assert Starts(push.repository, push.tag or "", *given) == STARTS[name]
    assert json.loads(push.raw) == FILES[name]["body"]
    assert push.dedupe_window_s == (120 if push.producer_id is None else 24 * 3600)


@pytest.mark.parametrize("name", IGNORED)
async def test_everything_else_starts_nothing(ingress: Ingress, name: str) -> None:
    source, reason = FILES[name]["source"], IGNORED[name]
    before = value_of(COUNTER.labels(source, reason))
    headers = ingress.credential(source, json.dumps(FILES[name]["body"]))
    answer = await ingress.post(source, json.dumps(FILES[name]["body"]), FILES[name]["headers"] | headers)
    assert answer.status == (200 if reason == "ping" else 202)
    assert await answer.json() == {"accepted": 0, "duplicates": 0, "ignored": 1, "quarantined": 0}
    assert value_of(COUNTER.labels(source, reason)) == before + 1
    assert not ingress.pushes()
    assert not ingress.quarantine()


@pytest.mark.parametrize("name", QUARANTINED)
async def test_what_may_be_a_push_is_kept_as_it_came(ingress: Ingress, name: str) -> None:
    """With what an operator needs: the body, SNS's SubscribeURL in it, and the headers that say what it is."""
    await send(ingress, name)
    (kept,) = ingress.quarantine()
    assert kept.reason.startswith(QUARANTINED[name])
    assert json.loads(kept.raw) == FILES[name]["body"]
    assert not ingress.pushes()


@pytest.mark.parametrize("name", HANDSHAKES)
async def test_a_handshake_is_answered_and_not_kept(ingress: Ingress, name: str) -> None:
    file = FILES[name]
    answer = await ingress.post(file["source"], json.dumps(file["body"]), {**file["headers"], **BEARER})
    assert (answer.status, await answer.json()) == (200, HANDSHAKES[name])
    assert (await ingress.post(file["source"], json.dumps(file["body"]), file["headers"])).status == 401
    assert not ingress.pushes()
    assert not ingress.quarantine()


@pytest.mark.parametrize("name", STARTS)
async def test_a_delivery_twice_is_a_duplicate(ingress: Ingress, name: str) -> None:
    await send(ingress, name)
    assert await send(ingress, name) == {"accepted": 0, "duplicates": 1, "ignored": 0, "quarantined": 0}
    assert len({push.push_id for push in ingress.pushes()}) == 1


@pytest.mark.parametrize("name", STARTS)
async def test_the_payload_is_docker_hubs(ingress: Ingress, name: str) -> None:
    """Every receiver ever written for it reads these; what the producer gave more is beside them."""
    await send(ingress, name)
    (push,) = ingress.pushes()
    data, repository = push.payload["push_data"], push.payload["repository"]
    assert isinstance(data, dict)
    assert isinstance(repository, dict)
    assert (data["tag"], data["pusher"], data["images"]) == (push.tag, push.pusher or "", [])
    assert data["pushed_at"] == repository["date_created"] == push.pushed_at // 1000
    assert data.get("digest") == push.digest
    assert repository["repo_name"] == push.repository
    assert f"{repository['namespace']}/{repository['name']}".strip("/") == push.repository
    assert repository.get("registry") == push.registry
    assert repository["repo_url"] == (f"https://{push.registry}/{push.repository}" if push.registry else "")


@pytest.mark.parametrize("name", STARTS)
async def test_what_is_kept_is_enough_to_read_it_again(ingress: Ingress, name: str) -> None:
    """A replay with newer code has the raw body and the kept headers, nothing else."""
    await send(ingress, name)
    (push,) = ingress.pushes()
    again = {"Content-Type": "", **push.headers, **ingress.credential(push.source, push.raw)}
    assert await ingress.deliver(push.source, push.raw, again) == {
        "accepted": 0,
        "duplicates": 1,
        "ignored": 0,
        "quarantined": 0,
    }


async def test_without_a_repository_it_is_quarantined(ingress: Ingress) -> None:
    missing = {
        "harbor-push": {"event_data": {"resources": [{"tag": "1"}]}},
        "quay-push": {"repository": None, "docker_url": None},
        "github-package": {"package": {"package_type": "container", "package_version": {}}},
        "gitea-created": {"package": {"type": "container"}},
        "zot-updated": {"name": ""},
        "cloudevents-structured": {"data": {"tag": "1"}},
        "cloudevents-binary": {"repository": 7},
        "generic-verdaccio": {"name": "a//b"},
        "acr-push": {"target": {}},
        "ecr-push": {"detail": {"action-type": "PUSH", "result": "SUCCESS"}},
        "gar-insert-tag": {"message": {"data": "e30"}},
        "jfrog-pushed": {"data": {"repo_key": "k"}},
        "nexus-created": {"component": {"format": "docker"}},
    }
    for number, (name, changed) in enumerate(missing.items(), 1):
        assert await send(ingress, name, **changed) == {
            "accepted": 0,
            "duplicates": 0,
            "ignored": 0,
            "quarantined": 1,
            "reason": ANY,
        }, name
        assert len(ingress.quarantine()) == number
    assert not ingress.pushes()
    assert all("bug" not in kept.reason for kept in ingress.quarantine())


async def test_a_referrers_tag_is_no_release_anywhere(ingress: Ingress) -> None:
    tag = "sha256-" + "a" * 64 + ".sig"
    for name, changed in {
        "quay-push": {"updated_tags": [tag]},
        "cloudevents-binary": {"tag": tag},
        "generic-verdaccio": {"versions": [tag]},
        "nexus-created": {"component": {"format": "docker", "name": "a/b", "version": tag}},
    }.items():
        assert (await send(ingress, name, **changed))["ignored"] == 1, name


# Several in one


async def test_harbor_with_two_resources_is_two_pushes(ingress: Ingress) -> None:
    for name in ("harbor-two-resources", "harbor-cloudevents-two-resources"):
        assert (await send(ingress, name))["accepted"] == 2
        assert (await send(ingress, name))["duplicates"] == 2
    assert {push.tag for push in ingress.pushes()} == {"1.36.0", "1.36"}
    assert len({push.push_id for push in ingress.pushes()}) == 4
    for push in ingress.pushes():
        assert (await ingress.deliver("harbor", push.raw, push.headers))["duplicates"] == 1


async def test_a_chart_of_azures_old_chart_repositories_says_what_it_is(ingress: Ingress) -> None:
    for name in ("acr-chart-push", "acr-grid-chart-pushed"):
        await send(ingress, name)
    assert [push.artifact_type for push in ingress.pushes()] == ["helm_chart", "helm_chart"]


async def test_event_grid_with_two_events_is_two_pushes(ingress: Ingress) -> None:
    assert (await send(ingress, "acr-grid-two"))["accepted"] == 2
    assert (await send(ingress, "acr-grid-two"))["duplicates"] == 2
    assert {push.tag for push in ingress.pushes()} == {"v1", "latest"}
    for push in ingress.pushes():
        assert (await ingress.deliver("acr", push.raw, push.headers))["duplicates"] == 1


async def test_quay_with_two_tags_is_two_pushes(ingress: Ingress) -> None:
    assert (await send(ingress, "quay-push-two-tags"))["accepted"] == 2
    assert (await send(ingress, "quay-push-two-tags"))["duplicates"] == 2
    assert {push.tag for push in ingress.pushes()} == {"latest", "1.2.3"}


async def test_quays_second_release_of_a_tag_is_no_repeat_after_two_minutes(ingress: Ingress) -> None:
    await send(ingress, "quay-push")
    ingress.clock.advance(119)
    assert (await send(ingress, "quay-push"))["duplicates"] == 1
    ingress.clock.advance(121)
    assert (await send(ingress, "quay-push"))["accepted"] == 1


async def test_a_batch_of_cloud_events_with_one_that_is_none(ingress: Ingress) -> None:
    assert await send(ingress, "cloudevents-batch") == {
        "accepted": 2,
        "duplicates": 0,
        "ignored": 1,
        "quarantined": 1,
        "reason": "the event is not a JSON object",
    }
    assert {push.tag for push in ingress.pushes()} == {"1.0.0", "1.0.1"}
    (kept,) = ingress.quarantine()
    assert (kept.reason, kept.raw) == ("the event is not a JSON object", '"no event"')
    for push in ingress.pushes():
        assert (await ingress.deliver("cloudevents", push.raw, push.headers))["duplicates"] == 1


# CloudEvents


@pytest.mark.parametrize(
    ("changed", "headers"),
    [
        ({"id": None}, {}),
        ({"id": ""}, {}),
        ({"id": 7}, {}),
        ({"source": ""}, {}),
        ({"type": None}, {}),
        ({"specversion": "0.3"}, {}),
        ({"time": 5}, {}),
        ({"time": []}, {}),
        ({"time": "yesterday"}, {}),
        ({"Bad-Name": "x"}, {}),
        ({"data": "text"}, {}),
        ({"data": None, "data_base64": "!"}, {}),
        ({"data": None, "data_base64": "W10="}, {}),
    ],
)
async def test_what_is_no_cloud_event_is_quarantined(
    ingress: Ingress, changed: dict[str, Any], headers: dict[str, str]
) -> None:
    await send(ingress, "cloudevents-structured", **changed)
    (kept,) = ingress.quarantine()
    assert "bug" not in kept.reason
    assert not ingress.pushes()


@pytest.mark.parametrize("missing", ["ce-id", "ce-source", "ce-type"])
async def test_a_binary_event_without_what_it_must_have_is_quarantined(ingress: Ingress, missing: str) -> None:
    file = FILES["cloudevents-binary"]
    headers = {name: value for name, value in file["headers"].items() if name != missing}
    for _ in range(2):
        await ingress.deliver("cloudevents", json.dumps(file["body"]), headers)
    assert len(ingress.quarantine()) == 1, "the second is there already"
    assert not ingress.pushes()


async def test_header_values_are_decoded(ingress: Ingress) -> None:
    file = FILES["cloudevents-binary"]
    headers = {**file["headers"], "ce-source": "https://registry.example.com/caf%C3%A9", "ce-id": "a%20b"}
    await ingress.deliver("cloudevents", json.dumps(file["body"]), headers)
    assert ingress.pushes()[0].producer_id == "https://registry.example.com/café a b"


async def test_an_id_is_unique_for_its_source_only(ingress: Ingress) -> None:
    await send(ingress, "cloudevents-structured")
    assert (await send(ingress, "cloudevents-structured", source="https://other.example.com"))["accepted"] == 1


# GitHub, Gitea


async def test_forms(ingress: Ingress) -> None:
    from urllib.parse import urlencode

    for name in ("github-package", "gitea-created"):
        file = FILES[name]
        body = urlencode({"payload": json.dumps(file["body"])})
        headers = {**file["headers"], "Content-Type": "application/x-www-form-urlencoded"}
        assert (await ingress.deliver(file["source"], body, headers))["accepted"] == 1
    assert {push.tag for push in ingress.pushes()} == {"1.0.0"}
    for push in ingress.pushes():
        assert push.headers["content-type"] == "application/x-www-form-urlencoded"
        assert push.raw.startswith("payload=")


async def test_githubs_other_words_for_a_container(ingress: Ingress) -> None:
    package = FILES["github-package"]["body"]["package"]
    for number, kind in enumerate(({"package_type": "container"}, {"package_type": "docker"}, {"registry": {}}), 1):
        body = {**package, "ecosystem": None, "package_type": None, "registry": None, **kind}
        body["registry"] = {"type": "CONTAINER"} if body["registry"] == {} else None
        file = FILES["github-package"]
        headers = {**file["headers"], "X-GitHub-Delivery": f"d{number}"}
        sent = json.dumps({**file["body"], "package": body})
        assert (await ingress.deliver("github", sent, headers))["accepted"] == 1, kind


async def test_a_redelivery_by_hand_keeps_its_id(ingress: Ingress) -> None:
    await send(ingress, "github-package")
    assert (await send(ingress, "github-package", changed="since"))["duplicates"] == 1


# Distribution's forks


async def test_gitlab_takes_distributions_envelopes(ingress: Ingress) -> None:
    from tests.unit.ingress.conftest import distribution_request

    body, headers = distribution_request("v2.8.2-push-manifest-tag-v1")
    assert (await ingress.deliver("gitlab", body, headers))["accepted"] == 1
    (push,) = ingress.pushes()
    assert (push.source, push.repository, push.tag) == ("gitlab", "team/app", "v1")
    body, headers = distribution_request("v2.8.2-push-layer-blob")
    assert (await ingress.deliver("gitlab", body, headers))["ignored"] == 1


async def test_generic_with_everything(ingress: Ingress) -> None:
    body = {
        "name": "Acme/App",
        "versions": [3],
        "registry": "https://npm.example.com/",
        "digest": f"sha256:{'a' * 64}",
        "id": 77,
    }
    assert (await ingress.deliver("generic", json.dumps(body)))["accepted"] == 1
    (push,) = ingress.pushes()
    assert (push.repository, push.tag, push.registry) == ("acme/app", "3", "npm.example.com")
    assert (push.digest, push.producer_id, push.dedupe_window_s) == (f"sha256:{'a' * 64}", "77", 24 * 3600)
