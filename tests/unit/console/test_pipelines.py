"""The `webhook_pipeline` API: Docker Hub's bodies, limits in words, what lies in the topic, races over a name."""

import asyncio
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from hookline.chain.hook_secrets import signing
from hookline.chain.pipeline import Pipeline
from hookline.errors import AppendFailed
from hookline.log.codec import decode_setting, encode_setting
from hookline.log.records import Topic
from tests.unit.console.histories import NOW, push
from tests.unit.console.running import Running, running

HUB = "/v2/repositories/acme/app/webhook_pipeline"
HOOK = {"hook_url": "http://receiver.example/hook"}


def settings(console: Running) -> list[Pipeline | None]:
    """What lies in `pipelines` behind the log_id."""
    records = console.records(Topic.PIPELINES)[1:]
    return [decode_setting(raw, Pipeline) if raw.value is not None else None for raw in records]


async def test_create_answers_what_docker_hub_answers(console: Running) -> None:
    body = {
        "name": "My CI!",
        "expect_final_callback": False,
        "webhooks": [
            {"name": "test", "hook_url": "http://receiver.example/a?x=1"},
            {"hook_url": "http://receiver.example/b"},
        ],
    }
    status, made = await console.call("POST", HUB + "/", body)
    assert status == 201
    assert made["name"] == "My CI!"
    assert made["slug"] == "my-ci-"
    assert made["registry"] is None
    assert made["expect_final_callback"] is False
    assert made["active"] is True
    assert (made["callback_deadline"], made["timeout"], len(made["retry_delays"])) == (86_400, 15, 9)
    assert made["created"] == made["last_updated"] == "2023-11-14T22:13:20.000Z"
    assert [(h["name"], h["hook_url"]) for h in made["webhooks"]] == [
        ("test", "http://receiver.example/a?x=1"),
        ("2", "http://receiver.example/b"),
    ]
    assert made["warnings"] == []
    (stored,) = settings(console)
    assert stored is not None
    assert (stored.pipeline_id, stored.repository, stored.hooks[0].key) == (made["id"], "acme/app", "k1")
    del made["warnings"]
    assert await console.get(f"{HUB}/my-ci-/") == made
    assert await console.get(f"{HUB}/My%20CI!") == made
    assert await console.get(f"{HUB}/{made['id']}") == made
    assert await console.get(f"/api/pipelines/{made['id']}/") == made
    assert (await console.get(HUB))["results"] == [made]


async def test_repositories_of_other_depths_and_in_capitals(console: Running) -> None:
    for repository in ("app", "a/b/c"):
        status, made = await console.call(
            "POST", f"/api/pipelines/?repository={repository}", {"name": "ci", "webhooks": [HOOK]}
        )
        assert status == 201
        assert made["repository"] == repository
        assert (await console.get(f"/api/pipelines?repository={repository}"))["results"][0]["id"] == made["id"]
    await console.make("Acme/App")
    assert (await console.get("/v2/repositories/ACME/app/webhook_pipeline"))["count"] == 1
    assert (await console.get("/api/pipelines"))["count"] == 3
    status, body = await console.call("POST", "/api/pipelines", {"name": "ci", "webhooks": [HOOK]})
    assert (status, list(body)) == (400, ["repository"])
    status, body = await console.call("GET", "/v2/repositories/acme/a~b/webhook_pipeline/")
    assert (status, list(body)) == (400, ["repository"])


async def test_a_glob_of_repositories(console: Running) -> None:
    status, made = await console.call(
        "POST", "/v2/repositories/Acme/*/webhook_pipeline/", {"name": "ci", "webhooks": [HOOK]}
    )
    assert (status, made["repository"]) == (201, "acme/*")
    del made["warnings"]
    assert await console.get("/v2/repositories/acme/%2A/webhook_pipeline/ci/") == made
    assert (await console.get("/api/pipelines?repository=acme/*"))["results"] == [made]
    # It is registered for the glob, not for what that has.
    assert (await console.get("/v2/repositories/acme/app/webhook_pipeline/"))["count"] == 0
    status, _ = await console.call(
        "POST", "/api/pipelines?repository=*%2Fteam-[ab]%2Fapp-%3F", {"name": "ci", "webhooks": [HOOK]}
    )
    assert status == 201
    for bad in ("a*//b", "a%20*", "*" * 256, "a*{b}"):
        status, body = await console.call(
            "POST", f"/api/pipelines?repository={bad}", {"name": "ci", "webhooks": [HOOK]}
        )
        assert (status, list(body)) == (400, ["repository"]), bad
    # Pushes are of one repository.
    assert (await console.call("GET", "/api/pushes?repository=acme/*"))[0] == 400


