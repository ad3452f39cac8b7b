"""Docker Hub's bodies: every file of the corpus, and the rules of design sections 1 and 6."""

import json
from pathlib import Path
from typing import Any

import pytest

from hookline.chain.events import PushReceived
from tests.unit.ingress.conftest import NOW, Ingress, dockerhub_files

NO_REPOSITORY = "argoproj_labs_argocd_image_updater_pkg_webhook_docker_test_go_3.json"

REPOSITORIES = {
    "SirCremefresh_tekton_dockerhub_webhook_README_md_4.json": ("sample_namespace/sample_name", "234"),
    "argoproj_labs_argocd_image_updater_pkg_webhook_docker_test_go_0.json": ("myuser/myapp", "v1.0.0"),
    "argoproj_labs_argocd_image_updater_pkg_webhook_docker_test_go_1.json": ("myuser/myapp", "latest"),
    "argoproj_labs_argocd_image_updater_pkg_webhook_docker_test_go_2.json": ("library/myapp", "v2.0.0"),
    "argoproj_labs_argocd_image_updater_pkg_webhook_docker_test_go_5.json": ("myuser/myapp", "v1.0.0"),
    "goliatone_rabbithook_builder_README_2016.json": ("goliatone/hello-rabbit", "latest"),
    "jenkinsci_dockerhub_notification_plugin_src_test_resources_own_repository_payload_json.json": (
        "csanchez/jenkins-swarm-slave",
        None,
    ),
    "maccyber_micro_dockerhub_hook_test_data_payload_json.json": ("maccyber/testhook", None),
    "maccyber_micro_dockerhub_hook_test_data_payload_tag_json.json": ("maccyber/tagtest", "prod"),
    "maccyber_micro_dockerhub_hook_test_data_payload_version_tag_json.json": ("anshkathuria/tagtest", "release-1.2.3"),
}


async def received(ingress: Ingress, body: object) -> PushReceived:
    """Deliver one body that must be accepted; its PushReceived."""
    sent = body if isinstance(body, str | bytes) else json.dumps(body)
    assert await ingress.deliver("dockerhub", sent) == {"accepted": 1, "duplicates": 0, "ignored": 0, "quarantined": 0}
    return ingress.pushes()[-1]


def pushed(repository: dict[str, Any] | None = None, **push_data: Any) -> dict[str, Any]:
    return {"push_data": push_data, "repository": {"repo_name": "acme/app", **(repository or {})}}


def text_of(name: str) -> str:
    return next(f for f in dockerhub_files() if f.name == name).read_text()


def paths(value: object, at: str = "") -> list[tuple[str, object]]:
    """Every leaf with its path, in the order they stand."""
    if isinstance(value, dict):
        return [leaf for key, item in value.items() for leaf in paths(item, f"{at}/{key}")]
    if isinstance(value, list):
        return [leaf for index, item in enumerate(value) for leaf in paths(item, f"{at}/{index}")]
    return [(at, value)]


@pytest.mark.parametrize("file", [f for f in dockerhub_files() if f.name != NO_REPOSITORY], ids=lambda f: f.stem)
async def test_every_corpus_body_is_one_push(ingress: Ingress, file: Path) -> None:
    body = text_of(file.name)
    push = await received(ingress, body)
    sent = json.loads(body)
    assert push.source == "dockerhub"
    assert push.registry == "docker.io"
    assert push.producer_id is None
    assert push.dedupe_window_s == 3600
    assert push.raw == body
    assert push.upstream_callback_url == sent.pop("callback_url", None)
    assert "callback_url" not in push.payload
    assert not ingress.quarantine()
    # What is left stands where it stood, and is what it was but for the documented changes of types; ours is behind it.
    payload = json.loads(json.dumps(push.payload))
    assert payload["push_data"].pop("artifact_type", None) == push.artifact_type
    assert (push.artifact_type is None) == ("media_type" not in sent["push_data"])
    before, after = paths(sent), paths(payload)
    assert [path for path, _ in before] == [path for path, _ in after]
    for (path, old), (_, new) in zip(before, after, strict=True):
        if path in ("/repository/star_count", "/repository/comment_count"):
            assert new == int(str(old))
        else:
            assert new == (str(old) if path == "/push_data/tag" else old)
        assert not isinstance(new, float)
    pushed_at = sent["push_data"].get("pushed_at")
    assert push.pushed_at == (NOW if pushed_at is None else pushed_at * 1000)


