"""Hookline's own API: a chain's timeline, cancel, run again, pushes, a hook's secret and its rotation."""

import asyncio

from aiohttp import web

from hookline.errors import Invalid
from services.console.api.bodies import query_flag, query_time, read_object
from services.console.api.json_shapes import hook_json, push_json, timeline_json
from services.console.api.login import not_fresh
from services.console.api.paging import envelope, link_of, page_asked
from services.console.commands import Commands
from services.console.forms import parse_repository, parse_rotation
from services.console.pipelines import Pipelines
from services.console.readmodel.history import ChainRow, History
from services.console.secret_access import HookSecrets
from services.console.sessions import Sessions
from services.console.trail import SESSION, USER, note
from services.console.why import why_nothing

__all__ = ["ChainApi"]

ACCEPTED = 202
MAX_REASON = 255
MAX_KEY = 255


class ChainApi:
    """Handlers."""

    def __init__(
        self, history: History, commands: Commands, pipelines: Pipelines, secrets: HookSecrets, sessions: Sessions
    ) -> None:
        self._history = history
        self._commands = commands
        self._pipelines = pipelines
        self._secrets = secrets
        self._sessions = sessions

    async def timeline(self, request: web.Request) -> web.Response:
        chain = await self._find(request)
        timeline = await asyncio.to_thread(self._history.timeline, chain.id)
        if timeline is None:
            raise web.HTTPNotFound
        return web.json_response(timeline_json(timeline, link_of(request)))

    async def cancel(self, request: web.Request) -> web.Response:
        """202: the dispatcher halts it at the step it is at. Body (optional): `{"reason": "..."}`."""
        body, chain = await read_object(request), await self._find(request)
        reason = body.get("reason")
        if reason is not None and (not isinstance(reason, str) or len(reason) > MAX_REASON):
            raise Invalid({"reason": [f"Must be a text of at most {MAX_REASON} characters."]})
        await self._commands.cancel(chain, request[USER], reason or None)
        return web.json_response({"chain_id": chain.id}, status=ACCEPTED)

    async def run(self, request: web.Request) -> web.Response:
        """202 `{"chain_id"}` of the new run; with an Idempotency-Key that was used before, of that one."""
        body, chain = await read_object(request), await self._find(request)
        from_step = body.get("from_step", 1)
        if not isinstance(from_step, int) or isinstance(from_step, bool):
            raise Invalid({"from_step": ["Must be a whole number."]})
        key = request.headers.get("Idempotency-Key") or None
        if key is not None and len(key) > MAX_KEY:
            raise Invalid({"non_field_errors": [f"Idempotency-Key: at most {MAX_KEY} characters."]})
        made = await self._commands.run(chain, from_step, request[USER], key)
        note(request, from_step=from_step, run=made)
        return web.json_response({"chain_id": made}, status=ACCEPTED)

    async def pushes(self, request: web.Request) -> web.Response:
        """Newest first; `?repository=`, `?since=`, and `?started=false` for those that started nothing."""
        asked, text = page_asked(request), request.query.get("repository")
        repository = None if text is None else parse_repository(text)
        since, started = query_time(request, "since"), query_flag(request, "started")
        page = await asyncio.to_thread(
            self._history.pushes, *asked, repository=repository, since=since, started=started
        )
        link, of = link_of(request), self._pipelines.for_push
        return web.json_response(
            envelope(
                request,
                asked,
                page.total,
                page.entries,
                lambda push: push_json(push, why_nothing(push, of(push.repository)), link),
            )
        )

    async def secret(self, request: web.Request) -> web.Response:
        """What this hook's receiver verifies signatures with; for who gave the password just now."""
        if not self._sessions.is_fresh(request[SESSION]):
            return not_fresh()
        found = await self._secrets.find(request.match_info["hook_id"])
        if found is None:
            raise web.HTTPNotFound
        return web.json_response({"secret": found.secret})

    async def rotate(self, request: web.Request) -> web.Response:
        """A new secret, beside the one before for a while; `{"grace": seconds, "again": false}`."""
        form = parse_rotation(await read_object(request))
        hook = await self._pipelines.rotate(request.match_info["hook_id"], form, request[USER])
        if hook is None:
            raise web.HTTPNotFound
        return web.json_response(hook_json(hook))

    async def _find(self, request: web.Request) -> ChainRow:
        """Raises HTTPNotFound."""
        chain = await self._commands.find(request.match_info["chain_id"])
        if chain is None:
            raise web.HTTPNotFound
        return chain
