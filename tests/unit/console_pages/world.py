"""A world to look at: pipelines, and chains that ended in every way, made by the services' records; some of it hostile."""

import time
from dataclasses import dataclass
from typing import Any

from hookline.chain.artifacts import ArtifactType
from hookline.chain.callback_tokens import CallbackToken, sign_token
from hookline.chain.events import HaltReason, Plan, Verdict
from hookline.chain.ids import ChainId
from hookline.chain.pipeline import Pipeline
from tests.unit.console.histories import push
from tests.unit.console.running import KEYS, PASSWORD, Running

__all__ = ["HOSTILE", "SECRET_PATH", "World", "seed"]

HOSTILE = "<script>alert('x')</script>\"'><img src=x onerror=alert(1)>{{7*7}}\u202e"
"""As a pipeline's name (shortened), a tag, a description, an answer."""
SECRET_PATH = "T0123456789abcdefABCDEF"
SCRIPT_URL = "javascript:alert(document.cookie)//https://x"


@dataclass
class World:
    """Ids of what was made."""

    pipelines: dict[str, str]
    chains: dict[str, ChainId]
    token: str
    """A callback token that a receiver answered with."""


async def seed(console: Running) -> World:
    """Make it all, and wait until it is in the read model."""
    await _set_clock(console)
    world = World({}, {}, "")
    shop = await console.make(
        "acme/shop",
        name="release",
        webhooks=[
            {"name": "test", "hook_url": f"http://receiver.example/{SECRET_PATH}/run?token=s3cret"},
            {"name": "scan", "hook_url": "https://receiver.example/scan"},
            {"name": "deploy", "hook_url": "https://receiver.example/deploy"},
        ],
    )
    other = await console.make("acme/shop", name="notify", expect_final_callback=False, retry_delays=[])
    idle = await console.make("acme/shop", name="nightly", active=False, registry="registry.example:5000")
    named = HOSTILE.rstrip("\u202e")[:64]
    bad = await console.make(
        "evil/repo", name=named, webhooks=[{"name": named, "hook_url": "http://receiver.example/hook"}]
    )
    body = {"name": "deep", "webhooks": [{"hook_url": "http://receiver.example/hook"}]}
    _, deep = await console.call("POST", "/api/pipelines?repository=team/group/app", body)
    globbed = {"name": "all", "tags": ["v*", "<b>"], "artifacts": ["index", "sbom"], "dedupe": "digest"}
    _, every = await console.call("POST", "/api/pipelines?repository=tools/*", globbed | {"webhooks": body["webhooks"]})
    world.pipelines = {"all": every["id"]} | {
        "shop": shop["id"],
        "notify": other["id"],
        "bad": bad["id"],
        "deep": deep["id"],
        "idle": idle["id"],
    }
    console.writing.now = console.clock.now_ms() - 7_200_000
    _chains_of_shop(console, world, _plan(shop), _plan(other, 1))
    _hostile(console, world, _plan(bad))
    _start(console, 12, _plan(every), repository="tools/cli", tag="v2")
    console.writing.now = console.clock.now_ms() - 3_600_000
    _pushes(console, _plan(deep))
    await console.projected()
    return world


async def _set_clock(console: Running) -> None:
    """To the real time, which the in-memory cluster stamps records with."""
    console.clock.advance(time.time() - console.clock.now_ms() / 1000)
    _, body = await console.call("POST", "/v2/users/login/", {"username": "admin", "password": PASSWORD})
    console.token = body["token"]


def _plan(made: dict[str, Any], n: int = 0) -> Plan:
    hooks = [
        {"id": hook["id"], "name": hook["name"], "url": hook["hook_url"], "key": "k1", "created_at": 1, "updated_at": 1}
        for hook in made["webhooks"]
    ]
    settings = {
        "pipeline_id": made["id"],
        "callback_deadline_s": made["callback_deadline"],
        "timeout_s": made["timeout"],
        "retry_delays_s": made["retry_delays"],
        "hooks": hooks,
        "created_at": 1,
        "updated_at": 1,
    }
    return Pipeline.model_validate(made | settings).plan(n)


