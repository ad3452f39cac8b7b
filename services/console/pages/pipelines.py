"""Pages of pipelines: all of them by repository, one repository, one pipeline's History."""

import asyncio
from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

from aiohttp import web

from hookline.chain.pipeline import Pipeline
from hookline.errors import Invalid
from services.console.api.paging import link_of, page_asked
from services.console.forms import parse_pattern, parse_rotation
from services.console.pages.addresses import repository_path
from services.console.pages.login_guard import read_form, see_other
from services.console.pages.paging import shown
from services.console.pages.pushes import shown_push
from services.console.pages.rendering import Renderer
from services.console.pipelines import Pipelines
from services.console.readmodel.history import ChainRow, History
from services.console.readmodel.standing import Status
from services.console.trail import USER

__all__ = ["PipelinePages"]

RECENT_PUSHES = 10


class ShownRepository(NamedTuple):
    """A repository and its pipelines."""

    name: str
    pipelines: Sequence[Pipeline]


class PipelinePages:
    """Handlers."""

    def __init__(self, renderer: Renderer, pipelines: Pipelines, history: History) -> None:
        self._renderer = renderer
        self._pipelines = pipelines
        self._history = history

    async def overview(self, request: web.Request) -> web.Response:
        """`/`: repositories with their pipelines and last chains; `?repository=`: those with that in their name."""
        asked, search = page_asked(request), request.query.get("repository", "").strip().lower()
        found = [
            ShownRepository(name, tuple(its))
            for name, its in groupby(self._pipelines.all(), key=lambda p: p.repository)
            if search in name
        ]
        listed = shown(request, asked, len(found), asked.part(found))
        last = await self._latest([pipeline for repository in listed.entries for pipeline in repository.pipelines])
        base = link_of(request)("")
        return self._renderer.page(request, "overview.html", search=search, listed=listed, last=last, base=base)

    async def repository(self, request: web.Request) -> web.Response:
        """The pipelines that its pushes may start, with hooks and settings, and its recent pushes.

        `namespace/name/slug` leads to that pipeline, where there is no such repository.
        """
        given = request.match_info["repository"]
        try:
            name = parse_pattern(given)
        except Invalid:
            raise web.HTTPNotFound(text="There is no such repository.") from None
        page = await asyncio.to_thread(self._history.pushes, 1, RECENT_PUSHES, repository=name)
        if not page.total and not self._pipelines.of_repository(name):
            namespace, _, slug = name.rpartition("/")
            if (found := await self._pipelines.find(namespace, slug)) is not None:
                return see_other(f"/pipelines/{found.pipeline_id}")
        pipelines = self._pipelines.for_push(name)
        if not page.total and not pipelines:
            raise web.HTTPNotFound(text=f"There is no pipeline and no push of {name} here.")
        return self._renderer.page(
            request,
            "repository.html",
            repository=name,
            pipelines=pipelines,
            last=await self._latest(pipelines),
            pushes=[shown_push(push, self._pipelines) for push in page.entries],
            total=page.total,
        )

    async def history(self, request: web.Request) -> web.Response:
        """A pipeline's chains, newest first; also those of a pipeline that was deleted."""
        asked, pipeline_id = page_asked(request), request.match_info["pipeline_id"]
        page = await asyncio.to_thread(self._history.chains, *asked, pipeline_id=pipeline_id)
        pipeline = self._pipelines.get(pipeline_id)
        if pipeline is None and not page.total:
            pipeline = await self._pipelines.find_id(pipeline_id)
            if pipeline is None:
                raise web.HTTPNotFound(text="There is no such pipeline, and no chain of it.")
        listed = shown(request, asked, page.total, page.entries)
        name, repository = (
            await self._of_deleted(page.entries[0]) if pipeline is None else (pipeline.name, pipeline.repository)
        )
        return self._renderer.page(
            request,
            "history.html",
            pipeline=pipeline,
            name=name,
            repository=repository,
            listed=listed,
            is_live=any(row.status is Status.PENDING for row in listed.entries),
        )

    async def rotate(self, request: web.Request) -> web.Response:
        """A new secret for a hook; `grace`: hours for which the one before signs, too."""
        given, hook_id = await read_form(request), request.match_info["hook_id"]
        hours = given.get("grace", "")
        number = int(hours) if hours.isascii() and hours.isdigit() and len(hours) < 6 else -1
        form = parse_rotation({"grace": number * 3600, "again": "again" in given})
        if await self._pipelines.rotate(hook_id, form, request[USER]) is None:
            raise web.HTTPNotFound(text="There is no such hook.")
        pipeline = self._pipelines.of_hook(hook_id)
        return see_other("/" if pipeline is None else repository_path(pipeline.repository))

    async def _latest(self, pipelines: Sequence[Pipeline]) -> dict[str, ChainRow]:
        return await asyncio.to_thread(self._history.latest, [pipeline.pipeline_id for pipeline in pipelines])

    async def _of_deleted(self, row: ChainRow) -> tuple[str, str]:
        """Its name and repository, as its newest chain has them."""
        chain = await asyncio.to_thread(self._history.folded, row.id)
        return row.pipeline_id if chain is None else chain.plan.name, row.repository