async def test_tags_and_dedupe(console: Running) -> None:
    made = await console.make(tags=["v*", "latest"], dedupe="digest")
    assert (made["tags"], made["dedupe"]) == (["v*", "latest"], "digest")
    plain = await console.make(name="plain")
    assert (plain["tags"], plain["dedupe"]) == (None, "event")
    for change, tags, dedupe in (
        ({"name": "renamed"}, ["v*", "latest"], "digest"),
        ({"tags": "^1.4 || >=2.0.0-rc.1 <3"}, "^1.4 || >=2.0.0-rc.1 <3", "digest"),
        ({"dedupe": "event"}, "^1.4 || >=2.0.0-rc.1 <3", "event"),
        ({"tags": []}, None, "event"),
        ({"tags": "1.x"}, "1.x", "event"),
        ({"tags": None}, None, "event"),
    ):
        status, changed = await console.call("PATCH", f"/api/pipelines/{made['id']}", change)
        assert (status, changed["tags"], changed["dedupe"]) == (200, tags, dedupe)
        stored = settings(console)[-1]
        assert stored is not None
        assert (stored.tags, stored.dedupe) == (tuple(tags) if isinstance(tags, list) else tags, dedupe)


async def test_artifacts(console: Running) -> None:
    made = await console.make()
    assert made["artifacts"] == ["image", "index"]
    for given, saved in (
        ("all", "all"),
        (["helm_chart"], ["helm_chart"]),
        ("image", ["image"]),
        (["sbom", "index", "index", "image"], ["image", "index", "sbom"]),
    ):
        status, changed = await console.call("PATCH", f"/api/pipelines/{made['id']}", {"artifacts": given})
        assert (status, changed["artifacts"]) == (200, saved)
        stored = settings(console)[-1]
        assert stored is not None
        assert stored.artifacts == (tuple(saved) if isinstance(saved, list) else saved)
        status, renamed = await console.call("PATCH", f"/api/pipelines/{made['id']}", {"name": f"with {given}"[:64]})
        assert (status, renamed["artifacts"]) == (200, saved), "what is not sent stays"
    assert (await console.make(name="charts", artifacts="helm_chart"))["artifacts"] == ["helm_chart"]


KINDS = "Must be all, or a list of these: image, index, helm_chart, attestation, signature, sbom, other."
LONG = "http://receiver.example/" + "x" * 2025


