"""History, timelines, cancel, run again, pushes with why nothing started."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from hookline.chain.artifacts import ArtifactType
from hookline.chain.callback_tokens import CallbackToken, callback_path, sign_token
from hookline.chain.events import CancelRequested, HaltReason, RedeliveryRequested, Verdict
from hookline.chain.hook_secrets import is_run_of, signing
from hookline.chain.ids import ChainId
from hookline.chain.pipeline import Pipeline
from hookline.errors import AppendFailed
from hookline.log.codec import decode, decode_setting
from hookline.log.records import Draft, Place, Topic
from hookline.settings import Settings
from tests.kit.waiting import until
from tests.unit.console.histories import URL, plan, push
from tests.unit.console.running import KEY, PARTITIONS, Running, running

HUB = "/v2/repositories/acme/app/webhook_pipeline"


def started(console: Running, number: int = 1, pipeline_id: str = "p1", hooks: int = 3) -> ChainId:
    (chain,) = console.writing.push(
        push(number, (plan(hooks=hooks, pipeline_id=pipeline_id),), received_at=console.writing.now)
    )
    return chain


def commands(console: Running) -> list[Any]:
    return [decode(raw).event for p in range(PARTITIONS) for raw in console.records(Topic.COMMANDS, p)]


async def test_history_rows(console: Running) -> None:
    made = await console.make()
    ends: list[tuple[HaltReason | None, str]] = [
        (None, "success"),
        (HaltReason.CALLBACK_FAILURE, "failure"),
        *((reason, "error") for reason in HaltReason if reason is not HaltReason.CALLBACK_FAILURE),
    ]
    chains = [started(console, number, made["id"]) for number in range(len(ends) + 1)]
    for chain, (reason, _) in zip(chains, ends, strict=False):
        console.writing.verdict(chain, 1, description="built", target_url="https://ci.example/1")
        if reason is None:
            console.writing.completed(chain, 3)
        else:
            console.writing.halted(chain, 2, reason)
    await console.projected()
    history = await console.get(f"{HUB}/ci/history/")
    assert history["count"] == len(chains)
    rows = history["results"][::-1]
    assert [(row["reason"], row["status"]) for row in rows] == [*ends, (None, "pending")]
    assert [row["step"] for row in rows] == [3, *[2] * len(HaltReason), 1]
    assert rows[0] == {
        "uuid": str(chains[0]),
        "created": "2023-11-14T22:13:20.000Z",
        "status": "success",
        "reason": None,
        "step": 3,
        "tag": "v0",
        "description": "built",
        "detail": None,
        "target_url": "https://ci.example/1",
        "chain_url": f"{console.base}/api/chains/{chains[0]}",
    }
    assert (await console.get(f"/api/pipelines/{made['id']}/history"))["results"] == history["results"]
    page = await console.get(f"{HUB}/ci/history?page=2&page_size=3")
    assert page["results"] == history["results"][3:6]


async def test_a_row_says_why_the_last_attempt_of_its_step_failed(console: Running) -> None:
    """Until a verdict or a delivery of that step says more."""
    made = await console.make()
    chain = started(console, 1, made["id"])
    console.writing.verdict(chain, 1, description="built")
    console.writing.failed(chain, 2, detail="its answer was cut short")
    await console.projected()
    (row,) = (await console.get(f"{HUB}/ci/history/"))["results"]
    assert row["description"] == "built"
    assert row["detail"] == "its receiver answered 500: its answer was cut short"
    console.writing.delivered(chain, 2)
    await console.projected()
    (row,) = (await console.get(f"{HUB}/ci/history/"))["results"]
    assert row["detail"] is None


async def test_a_seal_says_nothing_in_a_row(console: Running) -> None:
    """It lies where verdicts do, and is none: the row goes on saying why the last attempt failed."""
    made = await console.make()
    chain = started(console, 1, made["id"])
    console.writing.verdict(chain, 1, description="built")
    intent = console.writing.failed(chain, 2, last=True, detail="its answer was cut short")
    console.writing.sealed(chain, 2, intent)
    console.writing.verdict(chain, 2, description="too late")
    console.writing.halted(chain, 2, HaltReason.DELIVERY_FAILED)
    (row,) = await history_rows(console)
    assert (row["status"], row["step"], row["description"]) == ("error", 2, "built")
    assert row["detail"] == "its receiver answered 500: its answer was cut short"
    timeline = (await console.get(f"/api/chains/{chain}"))["timeline"]
    assert [(e["type"], e["void"]) for e in timeline][1:] == [
        ("HookAttemptFailed", None),
        ("StepSealed", None),
        ("CallbackReceived", "later"),
        ("ChainHalted", None),
    ]


async def history_rows(console: Running) -> Any:
    await console.projected()
    return (await console.get(f"{HUB}/ci/history/"))["results"]


async def test_history_of_a_deleted_pipeline_stays_by_its_id(console: Running) -> None:
    made = await console.make()
    chain = started(console, 1, made["id"])
    await console.projected()
    assert (await console.call("DELETE", f"{HUB}/ci/"))[0] == 204
    (row,) = (await console.get(f"/api/pipelines/{made['id']}/history/"))["results"]
    assert row["uuid"] == str(chain)


async def test_what_counts_is_what_the_latest_step_said_first(console: Running) -> None:
    chain = started(console, 1, (await console.make())["id"])
    console.writing.verdict(chain, 2, description="second")
    console.writing.verdict(chain, 1, description="first")
    console.writing.verdict(chain, 2, Verdict.FAILURE, description="too late")
    await console.projected()
    (row,) = (await console.get(f"{HUB}/ci/history"))["results"]
    assert (row["description"], row["target_url"]) == ("second", None)


async def test_timeline(console: Running) -> None:
    chain = started(console)
    failed = console.writing.failed(chain, 1)
    delivered = console.writing.delivered(chain, 1, 2)
    verdict = console.writing.verdict(chain, 1, description="387 tests PASSED")
    console.writing.fence(of=(place := console.writing.partition_of(chain.push_id)))
    void = console.writing.delivered(chain, 2, fence=0)
    body = await console.get(f"/api/chains/{chain}/")
    assert (body["uuid"], body["status"], body["step"], body["run"]) == (str(chain), "pending", 2, 1)
    assert body["pipeline"] == {"id": "p1", "name": "ci", "slug": "ci"}
    assert body["push"]["partition"] == place
    assert body["push"]["chains"][0]["uuid"] == str(chain)
    assert [(h["step"], h["state"], h["failed_attempts"], h["verdict"]) for h in body["hooks"]] == [
        (1, "verified", 1, "success"),
        (2, "pending", 0, None),
        (3, "not_reached", 0, None),
    ]
    assert {h["hook_url"] for h in body["hooks"]} == {"http://receiver.example/hook"}
    assert [(e["type"], e["topic"], e["offset"], e["void"], e["step"]) for e in body["timeline"]] == [
        ("HookAttemptFailed", "deliveries", failed, None, 1),
        ("HookDelivered", "deliveries", delivered, None, 1),
        ("CallbackReceived", "callbacks", verdict, None, 1),
        ("HookDelivered", "deliveries", void, "fenced", 2),
    ]
    assert body["timeline"][0]["data"]["status"] == 500
    assert body["timeline"][2]["data"]["description"] == "387 tests PASSED"
    assert "s3cret" not in json.dumps(body), "I11: queries of hook URLs are not shown"
    assert URL not in json.dumps(body)


async def test_an_answer_with_the_callback_token_in_it(console: Running) -> None:
    """I11: receivers that echo what they were sent."""
    chain, keys = started(console), Settings(master_keys=[KEY]).key_ring()
    token = sign_token(keys, CallbackToken(chain, 1, 2**41), "acme/app")
    console.writing.delivered(chain, 1, answer=f"got {callback_path('acme/app', token)}")
    body = await console.get(f"/api/chains/{chain}")
    assert body["timeline"][0]["data"]["answer"] == "got /u/acme/app/hook/***/"


@pytest.mark.parametrize("chain_id", ["x", "1-2-3-4", "00000000-0000-4000-8000-000000000001-0-0-0", "%7F"])
async def test_a_chain_that_is_not_there(console: Running, chain_id: str) -> None:
    for method, path in (("GET", ""), ("POST", "/cancel"), ("POST", "/run")):
        assert await console.call(method, f"/api/chains/{chain_id}{path}") == (404, {"detail": "Not found."})


async def test_cancel(console: Running) -> None:
    chain = started(console)
    status, body = await console.call("POST", f"/api/chains/{chain}/cancel", {"reason": "wrong tag"})
    assert (status, body) == (202, {"chain_id": str(chain)})
    (event,) = commands(console)
    assert isinstance(event, CancelRequested)
    assert (event.chain_id, event.cause, event.by, event.reason) == (str(chain), chain.offset, "admin", "wrong tag")
    await console.projected()
    assert (await console.get(f"/api/chains/{chain}"))["cancel_requested"] is True
    console.writing.halted(chain, 1, HaltReason.CANCELLED)
    await console.projected()
    status, body = await console.call("POST", f"/api/chains/{chain}/cancel/")
    assert (status, body) == (400, {"non_field_errors": ["The chain is over: error, cancelled."]})


async def test_delete_cancels_what_is_open_if_asked(console: Running) -> None:
    made = await console.make()
    chains = [started(console, number, made["id"]) for number in range(4)]
    console.writing.completed(chains[0], 3)
    started(console, 9, "another")
    assert (await console.call("DELETE", f"{HUB}/ci/?cancel=true"))[0] == 204
    assert {event.chain_id for event in commands(console)} == {str(chain) for chain in chains[1:]}
    assert (await console.call("DELETE", f"{HUB}/ci/?cancel=true"))[0] == 404
    await console.make(name="other")
    assert (await console.call("DELETE", f"{HUB}/other/?cancel=maybe"))[0] == 400


async def test_a_later_run_has_the_secrets_of_its_time(console: Running) -> None:
    """Those of its push may be over: a receiver would refuse it."""
    (hook,) = (await console.make())["webhooks"]
    stored = decode_setting(console.records(Topic.PIPELINES)[-1], Pipeline)
    (chain,) = console.writing.push(push(1, (stored.plan(0),), received_at=console.writing.now))
    console.writing.halted(chain, 1, HaltReason.DELIVERY_FAILED)
    assert (await console.call("POST", f"/api/hooks/{hook['id']}/rotate"))[0] == 200
    assert (await console.call("POST", f"/api/chains/{chain}/run"))[0] == 202
    (event,) = commands(console)
    assert event.plan != stored.plan(0)
    assert is_run_of(event.plan, stored.plan(0))
    assert signing(event.plan.hooks[0], console.clock.now_ms()) == [("k1", 2), ("k1", 1)]


async def test_run_again(console: Running) -> None:
    chain = started(console)
    console.writing.halted(chain, 2, HaltReason.CALLBACK_FAILURE)
    status, body = await console.call("POST", f"/api/chains/{chain}/run", {"from_step": 2})
    (event,) = commands(console)
    assert isinstance(event, RedeliveryRequested)
    assert (event.cause, event.push_id, event.repository, event.from_step) == (
        chain.offset,
        chain.push_id,
        "acme/app",
        2,
    )
    assert event.plan == plan()
    assert event.payload["push_data"] == {"tag": "v1"}
    second = chain._replace(run=1)
    assert (status, body) == (202, {"chain_id": str(second)})
    again = await console.get(f"/api/chains/{second}")
    assert (again["run"], again["first_step"], again["step"], again["tag"]) == (2, 2, 2, "v1")
    assert [run["uuid"] for run in again["runs"]] == [str(chain), str(second)]
    assert [h["state"] for h in again["hooks"]] == ["skipped", "pending", "not_reached"]
    (first_event,) = again["timeline"]
    assert first_event["type"] == "RedeliveryRequested"
    assert "payload" not in first_event["data"]
    status, body = await console.call("POST", f"/api/chains/{second}/run")
    assert body == {"chain_id": str(chain._replace(run=2))}, "a run of a run; from step 1 where nothing is said"
    assert (await console.get(f"/api/chains/{body['chain_id']}"))["run"] == 3


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"from_step": 4}, "Must be a step of the chain: 1 to 3."),
        ({"from_step": 0}, "Must be a step of the chain: 1 to 3."),
        ({"from_step": True}, "Must be a whole number."),
        ({"from_step": "1"}, "Must be a whole number."),
    ],
)
async def test_run_from_no_step(console: Running, body: object, said: str) -> None:
    assert await console.call("POST", f"/api/chains/{started(console)}/run", body) == (400, {"from_step": [said]})


@pytest.mark.parametrize("name", ["acme/a\0b", "acme/" + "a" * 600])
async def test_a_run_of_a_repository_whose_name_is_not_kept_whole_is_refused(console: Running, name: str) -> None:
    """It would be a run of another repository's."""
    (chain,) = console.writing.push(push(1, (plan(),), received_at=console.writing.now, repository=name))
    await console.projected()
    status, body = await console.call("POST", f"/api/chains/{chain}/run", {})
    assert (status, body) == (
        400,
        {"non_field_errors": ["Its repository's name was cut off when it was stored: push again."]},
    )
    assert commands(console) == []


