"""What real producers were seen to send, and what is right to make of it: a kind of fault a section, each over all sources that have it."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pytest

from hookline.chain.pipeline import Pipeline
from hookline.settings import Settings
from tests.unit.ingress.conftest import BEARER, Ingress, hook, running, shown

HEX = "ab" * 32
DIGEST = f"sha256:{HEX}"
JSON = {"Content-Type": "application/json"}


class Case(NamedTuple):
    """A body, and what must come of it: pushes as (registry, repository, tag, digest, pusher), else the reason of quarantine."""

    name: str
    source: str
    body: Any
    pushes: tuple[tuple[str | None, ...], ...] = ()
    unread: str = ""
    ignored: int = 0
    headers: Mapping[str, str] = {}
    query: str = ""


def cloud_event(event_type: str, data: Any, subject: str | None = None, source: str = "/ci") -> dict[str, Any]:
    event = {"specversion": "1.0", "id": "1", "source": source, "type": event_type, "data": data}
    return event if subject is None else event | {"subject": subject}


def cdevent(became: str, purl: str) -> dict[str, Any]:
    data = {"context": {}, "subject": {"id": purl, "content": {"user": "bot"}}}
    return cloud_event(f"dev.cdevents.artifact.{became}.0.2.0", data, purl)


def github(event: str, **fields: Any) -> Case:
    return Case("", "github", fields, headers={"X-GitHub-Event": event})


def jfrog(**fields: Any) -> dict[str, Any]:
    data = {
        "repo_key": "docker-prod", "path": "team/app/1.0/manifest.json", "name": "manifest.json", "sha256": HEX,
        "image_name": "app", "tag": "1.0",
    }  # fmt: skip
    told = {"domain": "docker", "event_type": "pushed", "jpd_origin": "https://a.jfrog.io"}
    return told | fields | {"data": data | fields.get("data", {})}


def nexus(**fields: Any) -> dict[str, Any]:
    component = {"format": "docker", "name": "team/app", "version": "1.0.0"}
    return {
        "timestamp": "2026-11-29T20:00:00.6Z",
        "initiator": "ci/10.0.0.1",
        "action": "CREATED",
        "component": component,
    } | fields


def harbor(event_type: str) -> dict[str, Any]:
    return {
        "type": event_type, "occur_at": 1795982400, "operator": "ci",
        "event_data": {
            "resources": [{"digest": DIGEST, "tag": "1", "resource_url": "h.example.com/p/app:1"}],
            "repository": {"name": "app", "namespace": "p", "repo_full_name": "p/app"},
        },
    }  # fmt: skip


def docker_hub(repository: str = "a/b", **push_data: Any) -> dict[str, Any]:
    return {
        "push_data": {"pushed_at": 1795982400, "tag": "1", "pusher": "x"} | push_data,
        "repository": {"repo_name": repository},
    }


def distribution(**target: Any) -> dict[str, Any]:
    media_type = "application/vnd.oci.image.manifest.v1+json"
    event = {
        "id": "e",
        "action": "push",
        "target": {"mediaType": media_type, "repository": "acme/app", "tag": "1"} | target,
    }
    return {"events": [event | {"request": {"host": "registry:5000"}}]}


PURL = f"pkg:oci/app@sha256%3A{HEX}?repository_url=mycr.io/acme/app"
ZOT = {"name": "acme/app", "reference": "1", "digest": DIGEST}
CASES = [
    # A reference in one text is taken apart.
    Case("purl", "cloudevents", cdevent("published", f"{PURL}&tag=1.2.3"), (("mycr.io", "acme/app", "1.2.3", DIGEST, "bot"),)),
    Case("packaged", "cloudevents", cdevent("packaged", f"{PURL}&tag=1"), (("mycr.io", "acme/app", "1", DIGEST, "bot"),)),
    Case("purl without a tag", "cloudevents", cdevent("published", PURL), ignored=1),
    Case("purl of no image", "cloudevents", cdevent("published", "pkg:npm/app@1.2.3"), ignored=1),
    Case("signed", "cloudevents", cdevent("signed", PURL), ignored=1),
    Case("of no artifact", "cloudevents", cloud_event("dev.cdevents.testsuiterun.finished.0.2.0", {"subject": {"id": "x"}}), ignored=1),
    Case("unknown of an artifact", "cloudevents", cdevent("frobbed", PURL), unread="unknown event: type is 'dev.cdevents.artifact.frobbed"),
    Case(
        "a whole reference", "cloudevents", cloud_event("x.image.pushed", {"repository": f"r.example.com:5000/acme/app:1@{DIGEST}"}),
        (("r.example.com:5000", "acme/app", "1", DIGEST, None),),
    ),
    Case(
        "its own tag wins", "cloudevents", cloud_event("x.image.pushed", {"repository": "r.example.com/acme/app:1", "tag": "2"}),
        (("r.example.com", "acme/app", "2", None, None),),
    ),
    Case("docker_url alone", "quay", {"docker_url": "quay.io/ns/app", "updated_tags": ["1"]}, (("quay.io", "ns/app", "1", None, None),)),
    Case(
        "inside SNS",
        "cloudevents",
        {
            "Type": "Notification",
            "MessageId": "m",
            "TopicArn": "arn:aws:sns:r:1:t",
            "Message": json.dumps(cloud_event("x.image.pushed", {"repository": "a/b", "tag": "1"})),
        },
        ((None, "a/b", "1", None, None),),
    ),
    Case(
        "a subscription",
        "cloudevents",
        {"Type": "SubscriptionConfirmation", "MessageId": "m", "SubscribeURL": "https://sns.example.com/"},
        unread="SNS",
    ),
    # By meaning, not by suffix.
    Case("a database", "cloudevents", cloud_event("com.example.database.updated", {"table": "users"}, "users:42"), ignored=1),
    Case("a subject", "cloudevents", cloud_event("com.example.image.pushed", {}, "acme/app:1"), ((None, "acme/app", "1", None, None),)),
    Case("another subject", "cloudevents", cloud_event("com.example.published", {}, "acme/app:1"), ignored=1),
    Case("camel case", "cloudevents", cloud_event("Com.Example.ImagePushed", {"repository": "acme/app", "tag": "1"}), ((None, "acme/app", "1", None, None),)),
    Case("an unknown verb", "cloudevents", cloud_event("x.image.frobbed", {"repository": "a/b", "tag": "1"}), unread="unknown event: type is 'x.image.frobbed'"),
    # Nothing is lost in silence.
    Case("1.x", "harbor", harbor("pushImage"), (("h.example.com", "p/app", "1", DIGEST, "ci"),)),
    Case("scanned", "harbor", harbor("SCANNING_COMPLETED"), ignored=1),
    Case("unknown", "harbor", harbor("FROBBED"), unread="unknown event: type is 'FROBBED'"),
    Case("promoted", "jfrog", jfrog(event_type="promoted"), (("a.jfrog.io", "docker-prod/team/app", "1.0", DIGEST, None),)),
    Case("no manifest", "jfrog", jfrog(data={"path": "sample_dir/sample.txt", "name": "sample.txt"}), ignored=1),
    Case("another domain", "jfrog", jfrog(domain="artifact"), ignored=1),
    Case("unknown event", "jfrog", jfrog(event_type="frobbed"), unread="unknown event: event_type is 'frobbed'"),
    Case("unknown domain", "jfrog", jfrog(domain="oci"), unread="unknown event: domain is 'oci'"),
    Case("an asset", "nexus", {"asset": {"format": "docker"}}, ignored=1, headers={"X-Nexus-Webhook-Id": "rm:repository:asset"}),
    Case("purged", "nexus", nexus(action="PURGED"), ignored=1),
    Case("unknown action", "nexus", nexus(action="FROBBED"), unread="unknown event: action is 'FROBBED'"),
    Case("unknown kind", "nexus", nexus(), unread="unknown event: x-nexus-webhook-id is 'rm:other'", headers={"X-Nexus-Webhook-Id": "rm:other"}),
    Case("a repository", "zot", cloud_event("zotregistry.repository.created", ZOT), ignored=1),
    Case("unknown", "zot", cloud_event("zotregistry.image.frobbed", ZOT), unread="unknown event: type is 'zotregistry.image.frobbed'"),
    Case("a build", "quay", {"repository": "ns/app", "build_id": "1", "docker_tags": ["1"]}, ignored=1),
    Case("unknown", "quay", {"repository": "ns/app", "frobbed": 1}, unread="unknown event: updated_tags is missing"),
    Case("an issue", "github", {"action": "opened"}, ignored=1, headers={"X-GitHub-Event": "issues"}),
    Case("unknown", "github", {"action": "x"}, unread="unknown event: x-github-event is 'frobbed'", headers={"X-GitHub-Event": "frobbed"}),
    Case("unknown action", "github", {"action": "x", "package": {}}, unread="unknown event: action is 'x'", headers={"X-GitHub-Event": "package"}),
    Case("unknown", "gitea", {"action": "x"}, unread="unknown event: its header is 'frobbed'", headers={"X-Gitea-Event": "frobbed"}),
    Case("unknown action", "forgejo", {"action": "x", "package": {"name": "a"}}, unread="unknown event: action is 'x'", headers={"X-Gitea-Event": "package"}),
    Case("unknown", "distribution", {"events": [{"action": "frobbed"}]}, unread="unknown event: action is 'frobbed'"),
    Case("unknown", "gitlab", {"events": [{"action": "frobbed"}]}, unread="unknown event: action is 'frobbed'"),
    # Several in one.
    Case("an object", "quay", {"repository": "ns/app", "docker_url": "quay.io/ns/app", "updated_tags": {"latest": "i1", "1.2.3": "i2"}},
         (("quay.io", "ns/app", "1.2.3", None, None), ("quay.io", "ns/app", "latest", None, None))),
    Case("tags", "dockerhub", docker_hub(tag=["1", "2"]), (("docker.io", "a/b", "1", None, "x"), ("docker.io", "a/b", "2", None, "x"))),
    Case("tags", "distribution", distribution(tag=["1", "2"]),
         (("registry:5000", "acme/app", "1", None, None), ("registry:5000", "acme/app", "2", None, None))),
    Case("tags", "zot", cloud_event("zotregistry.image.updated", ZOT | {"reference": ["1", "2"]}),
         ((None, "acme/app", "1", DIGEST, None), (None, "acme/app", "2", DIGEST, None))),
    Case("tags", "cloudevents", cloud_event("x.image.pushed", {"repository": "a/b", "tags": ["1", "2"]}),
         ((None, "a/b", "1", None, None), (None, "a/b", "2", None, None))),
    Case("one in a list", "cloudevents", cloud_event("x.image.pushed", {"repository": "a/b", "tags": ["1"]}), ((None, "a/b", "1", None, None),)),
    Case("tags", "jfrog", jfrog(data={"tag": ["1", "2"]}),
         (("a.jfrog.io", "docker-prod/team/app", "1", DIGEST, None), ("a.jfrog.io", "docker-prod/team/app", "2", DIGEST, None))),
    Case("tags", "nexus", nexus(component={"format": "docker", "name": "a/b", "version": ["1", "2"]}),
         ((None, "a/b", "1", None, "ci"), (None, "a/b", "2", None, "ci"))),
    # Registries that have no name of their own.
    Case("a given registry", "nexus", nexus(), (("docker.example.com", "team/app", "1.0.0", None, "ci"),), query="?registry=Docker.Example.com:443"),
    Case("by a header", "zot", cloud_event("zotregistry.image.updated", ZOT), (("zot.example.com", "acme/app", "1", DIGEST, None),),
         headers={"X-Hookline-Registry": "zot.example.com"}),
    Case("without jpd_origin", "jfrog", jfrog(jpd_origin=None), (("d.example.com", "docker-prod/team/app", "1.0", DIGEST, None),), query="?registry=d.example.com"),
    Case("told by the producer", "jfrog", jfrog(), (("a.jfrog.io", "docker-prod/team/app", "1.0", DIGEST, None),), query="?registry=d.example.com"),
    Case("no host", "nexus", nexus(), unread="registry: ", query="?registry=a%20b"),
    # Docker Hub's names.
    Case("an official image", "dockerhub", docker_hub("_/nginx"), (("docker.io", "library/nginx", "1", None, "x"),)),
    Case("a bare name", "dockerhub", docker_hub("nginx"), (("docker.io", "library/nginx", "1", None, "x"),)),
    Case("by another name", "cloudevents", cloud_event("x.image.pushed", {"repository": "index.docker.io/nginx:1"}), (("docker.io", "library/nginx", "1", None, None),)),
    # Numbers, bodies, names.
    Case("a number", "dockerhub", json.dumps(docker_hub(tag="NUMBER")).replace('"NUMBER"', "1.20"), unread="tag: a number with a fraction"),
    Case("a whole number", "dockerhub", docker_hub(tag=7), (("docker.io", "a/b", "7", None, "x"),)),
    Case("no tag at all", "dockerhub", docker_hub(tag={"name": "1"}), unread="tag: neither text nor a number"),
    Case("a form", "dockerhub", urlencode({"payload": json.dumps(docker_hub())}), (("docker.io", "a/b", "1", None, "x"),),
         headers={"Content-Type": "application/x-www-form-urlencoded"}),
    Case("a local time", "dockerhub", docker_hub(pushed_at="2026-11-29 20:25:46", digest=DIGEST), (("docker.io", "a/b", "1", DIGEST, "x"),)),
    Case("a tag with a colon", "dockerhub", docker_hub(tag="team/api:1.2.3"), unread="tag: "),
    Case("no repository", "dockerhub", docker_hub("a/../b"), unread="repository: "),
    Case("no digest", "zot", cloud_event("zotregistry.image.updated", ZOT | {"digest": "sha256:x"}), unread="digest: "),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.source}: {case.name}")
async def test_what_is_right(case: Case) -> None:
    async with running() as ingress:
        body = case.body if isinstance(case.body, str) else json.dumps(case.body)
        headers = {**JSON, **shown(case.source, body), **BEARER, **case.headers}
        answer = await ingress.post(case.source, body, headers, case.query)
        tally = await answer.json()
        assert answer.status == 202, tally
        got = [(push.registry, push.repository, push.tag, push.digest, push.pusher) for push in ingress.pushes()]
        assert sorted(got, key=str) == sorted(case.pushes, key=str)
        assert (tally["accepted"], tally["ignored"]) == (len(case.pushes), case.ignored), tally
        assert tally["quarantined"] == len(ingress.quarantine()) == bool(case.unread)
        assert tally.get("reason", "").startswith(case.unread)
        assert [kept.reason.startswith(case.unread) for kept in ingress.quarantine()] == [True] * bool(case.unread)
        again = await ingress.post(case.source, body, headers, case.query)
        assert (await again.json())["duplicates"] == len(case.pushes)


async def test_what_was_made_of_several_is_made_again_of_each(ingress: Ingress) -> None:
    """A retry, or a replay, of a push's own raw body is that push, and not one of the others."""
    several = [case for case in CASES if len(case.pushes) > 1]
    assert len(several) >= 7
    for case in several:
        before = {push.push_id for push in ingress.pushes()}
        await ingress.deliver(case.source, json.dumps(case.body), case.headers)
        made = [push for push in ingress.pushes() if push.push_id not in before]
        assert len(made) == len(case.pushes)
        for push in made:
            assert (await ingress.deliver(case.source, push.raw, push.headers))["duplicates"] == 1, case.name
        assert len({push.push_id for push in ingress.pushes()}) == len(before) + len(made)


