"""A receiver of hooks, as small as one can be: verifies the signature, answers, calls back. `receive` and `demo` run it."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

import aiohttp
from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

from hookline.errors import ConfigError
from hookline.web.body import without_bom

__all__ = ["Conduct", "Hook", "Receiver", "ReceiverWitness", "Verdict", "check_secret", "verify"]

_SECRET = re.compile(r"(whsec_)?[A-Za-z0-9+/]{24,}={0,2}")
CALLBACK_TIMEOUT_S = 10.0
CALLBACK_TRIES = 5
"""For a 503 or no answer: a receiver that gives up loses its verdict, so a good one tries again."""


@dataclass(frozen=True)
class Hook:
    """One hook as it came in. `verified` None: no secret to verify with."""

    webhook_id: str
    body: bytes
    payload: dict[str, object]
    verified: bool | None
    problem: str = ""
    times_seen: int = 1

    @property
    def callback_url(self) -> str:
        """ "" when the payload has none."""
        url = self.payload.get("callback_url")
        return url if isinstance(url, str) else ""

    def text(self, part: str, name: str) -> str:
        """`payload[part][name]` as text, "" if there is none."""
        group = self.payload.get(part)
        value = group.get(name) if isinstance(group, dict) else None
        return "" if value is None else str(value)

    @property
    def image(self) -> str:
        """`repository:tag`, for people."""
        repository, tag = self.text("repository", "repo_name"), self.text("push_data", "tag")
        return f"{repository or '?'}:{tag}" if tag else repository or "?"


Verdict: TypeAlias = Mapping[str, str]
"""The body of a callback: `{"state": ..., "description": ...}`."""


@dataclass(frozen=True)
class Conduct:
    """How a receiver behaves. `decide` does the work and gives what to call back, None for no callback."""

    decide: Callable[[Hook], Awaitable[Verdict | None]]
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    early: bool = False
    """Decide and call back while the hook's POST is still open, as half of the receivers in the wild do."""


class ReceiverWitness(Protocol):
    """Is told what comes and goes."""

    def hook_came(self, hook: Hook) -> None: ...

    def answered(self, hook: Hook, status: int) -> None: ...

    def calls_back(self, hook: Hook, verdict: Verdict) -> None:
        """About to be sent."""

    def called_back(self, hook: Hook, verdict: Verdict, status: int, answer: str) -> None:
        """`status` 0: nobody answered, `answer` says why."""


def check_secret(secret: str) -> None:
    """Raises ConfigError when that is no hook secret; never repeats it."""
    if not _SECRET.fullmatch(secret):
        raise ConfigError("that is not a hook secret (whsec_ and base64, as GET /api/hooks/{id}/secret returns it)")


def verify(secrets: Sequence[str], body: bytes, headers: dict[str, str]) -> tuple[bool | None, str]:
    """Is the signature one of these secrets' (Standard Webhooks)? None without any secret. And why not."""
    if not secrets:
        return None, "no secret to verify with"
    problem = ""
    for secret in secrets:
        try:
            Webhook(secret).verify(body, headers, json_parse=False)
        except (WebhookVerificationError, ValueError) as error:
            problem = str(error)
        else:
            return True, ""
    return False, problem


class Receiver:
    """`POST` to any path. A hook with a bad signature, or that is no JSON object, gets an error and no callback."""

    def __init__(self, secrets: Sequence[str], conduct: Conduct, witness: ReceiverWitness) -> None:
        self._secrets = secrets
        self._conduct = conduct
        self._witness = witness
        self._seen: Counter[str] = Counter()
        self._calling: set[asyncio.Task[None]] = set()

    def app(self) -> web.Application:
        """To be served."""
        app = web.Application()
        app.router.add_post("/{path:.*}", self._take)
        app.on_shutdown.append(self._stop)
        return app

    async def _stop(self, _: web.Application) -> None:
        for task in self._calling:
            task.cancel()

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        try:
            payload = json.loads(without_bom(body))
        except ValueError:
            payload = None
        if not isinstance(payload, dict):
            return web.json_response({"detail": "not a JSON object"}, status=400)
        verified, problem = verify(self._secrets, body, dict(request.headers))
        webhook_id = request.headers.get("webhook-id", "")
        self._seen[webhook_id] += 1
        hook = Hook(webhook_id, body, payload, verified, problem, self._seen[webhook_id])
        self._witness.hook_came(hook)
        if verified is False:
            return self._answer(hook, web.json_response({"detail": f"signature: {problem}"}, status=401))
        if self._conduct.early:
            await self._call_back(hook)
        else:
            task = asyncio.create_task(self._call_back(hook))
            self._calling.add(task)
            task.add_done_callback(self._calling.discard)
        return self._answer(hook, web.Response(status=self._conduct.status, headers=self._conduct.headers))

    def _answer(self, hook: Hook, answer: web.Response) -> web.Response:
        self._witness.answered(hook, answer.status)
        return answer

    async def _call_back(self, hook: Hook) -> None:
        verdict = await self._conduct.decide(hook)
        if verdict is not None and hook.callback_url:
            self._witness.calls_back(hook, verdict)
            status, answer = await _post_verdict(hook.callback_url, verdict)
            self._witness.called_back(hook, verdict, status, answer)


async def _post_verdict(url: str, verdict: Verdict) -> tuple[int, str]:
    """Status and text of the answer; 0 and the reason when nobody answered. Tries again on 5xx, as a receiver should."""
    status, text = 0, ""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=CALLBACK_TIMEOUT_S)) as session:
        for attempt in range(CALLBACK_TRIES):
            await asyncio.sleep(attempt)
            try:
                async with session.post(url, json=dict(verdict)) as answer:
                    status, text = answer.status, await answer.text()
            except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                status, text = 0, f"{type(error).__name__}: {error}"
            if 0 < status < 500:
                break
    return status, text
