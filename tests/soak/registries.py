"""Registries that push: each push is sent again until it is answered, and each answer is written down."""

import asyncio
import json
from collections.abc import Callable, Sequence

import aiohttp

from tests.soak.ledger import Ledgers, Pushed, now_ms
from tests.soak.plan import PushPlan

__all__ = ["Registries", "body_of"]

PATIENCE_S = 45.0
PAUSE_S = 1.0


def body_of(push: PushPlan) -> str:
    """The same push has the same body, to the byte: that is what makes it a repeat."""
    if push.source == "distribution":
        return json.dumps(
            {
                "events": [
                    {
                        "id": f"event-{push.repository}-{push.tag}",
                        "timestamp": "2026-11-24T10:00:00.123456789Z",
                        "action": "push",
                        "target": {
                            "mediaType": "application/vnd.oci.image.manifest.v1+json",
                            "digest": "sha256:" + "0" * 64,
                            "repository": push.repository,
                            "tag": push.tag,
                        },
                        "request": {"host": "registry.example"},
                        "actor": {"name": "soak"},
                    }
                ]
            }
        )
    namespace, _, name = push.repository.partition("/")
    return json.dumps(
        {
            "push_data": {"pushed_at": 1417566161, "pusher": "soak", "tag": push.tag},
            "repository": {
                "repo_name": push.repository,
                "namespace": namespace,
                "name": name,
                "status": "Active",
            },
        }
    )


class Registries:
    """`url`: ingress. `run` sends a plan's pushes, each at its time."""

    def __init__(self, url: str, token: str, ledgers: Ledgers) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._ledgers = ledgers

    async def run(self, pushes: Sequence[PushPlan], is_over: Callable[[float], bool]) -> None:
        """Return when the last push is answered, or given up. is_over: is nothing more to come at that time of the plan?"""
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as http,
            asyncio.TaskGroup() as group,
        ):
            for push in pushes:
                await asyncio.sleep(max(0.0, began + push.at_s - loop.time()))
                if is_over(push.at_s):
                    return
                group.create_task(self._push(http, push))

    async def _push(self, http: aiohttp.ClientSession, push: PushPlan) -> None:
        body, began = body_of(push), now_ms()
        while now_ms() - began < PATIENCE_S * 1000:
            status = await self._post(http, push.source, body)
            self._ledgers.pushed.append(Pushed(push.source, push.repository, push.tag, body, now_ms(), status))
            if status is not None and status < 500:
                return
            await asyncio.sleep(PAUSE_S)

    async def _post(self, http: aiohttp.ClientSession, source: str, body: str) -> int | None:
        try:
            async with http.post(f"{self._url}/events/{source}", data=body, headers=self._headers) as answer:
                return answer.status
        except (aiohttp.ClientError, OSError, TimeoutError):
            return None