def keyed(console: Running, key: str = "a key") -> dict[str, str]:
    return {"Authorization": f"JWT {console.token}", "Idempotency-Key": key}


async def test_an_idempotency_key_starts_one_run(console: Running) -> None:
    chain, other = started(console, 1), started(console, 2)
    url = f"/api/chains/{chain}/run"
    answers = await asyncio.gather(*(console.call("POST", url, {}, headers=keyed(console)) for _ in range(4)))
    assert answers == [(202, {"chain_id": str(chain._replace(run=1))})] * 4
    assert len(commands(console)) == 1
    status, body = await console.call("POST", url, {"from_step": 2}, headers=keyed(console))
    assert (status, body) == (400, {"non_field_errors": ["This Idempotency-Key was used for a run from step 1."]})
    await console.call("POST", url, {}, headers=keyed(console, "another"))
    await console.call("POST", f"/api/chains/{other}/run", {}, headers=keyed(console))
    assert len(commands(console)) == 3
    assert (await console.call("POST", url, {}, headers=keyed(console, "x" * 256)))[0] == 400


async def test_a_key_is_remembered_over_a_lost_answer_and_a_restart(console: Running, tmp_path: Path) -> None:
    chain = started(console)
    console.appends.lose_answer = AppendFailed("no ack")
    assert (await console.call("POST", f"/api/chains/{chain}/run", {}, headers=keyed(console)))[0] == 503
    (tmp_path / "anew").mkdir()
    async with running(tmp_path / "anew", console.cluster) as other:
        answer = await other.call("POST", f"/api/chains/{chain}/run", {}, headers=keyed(other))
    assert answer == (202, {"chain_id": str(chain._replace(run=1))})
    assert len(commands(console)) == 1