@pytest.mark.parametrize(
    ("changed", "field", "said"),
    [
        ({"name": None}, "name", "Input should be a valid string."),
        ({"name": ""}, "name", "String should have at least 1 character."),
        ({"name": "x" * 65}, "name", "String should have at most 64 characters."),
        ({"name": " ci"}, "name", "Must not have control characters, or spaces around it."),
        ({"webhooks": []}, "webhooks", "List should have at least 1 item after validation, not 0."),
        ({"webhooks": [HOOK] * 21}, "webhooks", "List should have at most 20 items after validation, not 21."),
        ({"webhooks": [{}]}, "webhooks", "hook 1, hook_url: This field is required."),
        ({"webhooks": [HOOK, "x"]}, "webhooks", "2: Must be an object."),
        ({"callback_deadline": 0}, "callback_deadline", "Input should be greater than or equal to 1."),
        ({"callback_deadline": 2_592_001}, "callback_deadline", "Input should be less than or equal to 2592000."),
        ({"callback_deadline": "5"}, "callback_deadline", "Input should be a valid integer."),
        ({"timeout": 61}, "timeout", "Input should be less than or equal to 60."),
        ({"retry_delays": [1] * 21}, "retry_delays", "List should have at most 20 items after validation, not 21."),
        ({"retry_delays": [1, -1]}, "retry_delays", "2: Input should be greater than or equal to 0."),
        ({"active": "yes"}, "active", "Input should be a valid boolean."),
        ({"registry": "http://r"}, "registry", "Must be a registry's host, such as registry.example.com:5000, or null for any."),
        ({"tags": 7}, "tags", "Must be null, a range of versions such as ^1.4, or a list of up to 50 globs."),
        ({"tags": ["v*"] * 51}, "tags", "Must be null, a range of versions such as ^1.4, or a list of up to 50 globs."),
        ({"tags": ["v*", ""]}, "tags", "A glob of tags such as v* must be 1 to 128 characters, without spaces."),
        ({"tags": ["v *"]}, "tags", "A glob of tags such as v* must be 1 to 128 characters, without spaces."),
        ({"tags": ["v" * 129]}, "tags", "A glob of tags such as v* must be 1 to 128 characters, without spaces."),
        ({"tags": [7]}, "tags", "A glob of tags such as v* must be 1 to 128 characters, without spaces."),
        ({"tags": ""}, "tags", "Must be a range of versions such as ^1.4 or >=2.0.0 <3, or a list of globs: a part of it is empty."),
        ({"tags": "latest"}, "tags", "Must be a range of versions such as ^1.4 or >=2.0.0 <3, or a list of globs: latest is not a comparison of versions."),
        ({"tags": "1" * 256}, "tags", "Must be a range of versions such as ^1.4 or >=2.0.0 <3, or a list of globs: it is longer than 255 characters."),
        ({"artifacts": None}, "artifacts", KINDS),
        ({"artifacts": []}, "artifacts", KINDS),
        ({"artifacts": "chart"}, "artifacts", KINDS),
        ({"artifacts": ["image", "all"]}, "artifacts", KINDS),
        ({"artifacts": [["image"]]}, "artifacts", KINDS),
        ({"artifacts": [{}, 7]}, "artifacts", KINDS),
        ({"dedupe": "tag"}, "dedupe", "Input should be 'event' or 'digest'."),
        ({"dedupe": None}, "dedupe", "Input should be 'event' or 'digest'."),
        ({"webhooks": [{**HOOK, "id": "h9"}]}, "webhooks", "hook 1, id: There is no such hook in this pipeline (or it is named twice)."),
        ({"webhooks": [{"hook_url": LONG}]}, "webhooks", "hook 1, hook_url: Is longer than 2048 characters."),
        ({"webhooks": [{"hook_url": "ftp://r.example/"}]}, "webhooks", "hook 1, hook_url: Must begin with http:// or https:// and a host."),
        ({"webhooks": [{"hook_url": "http:///x"}]}, "webhooks", "hook 1, hook_url: Must begin with http:// or https:// and a host."),
        ({"webhooks": [{"hook_url": "http://u:p@r.example/"}]}, "webhooks", "hook 1, hook_url: Must not hold a user name or password; receivers verify the signature instead."),
        ({"webhooks": [{"hook_url": "http://r.example/#x"}]}, "webhooks", "hook 1, hook_url: Must not have a fragment (#...)."),
        ({"webhooks": [{"hook_url": "http://r.example/a b"}]}, "webhooks", "hook 1, hook_url: Has a space, a control character or a backslash in it."),
        ({"webhooks": [{"hook_url": "http://r.example:99999/"}]}, "webhooks", "hook 1, hook_url: Has a port that is not a number from 1 to 65535."),
    ],
)  # fmt: skip
async def test_limits_in_words(console: Running, changed: dict[str, object], field: str, said: str) -> None:
    status, body = await console.call("POST", HUB, {"name": "ci", "webhooks": [HOOK]} | changed)
    assert (status, body) == (400, {field: [said]})
    assert settings(console) == []


@pytest.mark.parametrize(
    "host", ["localhost", "a.localhost.", "127.0.0.1", "127.1", "2130706433", "[::1]", "10.0.0.1", "[::ffff:10.0.0.1]", "169.254.169.254"]
)  # fmt: skip
async def test_an_address_that_the_guard_refuses(console: Running, host: str, tmp_path: Path) -> None:
    body = {"name": "ci", "webhooks": [HOOK, {"hook_url": f"http://{host}:9000/x"}]}
    status, answer = await console.call("POST", HUB, body)
    assert status == 400
    assert answer["webhooks"][0].startswith("hook 2, hook_url: ")
    assert "HOOKLINE_ALLOW_PRIVATE_ADDRESSES" in answer["webhooks"][0]
    (tmp_path / "open").mkdir()
    allowed = {"allow_private_addresses": "127.0.0.0/8,::1/128,10.0.0.0/8,169.254.0.0/16"}
    async with running(tmp_path / "open", console.cluster, allowed) as other:
        assert (await other.call("POST", HUB, body))[0] == 201


