"""Pipelines over HTTP: Docker Hub's `webhook_pipeline`, and the same bodies under `/api/pipelines` for other repositories."""

import asyncio

from aiohttp import web

from hookline.chain.pipeline import Dedupe, Pipeline
from hookline.errors import Invalid
from services.console.api.bodies import query_flag, read_object
from services.console.api.json_shapes import Json, history_json, pipeline_json
from services.console.api.paging import envelope, link_of, page_asked
from services.console.commands import Commands
from services.console.forms import parse_form, parse_pattern
from services.console.pipelines import Pipelines
from services.console.readmodel.history import History
from services.console.trail import USER, note

__all__ = ["PipelineApi"]

NO_CONTENT = 204
CREATED = 201
_NEVER_SEEN = (
    "No push from the registry {} has come yet, and this pipeline needs one: leave `registry` out to accept any."
)
_NO_DIGEST = "The latest push of {} came without a digest, as its registry sends them: `dedupe: digest` then has no effect, and every push starts it."


class PipelineApi:
    """Handlers. A pipeline is named by `{ns}/{repo}` and `{slug}` (or name or id), or by `{pipeline_id}` alone."""

    def __init__(self, pipelines: Pipelines, history: History, commands: Commands) -> None:
        self._pipelines = pipelines
        self._history = history
        self._commands = commands

    async def create(self, request: web.Request) -> web.Response:
        """201 when pushes that begin from now on start it."""
        repository = _repository(request)
        if repository is None:
            raise Invalid({"repository": ["This query parameter is required, such as ?repository=namespace/name."]})
        pipeline = await self._pipelines.create(repository, parse_form(await read_object(request)))
        note(request, pipeline=pipeline.pipeline_id, repository=pipeline.repository)
        return web.json_response(await self._with_warnings(pipeline), status=CREATED)

    async def list(self, request: web.Request) -> web.Response:
        """A repository's pipelines in the order of creation; under `/api/pipelines` without a repository, all."""
        repository, asked = _repository(request), page_asked(request)
        found = self._pipelines.all() if repository is None else self._pipelines.of_repository(repository)
        return web.json_response(envelope(request, asked, len(found), asked.part(found), pipeline_json))

    async def get(self, request: web.Request) -> web.Response:
        return web.json_response(pipeline_json(await self._find(request)))

    async def change(self, request: web.Request) -> web.Response:
        """PATCH: fields that are not sent stay. A hook without `id` is the one that had its URL, else a new one."""
        body, found = await read_object(request), await self._find(request)
        note(request, pipeline=found.pipeline_id, repository=found.repository)
        pipeline = await self._pipelines.change(
            found.pipeline_id, lambda before: parse_form(pipeline_json(before) | body)
        )
        if pipeline is None:
            raise web.HTTPNotFound
        note(request, changed=_changed(found, pipeline))
        return web.json_response(await self._with_warnings(pipeline))

    async def delete(self, request: web.Request) -> web.Response:
        """204; open chains end with the plan they started with, or with `?cancel=true` are cancelled."""
        found, cancel = await self._find(request), query_flag(request, "cancel")
        note(request, pipeline=found.pipeline_id, repository=found.repository)
        if cancel:
            # First no new chains, then cancel, then delete: after a failure on the way the client can send it again.
            await self._pipelines.deactivate(found.pipeline_id)
            note(request, cancelled=await self._commands.cancel_all(found.pipeline_id, request[USER]))
        await self._pipelines.delete(found.pipeline_id)
        return web.Response(status=NO_CONTENT)

    async def history(self, request: web.Request) -> web.Response:
        """The pipeline's chains, newest first; by its id also those of a pipeline that was deleted."""
        asked, pipeline_id = page_asked(request), request.match_info.get("pipeline_id")
        if pipeline_id is None or self._pipelines.get(pipeline_id) is not None:
            pipeline_id = (await self._find(request)).pipeline_id
        page = await asyncio.to_thread(self._history.chains, *asked, pipeline_id=pipeline_id)
        if not page.total and self._pipelines.get(pipeline_id) is None:
            raise web.HTTPNotFound
        link = link_of(request)
        return web.json_response(
            envelope(request, asked, page.total, page.entries, lambda row: history_json(row, link))
        )

    async def _find(self, request: web.Request) -> Pipeline:
        """Raises HTTPNotFound."""
        given, repository = request.match_info, _repository(request)
        if "pipeline_id" in given:
            found = await self._pipelines.find_id(given["pipeline_id"])
        else:
            found = await self._pipelines.find(repository or "", given["slug"])
        if found is None:
            raise web.HTTPNotFound
        return found

    async def _with_warnings(self, pipeline: Pipeline) -> Json:
        warnings = await self._pipelines.warnings(pipeline)
        if pipeline.registry is not None and not await asyncio.to_thread(self._history.has_registry, pipeline.registry):
            warnings.append(_NEVER_SEEN.format(pipeline.registry))
        if pipeline.dedupe is Dedupe.DIGEST and await asyncio.to_thread(
            self._history.is_without_digest, pipeline.repository
        ):
            warnings.append(_NO_DIGEST.format(pipeline.repository))
        return {**pipeline_json(pipeline), "warnings": [*warnings]}


def _changed(before: Pipeline, after: Pipeline) -> list[str]:
    """Names of the settings that are others now."""
    fields = Pipeline.model_fields.keys() - {"updated_at"}
    return sorted(name for name in fields if getattr(before, name) != getattr(after, name))


def _repository(request: web.Request) -> str | None:
    """Of the path, else of the query. Raises Invalid."""
    given = request.match_info
    if "ns" in given:
        return parse_pattern(f"{given['ns']}/{given['repo']}")
    text = request.query.get("repository")
    return None if text is None else parse_pattern(text)