async def test_pushes_and_why_nothing_started(console: Running) -> None:
    await console.make("acme/off", active=False)
    await console.make("acme/ghcr", registry="GHCR.io")
    console.writing.now += 1000
    (chain,) = console.writing.push(first := push(1, (plan(),), received_at=console.writing.now))
    console.writing.push(first.model_copy(update={"received_at": console.writing.now}))
    for number, repository in enumerate(("acme/off", "acme/ghcr", "acme/none", "acme/late"), 2):
        console.writing.push(push(number, (), received_at=console.writing.now, repository=repository))
    console.clock.advance(3600)
    await console.make("acme/late")
    await console.projected()
    body = await console.get("/api/pushes")
    rows = {
        (row["repository"], row["offset"] if row["repository"] == "acme/app" else None): row for row in body["results"]
    }
    assert body["count"] == 6
    reasons = {key: row["nothing_started"] and row["nothing_started"]["code"] for key, row in rows.items()}
    assert reasons == {
        ("acme/app", chain.offset): None,
        ("acme/app", chain.offset + 1): "repeat",
        ("acme/off", None): "inactive",
        ("acme/ghcr", None): "other_registry",
        ("acme/none", None): "no_pipeline",
        ("acme/late", None): "no_pipeline",
    }
    assert f"the push at offset {chain.offset} " in rows["acme/app", chain.offset + 1]["nothing_started"]["detail"]
    assert "ci (ghcr.io)" in rows["acme/ghcr", None]["nothing_started"]["detail"]
    assert "since" in rows["acme/late", None]["nothing_started"]["detail"]
    assert [c["uuid"] for c in rows["acme/app", chain.offset]["chains"]] == [str(chain)]
    assert rows["acme/app", chain.offset + 1]["chains"] == []
    assert (await console.get("/api/pushes?started=false"))["count"] == 5
    assert (await console.get("/api/pushes?started=true"))["count"] == 1
    assert (await console.get("/api/pushes?repository=ACME/off"))["count"] == 1


