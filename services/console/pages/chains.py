"""Pages of chains: one chain's timeline, and the forms that cancel it or run it again."""

import asyncio
import contextlib
from collections.abc import Callable
from http import HTTPStatus

from aiohttp import web

from hookline.errors import Invalid, LogError, Unavailable
from services.console.commands import Commands
from services.console.pages.login_guard import read_form, see_other
from services.console.pages.picture import picture, summary
from services.console.pages.pushes import shown_push
from services.console.pages.rendering import Renderer
from services.console.pages.timeline import entries
from services.console.pipelines import Pipelines
from services.console.readmodel.history import ChainRow, History, Timeline
from services.console.readmodel.standing import Status
from services.console.trail import USER, note

__all__ = ["ChainPages"]

MAX_REASON = 255
MAX_KEY = 255


class ChainPages:
    """Handlers."""

    def __init__(
        self,
        renderer: Renderer,
        pipelines: Pipelines,
        history: History,
        commands: Commands,
        new_id: Callable[[], str],
    ) -> None:
        self._renderer = renderer
        self._pipelines = pipelines
        self._history = history
        self._commands = commands
        self._new_id = new_id

    async def timeline(self, request: web.Request) -> web.Response:
        return await self._page(request, await self._find(request))

    async def cancel(self, request: web.Request) -> web.Response:
        """`reason`: in the user's words, may be empty."""
        form, chain = await read_form(request), await self._find(request)
        reason = form.get("reason", "").strip()[:MAX_REASON] or None
        try:
            await self._commands.cancel(chain, request[USER], reason)
        except Invalid as error:
            return await self._page(request, chain, error)
        with contextlib.suppress(Unavailable, LogError):  # it is in the log; the page shows it a little later
            await self._commands.read_back(chain)
        return see_other(f"/chains/{chain.id}")

    async def run(self, request: web.Request) -> web.Response:
        """`from_step`, and the `key` that the form came with: sent twice, it starts one run."""
        form, chain = await read_form(request), await self._find(request)
        step, key = form.get("from_step", ""), form.get("key", "")[:MAX_KEY] or None
        try:
            number = int(step) if step.isascii() and step.isdigit() and len(step) < 6 else 0
            made = await self._commands.run(chain, number, request[USER], key)
        except Invalid as error:
            return await self._page(request, chain, error)
        note(request, from_step=number, run=made)
        return see_other(f"/chains/{made}")

    async def _page(self, request: web.Request, chain: ChainRow, refused: Invalid | None = None) -> web.Response:
        """The chain as it is now; with what was wrong with a form that was sent from there."""
        timeline = await asyncio.to_thread(self._history.timeline, chain.id)
        if timeline is None:
            raise web.HTTPNotFound
        said = None if refused is None else " ".join(text for texts in refused.errors.values() for text in texts)
        row = timeline.row
        return self._renderer.page(
            request,
            "chain.html",
            HTTPStatus.OK if refused is None else HTTPStatus.BAD_REQUEST,
            chain=timeline.chain,
            row=row,
            push=timeline.push,
            others=self._others(timeline),
            runs=timeline.runs,
            run=_run_number(timeline),
            steps=picture(timeline.chain),
            summary=summary(timeline.chain, row),
            entries=entries(timeline),
            is_open=row.status is Status.PENDING,
            refused=said,
            first=row.step if row.reason is not None else row.first_step,
            key=self._new_id(),
        )

    def _others(self, timeline: Timeline) -> list[tuple[str, ChainRow]]:
        """What else the push started."""
        if timeline.push is None:
            return []
        started = shown_push(timeline.push, self._pipelines).started
        return [(name, row) for name, row in started if row.n != timeline.row.n]

    async def _find(self, request: web.Request) -> ChainRow:
        """Raises HTTPNotFound."""
        chain = await self._commands.find(request.match_info["chain_id"])
        if chain is None:
            raise web.HTTPNotFound(text="There is no such chain.")
        return chain


def _run_number(timeline: Timeline) -> int:
    """1, 2, 3."""
    return [run.id for run in timeline.runs].index(timeline.row.id) + 1