@pytest.mark.parametrize(("name", "expected"), REPOSITORIES.items(), ids=lambda x: x[:40] if isinstance(x, str) else "")
async def test_repository_and_tag_of_the_corpus(ingress: Ingress, name: str, expected: tuple[str, str | None]) -> None:
    push = await received(ingress, text_of(name))
    assert (push.repository, push.tag) == expected


async def test_the_one_body_without_any_repository_is_quarantined(ingress: Ingress) -> None:
    """argocd-image-updater's third test body: `"repository": {}`."""
    assert await ingress.deliver("dockerhub", text_of(NO_REPOSITORY)) == {
        "accepted": 0,
        "duplicates": 0,
        "ignored": 0,
        "quarantined": 1,
        "reason": "no repository: neither repository.repo_name nor repository.name",
    }
    assert not ingress.pushes()
    (kept,) = ingress.quarantine()
    assert kept.source == "dockerhub"
    assert kept.reason == "no repository: neither repository.repo_name nor repository.name"
    assert kept.raw == text_of(NO_REPOSITORY)


@pytest.mark.parametrize(
    ("repository", "expected"),
    [
        ({"repo_name": "Acme/App"}, "acme/app"),
        ({"repo_name": "a/b/c"}, "a/b/c"),
        ({"repo_name": "app", "namespace": "acme", "name": "other"}, "acme/other"),
        ({"repo_name": "ubuntu"}, "library/ubuntu"),
        ({"repo_name": None, "name": "ubuntu"}, "library/ubuntu"),
        ({"repo_name": 7, "name": "ubuntu", "namespace": ""}, "library/ubuntu"),
        ({"repo_name": "acme/app/"}, "acme/app"),
    ],
)
async def test_repository(ingress: Ingress, repository: dict[str, Any], expected: str) -> None:
    assert (await received(ingress, {"push_data": {}, "repository": repository})).repository == expected


@pytest.mark.parametrize(
    "body",
    [
        {"repository": "acme/app"},
        {"push_data": {}},
        {},
        {"repository": {"repo_name": ""}},
        {"repository": {"repo_name": "/"}},
        {"repository": {"name": ["x"]}},
        {"repository": {"repo_name": "acme/:v1"}},
    ],
)
async def test_without_a_repository(ingress: Ingress, body: object) -> None:
    await ingress.deliver("dockerhub", json.dumps(body))
    assert not ingress.pushes()
    assert ingress.quarantine()[0].reason.startswith("no repository")


@pytest.mark.parametrize(
    ("name", "tag", "expected"),
    [
        ("acme/app:prod", None, ("acme/app", "prod")),
        ("acme/app:prod", "v2", ("acme/app", "v2")),
        ("acme/app:prod", "", ("acme/app", "prod")),
        ("acme/app:", None, ("acme/app", None)),
        ("host:5000/acme/app", None, ("acme/app", None)),
        ("docker.io/acme/app:v1", None, ("acme/app", "v1")),
        ("acme/app", 234, ("acme/app", "234")),
        ("acme/app", ["v1"], ("acme/app", "v1")),
        ("acme/app", [], ("acme/app", None)),
    ],
)
async def test_tag(ingress: Ingress, name: str, tag: object, expected: tuple[str, str | None]) -> None:
    push = await received(ingress, pushed({"repo_name": name}, tag=tag))
    assert (push.repository, push.tag) == expected