async def test_why_nothing_of_globs_tags_and_digests(console: Running) -> None:
    await console.make("acme/*", name="releases", tags="^1")
    await console.make("acme/*", name="edge", tags=["edge", "nightly-*"])
    await console.make("acme/app", name="off", tags=["v*"], active=False)
    await console.make("once/*", name="once", dedupe="digest")
    console.writing.now += 1000
    for number, (repository, tag) in enumerate(
        (("acme/app", "latest"), ("acme/app", None), ("acme/app", "v2"), ("once/app", "v1"), ("other/app", "v1")), 1
    ):
        event = push(number, (), received_at=console.writing.now + number, repository=repository)
        console.writing.push(event.model_copy(update={"tag": tag}))
    await console.projected()
    rows = (await console.get("/api/pushes"))["results"]
    reasons = {(row["repository"], row["tag"]): tuple(row["nothing_started"].values()) for row in rows}
    others = "for others: releases (^1), edge (edge, nightly-*), off (v*)."
    assert reasons == {
        ("acme/app", "latest"): ("other_tag", f"The tag is latest; {others}"),
        ("acme/app", None): ("other_tag", f"The push has no tag; {others}"),
        ("acme/app", "v2"): ("inactive", "Not active: off."),
        ("once/app", "v1"): ("same_digest", "The tag had this digest already, and only another one starts: once."),
        ("other/app", "v1"): ("no_pipeline", "No pipeline is registered for other/app."),
    }