async def test_a_name_that_does_not_resolve_is_a_warning(console: Running) -> None:
    console.names["inner.example"] = [ip_address("10.1.2.3")]
    urls = ["http://gone.example/", "http://inner.example/", "http://receiver.example/", "http://93.184.215.14/"]
    made = await console.make(webhooks=[{"hook_url": url} for url in urls])
    assert made["warnings"] == [
        "gone.example does not resolve from here at the moment.",
        "inner.example is 10.1.2.3 now, which is refused unless HOOKLINE_ALLOW_PRIVATE_ADDRESSES includes it.",
    ]


async def test_slugs_and_names_are_unique(console: Running) -> None:
    assert [(await console.make(name=name))["slug"] for name in ("ci", "CI", "c i", "ci-2")] == [
        "ci",
        "ci-2",
        "c-i",
        "ci-2-2",
    ]
    status, body = await console.call("POST", HUB, {"name": "ci", "webhooks": [HOOK]})
    assert (status, body) == (400, {"name": ["A pipeline with the name ci already exists in acme/app."]})
    await console.make("acme/other", name="ci")
    status, body = await console.call("PATCH", f"{HUB}/c-i/", {"name": "CI"})
    assert (status, list(body)) == (400, ["name"])


async def test_one_name_asked_for_twice_at_once_is_given_once(console: Running) -> None:
    body = {"name": "ci", "webhooks": [HOOK]}
    answers = await asyncio.gather(*(console.call("POST", HUB, body) for _ in range(5)))
    assert sorted(status for status, _ in answers) == [201, 400, 400, 400, 400]
    assert len(settings(console)) == 1


async def test_of_two_replicas_the_topic_decides(console: Running) -> None:
    """Another replica's record lands just before ours: we take ours back."""
    other = Pipeline(
        pipeline_id="other", repository="acme/app", name="ci", slug="ci", hooks=(), created_at=2**45, updated_at=2**45
    )
    append = console.appends.append

    async def late(draft: Any) -> int:
        console.appends.append = append  # type: ignore[method-assign]
        console.cluster.append(encode_setting(other, now_ms=0))
        return await append(draft)

    console.appends.append = late  # type: ignore[method-assign]
    status, body = await console.call("POST", HUB, {"name": "ci", "webhooks": [HOOK]})
    assert (status, list(body)) == (400, ["name"])
    assert [p["id"] for p in (await console.get(HUB))["results"]] == ["other"]
    made = await console.make(name="ci!")
    console.appends.append = late  # type: ignore[method-assign]
    other = other.model_copy(update={"pipeline_id": "third", "name": "x y", "slug": "x-y"})
    assert (await console.make(name="x-y"))["slug"] == "x-y-2"
    assert made["slug"] == "ci-"


async def test_patch_changes_what_is_sent(console: Running) -> None:
    made = await console.make(webhooks=[{"name": "a", "hook_url": "http://receiver.example/a"}, HOOK])
    console.clock.advance(60)
    status, changed = await console.call("PATCH", f"{HUB}/ci/", {"active": False, "timeout": 7, "unknown": 1})
    assert status == 200
    assert changed["last_updated"] > changed["created"] == made["created"]
    assert {key for key in made if changed[key] != made[key]} == {"active", "timeout", "last_updated"}
    status, renamed = await console.call("PATCH", f"{HUB}/ci", {"name": "Build"})
    assert (renamed["slug"], renamed["id"]) == ("build", made["id"])
    assert (await console.call("GET", f"{HUB}/ci"))[0] == 404


