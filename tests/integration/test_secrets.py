"""I11: with marked secrets everywhere, none stands in any topic, page, metric or log line."""

import asyncio
import base64
import html
import re
from collections.abc import Iterable
from pathlib import Path

import aiohttp

from hookline.chain.events import ChainCompleted
from hookline.chain.keys import KeyRing
from hookline.log.records import LOGS, Topic
from tests.integration.system import MASTER_KEY, PASSWORD, SERVICES, TOKEN, Stand, System
from tests.kit.waiting import until

QUERY_MARK, PATH_MARK = "q5SECRETq5", "p4thSECRETp4thSECRETp4th"
"""In a hook's URL: kept as given in topics, shown nowhere else."""
WRONG_PASSWORD, WRONG_TOKEN = "wr0ng-p4ssw0rd-mark", "wr0ng-t0ken-mark"
COOKIE = "c00kie-mark"
BASIC = base64.b64encode(f"me:{TOKEN}".encode()).decode()
BODY = {
    "push_data": {"pushed_at": 1417566161, "pusher": "me", "tag": "v1"},
    "repository": {"repo_name": "ns/app", "namespace": "ns", "name": "app", "status": "Active"},
}


async def push_in_every_way(system: System) -> None:
    """Each way to carry a credential, right and wrong, and a header that is none of our business."""
    url = system.url("ingress", "/events/dockerhub")
    http = system.http
    for tag, options in (
        ("bearer", {"headers": {"Authorization": f"Bearer {TOKEN}", "Cookie": f"a={COOKIE}"}}),
        ("basic", {"headers": {"Authorization": f"Basic {BASIC}"}}),
        ("query", {"params": {"token": TOKEN}}),
        ("unreadable", {"params": {"token": TOKEN}, "data": b"{", "json": None}),
        ("wrong", {"params": {"token": WRONG_TOKEN}}),
    ):
        body = {"json": BODY | {"push_data": BODY["push_data"] | {"tag": tag}}} | options  # type: ignore[operator]
        async with http.post(url, **body) as answer:  # type: ignore[arg-type]
            assert answer.status == (401 if tag == "wrong" else 202), tag


async def crawl(system: System, first: Iterable[str]) -> dict[str, str]:
    """Pages that a logged-in user can reach by links from `/`, and before them those at these paths."""
    form = {"username": "admin", "password": PASSWORD}
    seen: dict[str, str] = {}
    jar = aiohttp.CookieJar(unsafe=True)  # else it takes no cookie of an address
    async with aiohttp.ClientSession(system.url("console", ""), cookie_jar=jar) as http:
        async with http.get("/login") as page:
            hidden = re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', await page.text())
        headers = {"Origin": system.url("console", "")}
        async with http.post("/login", data=form | dict(hidden), headers=headers) as answer:
            assert answer.url.path == "/", await answer.text()
        queue = ["/", *first]
        while queue and len(seen) < 60:
            path = queue.pop()
            async with http.get(path) as page:
                seen[path] = await page.text()
            for link in re.findall(r'href="(/[^"#]*)"', seen[path]):
                if link not in seen and link not in queue and "logout" not in link:
                    queue.append(html.unescape(link))
    return seen


async def test_no_secret_stands_anywhere_it_should_not(stand: Stand, tmp_path: Path) -> None:
    system = System(stand, tmp_path, log_level="debug")
    async with system.running():
        hook = system.receiver.url("one") + f"?key={QUERY_MARK}"
        deep = system.receiver.url(PATH_MARK)
        status, pipeline = await system.console(
            "POST",
            "/v2/repositories/ns/app/webhook_pipeline/",
            {"name": "ci", "webhooks": [{"hook_url": hook}, {"hook_url": deep}]},
        )
        assert status == 201, pipeline
        hook_ids = [str(made["id"]) for made in pipeline["webhooks"]]  # type: ignore[attr-defined]
        _, secret = await system.console("GET", f"/api/hooks/{hook_ids[0]}/secret")
        async with system.http.post(
            system.url("console", "/v2/users/login/"), json={"username": "admin", "password": WRONG_PASSWORD}
        ) as answer:
            assert answer.status == 401
        await push_in_every_way(system)
        answered: set[str] = set()
        for name, count in (("one", 3), (PATH_MARK, 3)):
            await until(lambda name=name, count=count: len(system.receiver.of(name)) >= count)
            for _, _, body in system.receiver.of(name):
                assert await system.call_back(body) == (200, '"OK"')
                answered.add(str(body["callback_url"]).rstrip("/").rpartition("/")[2])
        await until(lambda: ended(system, 3))
        token = answered.pop()
        async with system.http.post(
            system.url("callbacks", f"/u/other/repo/hook/{token}/"), json={"state": "success"}
        ) as answer:
            assert answer.status == 404
        await until(lambda: shown(system, 3))

        keys = KeyRing.parse([MASTER_KEY])
        secrets = {
            "ingress token": TOKEN, "wrong token": WRONG_TOKEN, "password": PASSWORD, "wrong password": WRONG_PASSWORD,
            "cookie": COOKIE, "JWT": system.jwt, "master key": MASTER_KEY.partition(":")[2], "hook secret": str(secret["secret"]),
            "another hook secret": keys.hook_secret("k1", hook_ids[1], 1).removeprefix("whsec_"), "basic": BASIC,
            **{f"callback token {n}": one for n, one in enumerate({token, *answered})},
        }  # fmt: skip
        not_shown = secrets | {"query of a hook URL": QUERY_MARK, "long segment of a hook URL": PATH_MARK}
        pages = {f"/hooks/{hook_id}/secret": keys.hook_secret("k1", hook_id, 1) for hook_id in hook_ids}
        places = await everywhere(system, pages)
        own = {f"page {path}": secret for path, secret in pages.items()}
    found = [
        f"{what} in {where}"
        for where, text in places.items()
        for what, value in (secrets if where.startswith("topic") else not_shown).items()
        if value in text and value not in own.get(where, "")
    ]
    assert found == []
    assert [places[where] for where, secret in own.items() if secret not in places[where]] == [], (
        "there, and nowhere else"
    )
    assert QUERY_MARK in places["topic pipelines"], "hook URLs are kept as given in topics: the search can find"
    assert {where.split()[0] for where in places} == {"topic", "page", "metrics", "log"}
    assert all(places.values()), "an empty place proves nothing"


async def everywhere(system: System, pages: Iterable[str]) -> dict[str, str]:
    places = {}
    for topic in (*LOGS, Topic.PIPELINES, Topic.QUARANTINE):
        raws = await system.raw(topic)
        parts = [part for raw in raws for part in (raw.key or b"", raw.value or b"", *raw.headers.values())]
        places[f"topic {topic}"] = b"\n".join(parts).decode(errors="replace")
    for path, page in (await crawl(system, pages)).items():
        places[f"page {path}"] = page
    for service in SERVICES:
        async with system.http.get(f"http://127.0.0.1:{system.ports[service] + 1000}/metrics") as answer:
            places[f"metrics {service}"] = await answer.text()
        places[f"log {service}"] = await asyncio.to_thread((system.folder / f"{service}.log").read_text)
    places.pop(f"topic {Topic.COMMANDS}")  # nobody asked for anything in this story
    return places


async def ended(system: System, count: int) -> bool:
    return len(await system.records(Topic.DELIVERIES, ChainCompleted)) >= count


async def shown(system: System, count: int) -> bool:
    return [row["status"] for row in await system.history()] == ["success"] * count