@pytest.mark.parametrize("end", ["", ".sig", ".att", ".sbom"])
async def test_a_signature_is_no_release(ingress: Ingress, end: str) -> None:
    """cosign pushes to Docker Hub, too, and its webhook says so."""
    tag = "sha256-" + "a" * 64 + end
    body = json.dumps({"push_data": {"tag": tag}, "repository": {"repo_name": "acme/app"}})
    assert (await ingress.deliver("dockerhub", body))["ignored"] == 1
    assert not ingress.pushes()


async def test_numbers_as_receivers_need_them(ingress: Ingress) -> None:
    body = """{"push_data": {"pushed_at": 1.417566161e+09, "tag": "v1"},
      "x": {"deep": [1e3, {"y": 2.0, "half": 0.5, "big": 9007199254740992.0, "small": -9007199254740991.0}]},
      "repository": {"repo_name": "acme/app", "date_created": 1417494799.75, "star_count": "12", "comment_count": "-3.0"}}"""
    push = await received(ingress, body)
    assert push.pushed_at == 1_417_566_161_000
    value = ingress.raw_pushes()[0].value or b""
    assert b'"pushed_at":1417566161,' in value
    assert b'"deep":[1000,{"y":2,"half":0.5,"big":9007199254740992.0,"small":-9007199254740991}]' in value
    assert b'"date_created":1417494799,"star_count":12,"comment_count":-3}' in value


async def test_pushed_at_loses_its_fraction_in_the_payload_only(ingress: Ingress) -> None:
    push = await received(ingress, pushed(pushed_at=1417566161.25))
    assert push.payload["push_data"] == {"pushed_at": 1417566161}
    assert push.pushed_at == 1_417_566_161_250


@pytest.mark.parametrize("time", ["soon", -1, 1e300, True, None, [], 253_402_300_800])
async def test_a_pushed_at_that_is_no_time_is_the_time_of_receipt(ingress: Ingress, time: object) -> None:
    assert (await received(ingress, pushed(pushed_at=time))).pushed_at == NOW


@pytest.mark.parametrize("count", ["many", "", "1e9", None, "9" * 400])
async def test_a_count_that_is_no_number_stays(ingress: Ingress, count: object) -> None:
    push = await received(ingress, pushed({"star_count": count}))
    assert push.payload["repository"] == {"repo_name": "acme/app", "star_count": count}


async def test_key_order_and_unknown_fields_stay(ingress: Ingress) -> None:
    body = '{"z":1,"callback_url":"https://hub.test/cb","repository":{"zz":[],"repo_name":"acme/app"},"a":{"b":null},"push_data":{}}'
    push = await received(ingress, body)
    assert json.dumps(push.payload, separators=(",", ":")) == body.replace('"callback_url":"https://hub.test/cb",', "")
    assert push.upstream_callback_url == "https://hub.test/cb"


async def test_a_callback_url_further_in_stays(ingress: Ingress) -> None:
    push = await received(ingress, pushed(callback_url="https://x.test"))
    assert push.payload["push_data"] == {"callback_url": "https://x.test"}
    assert push.upstream_callback_url is None


async def test_the_same_body_within_the_hour_is_a_duplicate_and_appended_again(ingress: Ingress) -> None:
    body = json.dumps(pushed(tag="v1"))
    await ingress.deliver("dockerhub", body)
    ingress.clock.advance(3599)
    assert await ingress.deliver("dockerhub", body) == {"accepted": 0, "duplicates": 1, "ignored": 0, "quarantined": 0}
    ingress.clock.advance(3600)
    assert await ingress.deliver("dockerhub", body) == {"accepted": 1, "duplicates": 0, "ignored": 0, "quarantined": 0}
    assert len({push.push_id for push in ingress.pushes()}) == 1
    assert len(ingress.pushes()) == 3