async def test_a_hook_keeps_its_secret_where_it_is_the_same_one(console: Running) -> None:
    a, b, c = ({"name": n, "hook_url": f"http://receiver.example/{n}"} for n in "abc")
    made = await console.make(webhooks=[a, b])
    ids = [hook["id"] for hook in made["webhooks"]]
    secrets = [await console.get(f"/api/hooks/{i}/secret") for i in ids]
    console.clock.advance(60)
    _, turned = await console.call(
        "PATCH", f"{HUB}/ci", {"webhooks": [c, b, {"id": ids[0], "hook_url": "http://receiver.example/z"}]}
    )
    assert [hook["id"] for hook in turned["webhooks"]][1:] == [ids[1], ids[0]]
    assert turned["webhooks"][0]["id"] not in ids
    assert turned["webhooks"][1]["last_updated"] == made["webhooks"][1]["last_updated"]
    assert turned["webhooks"][2]["last_updated"] > turned["webhooks"][2]["created"]
    assert [await console.get(f"/api/hooks/{i}/secret") for i in ids] == secrets


async def test_secret_of_a_hook(console: Running) -> None:
    made = await console.make(webhooks=[HOOK, HOOK])
    first, second = [await console.get(f"/api/hooks/{hook['id']}/secret/") for hook in made["webhooks"]]
    assert first["secret"].startswith("whsec_")
    assert first != second
    assert await console.call("GET", "/api/hooks/none/secret") == (404, {"detail": "Not found."})


async def test_a_secret_is_rotated_with_overlap(console: Running) -> None:
    made = await console.make(webhooks=[HOOK, HOOK])
    first, other = [hook["id"] for hook in made["webhooks"]]
    old, kept = [(await console.get(f"/api/hooks/{i}/secret"))["secret"] for i in (first, other)]
    console.clock.advance(60)
    status, hook = await console.call("POST", f"/api/hooks/{first}/rotate")
    assert status == 200
    assert (hook["id"], hook["secret_version"]) == (first, 2)
    assert hook["secret_before_until"] == "2023-11-15T22:14:20.000Z"
    pipeline = await console.get(f"{HUB}/ci")
    assert pipeline["webhooks"][0] == hook
    assert pipeline["webhooks"][1] == made["webhooks"][1]
    secrets = [(await console.get(f"/api/hooks/{i}/secret"))["secret"] for i in (first, other)]
    assert secrets[1] == kept
    assert secrets[0] != old
    stored = settings(console)[-1]
    assert stored is not None
    now = console.clock.now_ms()
    assert signing(stored.hooks[0], now) == [("k1", 2), ("k1", 1)]
    assert [signing(plan, now) for plan in stored.plan(0).hooks] == [[("k1", 2), ("k1", 1)], [("k1", 1)]]
    _, changed = await console.call("PATCH", f"{HUB}/ci", {"name": "other"})
    assert changed["webhooks"][0]["secret_version"] == 2


async def test_a_rotation_that_is_sent_twice_ends_nothing(console: Running) -> None:
    (hook,) = (await console.make(webhooks=[HOOK]))["webhooks"]
    url = f"/api/hooks/{hook['id']}/rotate"
    _, first = await console.call("POST", url, {"grace": 100})
    for late_s, body, status in ((0, {}, 400), (99, {"again": False}, 400), (1, {}, 200), (0, {"again": True}, 200)):
        console.clock.advance(late_s)
        got, answer = await console.call("POST", url, body)
        assert got == status
        if status == 400:
            assert "still signs" in answer["again"][0]
            assert (await console.get(f"{HUB}/ci"))["webhooks"] == [first]
    assert (await console.get(f"{HUB}/ci"))["webhooks"][0]["secret_version"] == 4


async def test_a_secret_that_leaked_ends_at_once(console: Running) -> None:
    (hook,) = (await console.make(webhooks=[HOOK]))["webhooks"]
    _, rotated = await console.call("POST", f"/api/hooks/{hook['id']}/rotate", {"grace": 0})
    assert (rotated["secret_version"], rotated["secret_before_until"]) == (2, None)


@pytest.mark.parametrize(
    "body", [{"grace": -1}, {"grace": 2_592_001}, {"grace": "1"}, {"grace": None}, {"again": 1}, []]
)
async def test_a_rotation_that_is_not_as_it_must_be(console: Running, body: object) -> None:
    (hook,) = (await console.make(webhooks=[HOOK]))["webhooks"]
    assert (await console.call("POST", f"/api/hooks/{hook['id']}/rotate", body))[0] == 400
    assert (await console.get(f"{HUB}/ci"))["webhooks"] == [hook]
    assert (await console.call("POST", "/api/hooks/none/rotate"))[0] == 404