async def test_why_nothing_of_other_artifacts(console: Running) -> None:
    await console.make("acme/*", name="images")
    await console.make("acme/*", name="tagged", tags=["v*"], artifacts=["helm_chart"])
    await console.make("charts/*", name="charts", artifacts=["helm_chart", "sbom"])
    await console.make("off/*", name="off", artifacts="all", active=False)
    console.writing.now += 1000
    for number, (repository, tag, kind) in enumerate(
        (
            ("acme/app", "1", ArtifactType.HELM_CHART),
            ("acme/app", "v1", ArtifactType.SIGNATURE),
            ("charts/app", "1", ArtifactType.INDEX),
            ("charts/app", "2", None),
            ("off/app", "1", ArtifactType.OTHER),
        ),
        1,
    ):
        event = push(number, (), received_at=console.writing.now + number, repository=repository)
        console.writing.push(event.model_copy(update={"tag": tag, "artifact_type": kind}))
    await console.projected()
    rows = (await console.get("/api/pushes"))["results"]
    reasons = {(row["repository"], row["tag"]): tuple(row["nothing_started"].values()) for row in rows}
    kinds = {(row["repository"], row["tag"]): row["artifact_type"] for row in rows}
    charts = "for other artifacts: charts (Helm charts, SBOMs)."
    both = "for other artifacts: images (images, indexes), tagged (Helm charts)."
    assert reasons == {
        ("acme/app", "1"): ("other_artifact", "It is a Helm chart; for other artifacts: images (images, indexes)."),
        ("acme/app", "v1"): ("other_artifact", f"It is a signature; {both}"),
        ("charts/app", "1"): ("other_artifact", f"It is an index; {charts}"),
        ("charts/app", "2"): (
            "other_artifact",
            f"Its registry does not tell, so it counts as an image; {charts}",
        ),
        ("off/app", "1"): ("inactive", "Not active: off."),
    }
    assert kinds["acme/app", "1"] == "helm_chart"
    assert kinds["charts/app", "2"] is None


async def test_pushes_since(console: Running) -> None:
    for number in range(3):
        console.writing.push(push(number, (), received_at=console.writing.now + number * 1000))
    await console.projected()
    for since in ("2023-11-14T22:13:21Z", "2023-11-14T23:13:21+01:00", "2023-11-14T23:13:21%2B01:00", "1700000001000"):
        assert (await console.get(f"/api/pushes/?since={since}"))["count"] == 2
    status, body = await console.call("GET", "/api/pushes?since=yesterday")
    assert (status, list(body)) == (400, ["since"])


async def test_a_stopped_partition_is_said_and_refused(console: Running) -> None:
    chain = started(console)
    await console.projected()
    place = console.writing.partition_of(chain.push_id)
    console.cluster.append(Draft(Place(Topic.COMMANDS, place), b"k", b"{}", {"ce_type": b"hookline.New.v9"}))
    status, body = await console.call("POST", f"/api/chains/{chain}/run", {}, headers=keyed(console))
    assert status == 503
    assert f"commands[{place}]@0" in body["detail"]
    assert f"commands[{place}]@0" in console.projector.progress.detail()
    assert (await console.get(f"/api/chains/{chain}"))["uuid"] == str(chain)


async def test_a_skipped_record_is_passed_over(console: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hookline.log.reader_status.LOOK_S", 0.05)
    chain = started(console)
    await console.projected()
    place = console.writing.partition_of(chain.push_id)
    bad = console.cluster.append(Draft(Place(Topic.PUSHES, place), b"k", b"{}", {"ce_type": b"hookline.Bad"}))
    await until(lambda: place in console.projector.progress.stopped)
    console.writing.skip(Topic.PUSHES, bad, place)
    await until(lambda: not console.projector.progress.stopped)
    status, body = await console.call("POST", f"/api/chains/{chain}/run", {}, headers=keyed(console))
    assert status == 202, body
    await console.projected()


async def test_without_kafka_reads_go_on_and_writes_are_503(console: Running) -> None:
    chain = started(console)
    await console.projected()
    console.cluster.down = True
    assert (await console.get(f"/api/chains/{chain}"))["uuid"] == str(chain)
    assert (await console.call("POST", f"/api/chains/{chain}/run", {}, headers=keyed(console)))[0] == 503
    assert (await console.call("GET", "/api/chains/00000000-0000-4000-8000-000000000001-0-0-0"))[0] == 503
    console.cluster.down = False
    assert (await console.call("POST", f"/api/chains/{chain}/cancel"))[0] in (202, 503)
