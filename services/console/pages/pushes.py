"""The page of pushes: what each started, or why it started nothing."""

import asyncio
from typing import NamedTuple

from aiohttp import web

from services.console.api.bodies import query_flag
from services.console.api.paging import page_asked
from services.console.pages.paging import shown
from services.console.pages.rendering import Renderer
from services.console.pipelines import Pipelines
from services.console.readmodel.history import ChainRow, History, PushRow
from services.console.why import Why, why_nothing

__all__ = ["PushPages", "ShownPush", "shown_push"]


class ShownPush(NamedTuple):
    """A push, what it started (the pipeline's name now, and the chain), and why it started nothing (null: it did)."""

    push: PushRow
    started: tuple[tuple[str, ChainRow], ...]
    why: Why | None


def shown_push(push: PushRow, pipelines: Pipelines) -> ShownPush:
    """For templates."""
    here = pipelines.for_push(push.repository)
    names = {pipeline.pipeline_id: pipeline.name for pipeline in here}
    started = tuple((names.get(row.pipeline_id, "deleted pipeline"), row) for row in push.chains)
    return ShownPush(push, started, why_nothing(push, here))


class PushPages:
    """Handlers."""

    def __init__(self, renderer: Renderer, pipelines: Pipelines, history: History) -> None:
        self._renderer = renderer
        self._pipelines = pipelines
        self._history = history

    async def list(self, request: web.Request) -> web.Response:
        """Newest first; `?repository=`, and `?started=false` for those that started nothing."""
        asked, repository = page_asked(request), request.query.get("repository", "").strip()
        started = query_flag(request, "started") if request.query.get("started") else None
        page = await asyncio.to_thread(self._history.pushes, *asked, repository=repository or None, started=started)
        listed = shown(request, asked, page.total, page.entries)
        return self._renderer.page(
            request,
            "pushes.html",
            repository=repository,
            started=started,
            listed=listed,
            pushes=[shown_push(push, self._pipelines) for push in listed.entries],
        )