async def test_delete(console: Running) -> None:
    made = await console.make()
    assert await console.call("DELETE", f"{HUB}/ci/") == (204, None)
    assert settings(console)[-1] is None
    for path in (
        f"{HUB}/ci/",
        f"{HUB}/ci/history/",
        f"/api/pipelines/{made['id']}",
        f"/api/pipelines/{made['id']}/history",
    ):
        assert await console.call("GET", path) == (404, {"detail": "Not found."})
    assert (await console.call("DELETE", f"{HUB}/ci/"))[0] == 404
    assert (await console.call("PATCH", f"{HUB}/ci/", {}))[0] == 404


async def test_not_acknowledged_is_503_and_may_be_there_all_the_same(console: Running) -> None:
    console.appends.fail = AppendFailed("no ack")
    body = {"name": "ci", "webhooks": [HOOK]}
    assert await console.call("POST", HUB, body) == (503, {"detail": "not acknowledged by Kafka"})
    console.appends.fail, console.appends.lose_answer = None, AppendFailed("no ack")
    assert (await console.call("POST", HUB, body))[0] == 503
    console.appends.lose_answer = None
    assert (await console.call("POST", HUB, body))[0] == 400


@pytest.mark.parametrize("nothing_behind_it", [False, True])
async def test_a_bom_before_a_body_is_ignored(console: Running, nothing_behind_it: bool) -> None:
    made = await console.make()
    headers = {"Authorization": f"JWT {console.token}"}
    body = b"" if nothing_behind_it else b'{"name": "renamed"}'
    url = f"{console.base}{HUB}/{made['slug']}/"
    async with console.http.patch(url, data=b"\xef\xbb\xbf" + body, headers=headers) as answer:
        assert (answer.status, (await answer.json())["name"]) == (200, made["name"] if nothing_behind_it else "renamed")


async def test_what_kafka_does_not_take_is_told_apart_from_what_it_did_not_acknowledge(console: Running) -> None:
    body = {"name": "ci", "webhooks": [HOOK]}
    console.cluster.limits[Topic.PIPELINES] = 1
    assert await console.call("POST", HUB, body) == (
        413,
        {"detail": "too large for Kafka's topic as configured"},
    )
    console.cluster.limits.clear()
    console.cluster.denied.add(Topic.PIPELINES)
    status, said = await console.call("POST", HUB, body)
    assert (status, "grant it the right" in str(said)) == (503, True)
    console.cluster.denied.clear()
    assert (await console.call("POST", HUB, body))[0] == 201, "neither was there"