async def test_docker_hubs_repeated_calls_for_one_push_are_one(ingress: Ingress) -> None:
    """Its own `callback_url` is another one each time."""
    for n in range(1, 7):
        body = docker_hub("a/b", tag="develop") | {"callback_url": f"https://registry.hub.docker.com/u/a/b/hook/{n}/"}
        tally = await ingress.deliver("dockerhub", json.dumps(body, indent=n))
        assert (tally["accepted"], tally["duplicates"]) == ((1, 0) if n == 1 else (0, 1))
    other = docker_hub("a/b", tag="develop", pushed_at=1795982401)
    assert (await ingress.deliver("dockerhub", json.dumps(other)))["accepted"] == 1


async def test_a_local_time_is_no_time(ingress: Ingress) -> None:
    """Where it is read as UTC, a push of this evening was one of tomorrow."""
    for number, time in enumerate(("2026-11-29 20:25:46", "2026-11-29T20:25:46")):
        await ingress.deliver("dockerhub", json.dumps(docker_hub(f"a/b{number}", pushed_at=time)))
        await ingress.deliver("nexus", json.dumps(nexus(timestamp=time, n=number)))
    for push in ingress.pushes():
        assert push.pushed_at == push.received_at
        assert push.source == "nexus" or "pushed_at" not in push.payload["push_data"]  # type: ignore[operator]


