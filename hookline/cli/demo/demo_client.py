"""The public HTTP that the demo uses, and the curl lines that it replaces (secrets shortened)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import quote

import aiohttp
from rich.console import Console

from hookline.cli.terminal import plain, plain_hanging
from hookline.errors import HooklineError

__all__ = ["DemoClient", "DemoFailed", "Json", "shortened"]

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"

TIMEOUT_S = 20.0


class DemoFailed(HooklineError):
    """Something did not answer as it should; the text says what."""


@dataclass(frozen=True)
class Answer:
    status: int
    body: Json

    def field(self, name: str) -> Json:
        """Of a JSON object; None when there is none."""
        return self.body.get(name) if isinstance(self.body, dict) else None


def shortened(secret: str) -> str:
    """Enough to tell it from others, not enough to use it."""
    return f"{secret[:4]}…" if len(secret) >= 12 else "…"


class DemoClient:
    """Talks to console and ingress. With a `console` to print to, each call is shown as the curl line it replaces."""

    def __init__(self, session: aiohttp.ClientSession, console: Console, console_url: str, ingress_url: str) -> None:
        self._session = session
        self._console = console
        self._console_url = console_url
        self._ingress_url = ingress_url
        self._token = ""

    async def log_in(self, username: str, password: str) -> None:
        url = f"{self._console_url}/v2/users/login/"
        self._show(url, {}, _to_json({"username": username, "password": shortened(password)}))
        answer = await self._send("POST", url, {"username": username, "password": password})
        token = answer.field("token")
        if answer.status != 200 or not isinstance(token, str):
            raise DemoFailed(f"the login was answered {answer.status}: {_text(answer)}")
        self._token = token
        self._show_answer(answer.status, f'{{"token": "{shortened(token)}"}}')

    async def forget_pipeline(self, repository: str, name: str) -> None:
        """Delete a pipeline that an earlier demo left; quietly, for there need not be one."""
        await self._send("DELETE", f"{self._pipelines(repository)}{quote(name)}/?cancel=true")

    async def create_pipeline(self, repository: str, name: str, hooks: Mapping[str, str]) -> dict[str, str]:
        """Hooks: name to URL, in order. Returns each hook's id by its name."""
        url = self._pipelines(repository)
        webhooks: Json = [{"name": hook, "hook_url": address} for hook, address in hooks.items()]
        lines = ",\n       ".join(_to_json({"name": hook, "hook_url": address}) for hook, address in hooks.items())
        body = f'{{"name": {_to_json(name)}, "webhooks": [\n       {lines}]}}'
        self._show(url, {"Authorization": f"JWT {shortened(self._token)}"}, body)
        answer = await self._send("POST", url, {"name": name, "webhooks": webhooks})
        made = answer.field("webhooks")
        if answer.status != 201 or not isinstance(made, list):
            raise DemoFailed(f"making the pipeline was answered {answer.status}: {_text(answer)}")
        self._show_answer(answer.status, f"pipeline {answer.field('slug')} with {len(made)} hooks")
        return {str(hook["name"]): str(hook["id"]) for hook in made if isinstance(hook, dict)}

    async def hook_secret(self, hook_id: str) -> str:
        answer = await self._send("GET", f"{self._console_url}/api/hooks/{quote(hook_id)}/secret")
        secret = answer.field("secret")
        if answer.status != 200 or not isinstance(secret, str):
            raise DemoFailed(f"asking for a hook's secret was answered {answer.status}: {_text(answer)}")
        return secret

    async def push(self, token: str, payload: dict[str, Json]) -> None:
        """As Docker Hub would."""
        url = f"{self._ingress_url}/events/dockerhub"
        self._show(url, {"Authorization": f"Bearer {shortened(token)}"}, _in_lines(payload))
        answer = await self._send("POST", url, payload, {"Authorization": f"Bearer {token}"})
        self._show_answer(answer.status, _text(answer))
        if answer.status != 202 or answer.field("accepted") != 1:
            raise DemoFailed(f"the push was answered {answer.status}: {_text(answer)}")

    async def history(self, repository: str, name: str) -> list[dict[str, Json]]:
        """Rows of the pipeline's history, newest first."""
        answer = await self._send("GET", self.history_url(repository, name))
        rows = answer.field("results")
        if answer.status != 200 or not isinstance(rows, list):
            raise DemoFailed(f"the history was answered {answer.status}: {_text(answer)}")
        return [row for row in rows if isinstance(row, dict)]

    def history_url(self, repository: str, name: str) -> str:
        return f"{self._pipelines(repository)}{quote(name)}/history/"

    def _pipelines(self, repository: str) -> str:
        return f"{self._console_url}/v2/repositories/{quote(repository)}/webhook_pipeline/"

    async def _send(self, method: str, url: str, body: Json = None, headers: Mapping[str, str] | None = None) -> Answer:
        given = dict(headers or ({"Authorization": f"JWT {self._token}"} if self._token else {}))
        try:
            async with self._session.request(
                method,
                url,
                json=body,
                headers=given,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
            ) as answer:
                text = await answer.text()
                return Answer(answer.status, _parsed(text))
        except (aiohttp.ClientError, TimeoutError) as error:
            raise DemoFailed(f"{method} {url.split('?')[0]}: {error or type(error).__name__}") from error

    def _show(self, url: str, headers: Mapping[str, str], body: str) -> None:
        parts = [f"$ curl {url}", *(f"-H '{name}: {value}'" for name, value in headers.items())]
        line = " \\\n    ".join([*parts, f"-H 'Content-Type: application/json' \\\n    -d '{body}'"])
        self._console.print(f"[command]{plain_hanging(line)}[/]")

    def _show_answer(self, status: int, text: str) -> None:
        self._console.print(f"[good]{status}[/] {plain(text)}\n")


def _parsed(text: str) -> Json:
    try:
        parsed: Json = json.loads(text)
    except ValueError:
        return text
    return parsed


def _text(answer: Answer) -> str:
    return answer.body if isinstance(answer.body, str) else _to_json(answer.body)


def _to_json(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False)


def _in_lines(payload: dict[str, Json]) -> str:
    """One line for each member."""
    return "{" + ",\n        ".join(f"{_to_json(name)}: {_to_json(value)}" for name, value in payload.items()) + "}"