async def test_201_is_seen_on_another_replica_at_once(console: Running, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    async with running(tmp_path / "other", console.cluster, late_s=0.2) as other:
        for number in range(4):
            made = await console.make(name=f"ci {number}")
            path = f"{HUB}/{made['slug']}" if number % 2 else f"/api/pipelines/{made['id']}"
            assert (await other.get(path))["id"] == made["id"]
        await console.make(name="ci")
        count = len(settings(console))
        assert (await other.call("POST", HUB, {"name": "ci", "webhooks": [HOOK]}))[0] == 400
        assert len(settings(console)) == count, "it read on before it wrote"


async def test_pages_of_a_list(console: Running) -> None:
    for number in range(5):
        await console.make(name=f"p{number}")
        console.clock.advance(1)
    first = await console.get(f"{HUB}/?page_size=2")
    assert (first["count"], first["previous"]) == (5, None)
    assert first["next"].startswith(console.base + HUB)
    seen, url = [p["name"] for p in first["results"]], first["next"]
    while url:
        page = await console.get(url.removeprefix(console.base))
        seen, url = seen + [p["name"] for p in page["results"]], page["next"]
    assert seen == ["p0", "p1", "p2", "p3", "p4"]
    assert page["previous"].endswith("page_size=2&page=2")
    assert await console.call("GET", f"{HUB}/?page=2") == (404, {"detail": "Not found."})
    for query, field in (
        ("page=0", "page"),
        ("page=x", "page"),
        ("page_size=0", "page_size"),
        ("page_size=-1", "page_size"),
    ):
        status, body = await console.call("GET", f"{HUB}/?{query}")
        assert (status, list(body)) == (400, [field])
    assert (await console.get(f"{HUB}?page_size=99999"))["count"] == 5


async def test_other_methods_and_bodies(console: Running) -> None:
    assert (await console.call("PUT", HUB))[0] == 405
    status, body = await console.call("POST", HUB, headers={"Authorization": f"JWT {console.token}"}, data=b"{")
    assert (status, list(body)) == (400, ["non_field_errors"])
    status, _ = await console.call("POST", HUB, {"name": "x" * 300_000})
    assert status == 413


async def test_urls_that_settings_do_not_allow(console: Running, tmp_path: Path) -> None:
    """Refused when saved; kept and warned of where they were saved before."""
    made = await console.make(webhooks=[{"hook_url": "http://receiver.example:25/"}])
    (tmp_path / "strict").mkdir()
    strict = {"hook_https_only": "true", "hook_ports": "443,8443"}
    async with running(tmp_path / "strict", console.cluster, strict) as other:
        body = {
            "name": "two",
            "webhooks": [{"hook_url": f"{url}/"} for url in ("http://a.example", "https://a.example:25")],
        }
        status, said = await other.call("POST", HUB, body)
        assert (status, said) == (400, {"webhooks": [
            "hook 1, hook_url: Must begin with https:// (HOOKLINE_HOOK_HTTPS_ONLY).",
            "hook 2, hook_url: Has port 25: hooks may use 443, 8443 only (HOOKLINE_HOOK_PORTS).",
        ]})  # fmt: skip
        status, kept = await other.call("PATCH", f"{HUB}/{made['slug']}/", {"expect_final_callback": False})
        assert status == 200
        assert kept["warnings"] == [
            "A hook's URL is no longer allowed, so its attempts fail: Must begin with https:// (HOOKLINE_HOOK_HTTPS_ONLY)."
        ]


@pytest.mark.parametrize(
    ("given", "saved"),
    [
        ("Registry-1.Docker.io", "docker.io"),
        ("hub.docker.com:443", "docker.io"),
        ("R.example.com:443", "r.example.com"),
        ("registry:5000", "registry.example.com"),
    ],
)
async def test_a_registry_is_saved_by_its_one_name(tmp_path: Path, given: str, saved: str) -> None:
    aliases = {"registry_aliases": "registry:5000=registry.example.com"}
    async with running(tmp_path, None, aliases) as console:
        assert (await console.make(registry=given))["registry"] == saved


async def test_a_registry_that_was_never_seen_is_a_warning(console: Running) -> None:
    never = "No push from the registry r.example.com has come yet"
    made = await console.make(registry="r.example.com")
    assert [said.startswith(never) for said in made["warnings"]] == [True]
    console.writing.push(push(1, ()).model_copy(update={"registry": "r.example.com"}))
    await console.projected()
    assert (await console.make(registry="r.example.com:443", name="later"))["warnings"] == []


@pytest.mark.parametrize(("repository", "registry", "saved"), [
    ("_/nginx", None, "library/nginx"),
    ("nginx", "docker.io", "library/nginx"),
    ("nginx", None, "nginx"),
    ("nginx*", "docker.io", "nginx*"),
])  # fmt: skip
async def test_an_official_image_is_in_library(
    console: Running, repository: str, registry: str | None, saved: str
) -> None:
    body = {"name": "ci", "registry": registry, "webhooks": [{"hook_url": "http://93.184.215.14/"}]}
    status, made = await console.call("POST", f"/api/pipelines?repository={repository}", body)
    assert (status, made["repository"]) == (201, saved)


async def test_digests_that_never_come_are_a_warning(console: Running) -> None:
    made = await console.make(dedupe="digest", name="before")
    assert made["warnings"] == []
    for number, digest in ((1, "sha256:" + "a" * 64), (2, None)):
        told = push(number, (), received_at=NOW + number).model_copy(update={"digest": digest})
        console.writing.push(told)
        await console.projected()
        made = await console.make(dedupe="digest", name=f"after {number}")
        assert [said.startswith("The latest push of acme/app came without a digest") for said in made["warnings"]] == (
            [] if digest else [True]
        )
    assert (await console.make(name="event"))["warnings"] == []