def _start(
    console: Running, number: int, *plans: Plan, repository: str = "acme/shop", **changed: object
) -> list[ChainId]:
    writing = console.writing
    writing.now += 600_000
    event = push(number, plans, received_at=writing.now, repository=repository)
    return writing.push(event.model_copy(update={"pusher": "mara", **changed}))


def _chains_of_shop(console: Running, world: World, plan: Plan, notify: Plan) -> None:
    writing, chains = console.writing, world.chains
    chains["completed"], chains["notified"] = _start(
        console, 1, plan, notify, tag="1.4.0", digest=f"sha256:{'ab' * 32}", artifact_type=ArtifactType.INDEX
    )
    writing.failed(chains["completed"], 1, took_ms=12)
    for step in (1, 2, 3):
        writing.delivered(chains["completed"], step, 2 if step == 1 else 1)
        said = {
            "description": f"{387 * step} tests PASSED",
            "context": "CI",
            "target_url": "https://ci.example.com/runs/8",
        }
        writing.verdict(chains["completed"], step, **said)
    writing.completed(chains["completed"], 3)
    writing.delivered(chains["notified"], 1)
    writing.completed(chains["notified"], 1)

    (chains["failure"],) = _start(console, 2, plan, tag="1.4.1")
    writing.delivered(chains["failure"], 1)
    writing.verdict(chains["failure"], 1)
    writing.delivered(chains["failure"], 2)
    writing.verdict(chains["failure"], 2, Verdict.FAILURE, description="2 critical vulnerabilities")
    writing.halted(chains["failure"], 2, HaltReason.CALLBACK_FAILURE)
    writing.verdict(chains["failure"], 2, Verdict.SUCCESS, description="changed my mind")
    chains["rerun"] = writing.rerun(
        chains["failure"], plan, 2, repository="acme/shop", payload={"push_data": {"tag": "1.4.1"}}
    )
    writing.delivered(chains["rerun"], 2)

    (chains["timeout"],) = _start(console, 3, plan, tag="1.4.2")
    writing.delivered(chains["timeout"], 1)
    writing.sealed(chains["timeout"], 1, writing.closing(chains["timeout"], 1))
    writing.verdict(chains["timeout"], 1, description="a minute late")
    writing.fence(of=(place := writing.partition_of(chains["timeout"].push_id)))
    writing.halted(chains["timeout"], 1, HaltReason.CALLBACK_TIMEOUT)
    writing.fences[place], current = 0, writing.fences[place]
    writing.delivered(chains["timeout"], 2)
    writing.fences[place] = current

    (chains["cancelled"],) = _start(console, 4, plan, tag="1.5.0-rc1")
    writing.cancel(chains["cancelled"])
    writing.halted(chains["cancelled"], 1, HaltReason.CANCELLED)

    (chains["retrying"],) = _start(console, 5, plan, tag="1.5.0")
    writing.delivered(chains["retrying"], 1)
    writing.verdict(chains["retrying"], 1, description="all green")
    writing.failed(chains["retrying"], 2)


def _hostile(console: Running, world: World, plan: Plan) -> None:
    writing = console.writing
    (chain,) = _start(console, 6, plan, repository="evil/repo", tag=HOSTILE, pusher=HOSTILE)
    world.chains["hostile"] = chain
    world.token = sign_token(KEYS, CallbackToken(chain, 1, writing.now), "evil/repo")
    writing.failed(chain, 1, took_ms=1234, answer=HOSTILE)
    echo = f'{{"callback_url":"https://hooks.example/u/evil/repo/hook/{world.token}/"}}'
    writing.delivered(chain, 1, 2, took_ms=1234, answer=echo)
    said = {"description": HOSTILE, "context": HOSTILE, "target_url": SCRIPT_URL}
    writing.verdict(chain, 1, Verdict.FAILURE, **said)


def _pushes(console: Running, deep: Plan) -> None:
    _start(
        console,
        7,
        repository="acme/shop",
        tag="no-plan",
        registry="other.example",
        artifact_type=ArtifactType.HELM_CHART,
    )
    _start(console, 8, repository="nobody/here", tag="latest")
    _start(console, 9, repository="../../<b>up</b>?x=1#y", tag="latest")
    _start(console, 10, deep, repository="team/group/app")
    console.writing.push(push(10, (deep,), received_at=console.writing.now, repository="team/group/app"))
    _start(console, 11, repository="alpine", tag="3.22")