@pytest.mark.parametrize(("written", "seconds"), [("2026-11-29T20:25:46Z", 1795983946), ("1795982400", 1795982400)])
async def test_a_time_in_a_text_is_a_number_for_hooks(ingress: Ingress, written: str, seconds: int) -> None:
    await ingress.deliver("dockerhub", json.dumps(docker_hub(pushed_at=written)))
    (push,) = ingress.pushes()
    assert push.pushed_at == seconds * 1000
    assert push.payload["push_data"]["pushed_at"] == seconds  # type: ignore[index,call-overload]


# One name for a registry


def pipeline_of(registry: str, number: int = 1, repository: str = "acme/app") -> Pipeline:
    return Pipeline(
        pipeline_id=f"p{number}", repository=repository, registry=registry, name="x", slug="x", hooks=(hook("h1"),), created_at=1, updated_at=1
    )  # fmt: skip


ALIASES = Settings(registry_aliases="registry:5000=registry.example.com, hub.internal=docker.io")  # type: ignore[arg-type]


async def test_an_internal_name_is_the_public_one() -> None:
    """Pipelines of either name are for it, also those that were saved before there was an alias."""
    async with running(settings=ALIASES) as ingress:
        for number, registry in enumerate(
            ("registry.example.com", "registry:5000", "other.example.com", "REGISTRY.example.com:443")
        ):
            ingress.set_pipeline(pipeline_of(registry, number))
        assert (await ingress.deliver("distribution", json.dumps(distribution())))["accepted"] == 1
        (push,) = ingress.pushes()
        assert (push.registry, push.told_registry) == ("registry.example.com", "registry:5000")
        assert push.payload["repository"]["registry"] == "registry.example.com"  # type: ignore[index,call-overload]
        assert [plan.pipeline_id for plan in push.plans] == ["p0", "p1", "p3"]


@pytest.mark.parametrize(
    "name",
    [
        "docker.io",
        "index.docker.io",
        "registry-1.docker.io",
        "registry.hub.docker.com",
        "hub.docker.com",
        "Docker.IO:443",
    ],
)
async def test_docker_hub_has_one_name(ingress: Ingress, name: str) -> None:
    ingress.set_pipeline(pipeline_of(name))
    assert (await ingress.deliver("dockerhub", json.dumps(docker_hub("acme/app"))))["accepted"] == 1
    (push,) = ingress.pushes()
    assert [plan.pipeline_id for plan in push.plans] == ["p1"]


# The URL


@pytest.mark.parametrize("path", ["dockerhub/", "DockerHub", "DOCKERHUB/"])
async def test_a_spelling_of_the_url_holds_up_no_registry(ingress: Ingress, path: str) -> None:
    answer = await ingress.post(path, json.dumps(docker_hub()))
    assert (answer.status, (await answer.json())["accepted"]) == (202, 1)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_who_looks_at_the_url_is_told_what_it_is_for(ingress: Ingress, method: str) -> None:
    answer = await ingress.client.request(method, "/events/DockerHub/", allow_redirects=False)
    assert (answer.status, answer.headers["Allow"]) == (405, "POST, OPTIONS")
    if method == "GET":
        assert await answer.json() == {"detail": "events of Docker Hub are accepted by POST only: GET does nothing"}
    assert (await ingress.client.request(method, "/events/nothing")).status == 404
