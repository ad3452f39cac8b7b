"""Pipelines as the console writes them: checked, appended to `pipelines`, answered when its own table has read them.

Names are unique in a repository. Writes of this process take turns; of two replicas that give out one name at the same
moment the topic's order decides: who finds an earlier owner beside its own record takes it back and refuses.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from hookline.chain.events import Plan
from hookline.chain.hook_secrets import rotated, signing, with_secrets_of
from hookline.chain.matching import is_glob
from hookline.chain.pipeline import Hook, Pipeline
from hookline.chain.registry_names import RegistryNames, repository_name
from hookline.clock import Clock
from hookline.errors import Invalid, Unavailable
from hookline.log.codec import encode_setting
from hookline.log.records import Draft
from hookline.log.table import PipelineTable
from hookline.settings import IPNetwork
from hookline.web.hook_rules import HookRules
from hookline.web.hook_url import HookUrlError, parse_hook_url
from services.console.forms import HookForm, PipelineForm, RotationForm, slug_of
from services.console.hook_urls import Resolve, accepted, warning_of
from services.console.plan_sizes import plans_fault

__all__ = ["Appender", "Pipelines"]

log = structlog.get_logger()

CATCH_UP_S = 5.0
_STILL_TWO = (
    "The secret before this one still signs, too: a rotation now would end it. Wait, or send true here"
    " (one that was sent twice needs no second)."
)


class Appender(Protocol):
    """What the console needs of a writer (`hookline.log.writer`)."""

    async def append(self, draft: Draft) -> int:
        """The offset. Raises AppendFailed."""


class Pipelines:
    """All pipelines, and the ways to change them."""

    def __init__(
        self,
        table: PipelineTable,
        writer: Appender,
        clock: Clock,
        new_id: Callable[[], str],
        signing_key: str,
        allowed: Sequence[IPNetwork],
        rules: HookRules,
        resolve: Resolve,
        names: RegistryNames,
    ) -> None:
        """signing_key: id of the master key that new hooks' secrets come from; allowed: private networks that hooks may reach;
        rules: what else settings say of their URLs."""
        self._table = table
        self._writer = writer
        self._clock = clock
        self._new_id = new_id
        self._signing_key = signing_key
        self._allowed = allowed
        self._rules = rules
        self._resolve = resolve
        self._names = names
        self._turn = asyncio.Lock()

    def all(self) -> list[Pipeline]:
        """In the order of repository and creation."""
        return sorted(self._table.pipelines.values(), key=lambda p: (p.repository, p.created_at, p.pipeline_id))

    def of_repository(self, repository: str) -> list[Pipeline]:
        """In the order of creation, which is that of a push's plans."""
        return sorted(self._table.of_repository(repository), key=lambda p: (p.created_at, p.pipeline_id))

    def for_push(self, repository: str) -> list[Pipeline]:
        """Those that a push to the repository may be for, of a glob that has it too; in the order of creation."""
        found = {p.pipeline_id: p for p in (*self._table.for_push(repository), *self._table.of_repository(repository))}
        return sorted(found.values(), key=lambda p: (p.created_at, p.pipeline_id))

    def get(self, pipeline_id: str) -> Pipeline | None:
        return self._table.pipelines.get(pipeline_id)

    async def find(self, repository: str, name: str) -> Pipeline | None:
        """By slug, name or id. One that is not here yet is looked for again when the topic is read to its end."""
        found = self._find(repository, name)
        if found is None:
            await self._table.caught_up(CATCH_UP_S)
            found = self._find(repository, name)
        return found

    async def find_id(self, pipeline_id: str) -> Pipeline | None:
        """As `find`, by id alone."""
        if self.get(pipeline_id) is None:
            await self._table.caught_up(CATCH_UP_S)
        return self.get(pipeline_id)

    async def find_hook(self, hook_id: str) -> Hook | None:
        """As `find`, a hook of any pipeline."""
        found = self._find_hook(hook_id)
        if found is None:
            await self._table.caught_up(CATCH_UP_S)
            found = self._find_hook(hook_id)
        return found

    async def create(self, repository: str, form: PipelineForm) -> Pipeline:
        """Raises Invalid, AppendFailed (it may be there all the same), Unavailable, LogUnavailable."""
        async with self._turn:
            await self._table.caught_up(CATCH_UP_S)
            return await self._save(None, self._made(None, repository, form))

    async def change(self, pipeline_id: str, form_over: Callable[[Pipeline], PipelineForm]) -> Pipeline | None:
        """The pipeline after `form_over` the one before; None if there is none. Raises as `create`.

        Chains that are open keep the plan they started with.
        """
        async with self._turn:
            await self._table.caught_up(CATCH_UP_S)
            before = self.get(pipeline_id)
            if before is None:
                return None
            return await self._save(before, self._made(before, before.repository, form_over(before)))

    async def rotate(self, hook_id: str, form: RotationForm, by: str) -> Hook | None:
        """The hook with a new secret, by which pushes after this are signed; None if there is none. Raises as `create`.

        Sent twice, the second one is refused: else it would end the secret that its receiver still has.
        """
        async with self._turn:
            await self._table.caught_up(CATCH_UP_S)
            if (pipeline := self.of_hook(hook_id)) is None:
                return None
            now = self._clock.now_ms()
            before = next(hook for hook in pipeline.hooks if hook.id == hook_id)
            if len(signing(before, now)) > 1 and not form.again:
                raise Invalid({"again": [_STILL_TWO]})
            made = rotated(before, self._signing_key, now, form.grace)
            hooks = tuple(made if hook.id == hook_id else hook for hook in pipeline.hooks)
            changed = pipeline.model_copy(update={"hooks": hooks, "updated_at": now})
            await self._append(changed, pipeline.pipeline_id)
            log.info("a hook's secret was rotated", hook=hook_id, version=made.version, grace_s=form.grace, by=by)
            return made

    def secrets_of_today(self, plan: Plan) -> Plan:
        """The plan with the secrets that its pipeline's hooks have now."""
        pipeline = self.get(plan.pipeline_id)
        return plan if pipeline is None else with_secrets_of(plan, pipeline.hooks)

    def of_hook(self, hook_id: str) -> Pipeline | None:
        """The one that has that hook."""
        return next((p for p in self._table.pipelines.values() if any(h.id == hook_id for h in p.hooks)), None)

    async def deactivate(self, pipeline_id: str) -> None:
        """Let no push after this start it. Raises as `delete`."""
        async with self._turn:
            found = self.get(pipeline_id)
            if found is not None and found.active:
                stopped = found.model_copy(update={"active": False, "updated_at": self._clock.now_ms()})
                await self._append(stopped, pipeline_id)

    async def delete(self, pipeline_id: str) -> None:
        """No push after this starts it. Raises AppendFailed, Unavailable, LogUnavailable."""
        async with self._turn:
            await self._append(None, pipeline_id)

    async def warnings(self, pipeline: Pipeline) -> list[str]:
        """What may be wrong with the names in its URLs, as this machine sees them now."""
        urls = dict.fromkeys(hook.url for hook in pipeline.hooks)
        said = await asyncio.gather(*(warning_of(url, self._allowed, self._rules, self._resolve) for url in urls))
        return [text for text in dict.fromkeys(said) if text is not None]

    def _find(self, repository: str, name: str) -> Pipeline | None:
        here = self.of_repository(repository)
        by_slug = [p for p in here if p.slug == name]
        by_name = [p for p in here if p.name == name]
        by_id = [p for p in here if p.pipeline_id == name]
        return next(iter(by_slug + by_name + by_id), None)

    def _find_hook(self, hook_id: str) -> Hook | None:
        return next((h for p in self._table.pipelines.values() for h in p.hooks if h.id == hook_id), None)

    def _made(self, before: Pipeline | None, repository: str, form: PipelineForm) -> Pipeline:
        """What the form says, with the ids of `before`. Raises Invalid."""
        said = form.settings()
        registry = self._names.of(given) if isinstance(given := said["registry"], str) else None
        if before is None and not is_glob(repository):
            repository = repository_name(repository, registry)
        now, others = self._clock.now_ms(), [p for p in self._table.of_repository(repository) if p != before]
        if any(other.name == form.name for other in others):
            raise Invalid({"name": [_taken(form.name, repository)]})
        said |= {
            "registry": registry,
            "name": form.name,
            "slug": _free_slug(form.name, {other.slug for other in others}),
            "hooks": self._hooks(() if before is None else before.hooks, form.webhooks, now),
            "updated_at": now,
        }
        # A pipeline that was there keeps its id, its repository, and when it was made.
        kept = (
            {"pipeline_id": self._new_id(), "repository": repository, "created_at": now}
            if before is None
            else dict(before)
        )
        made = Pipeline.model_validate({**kept, **said})
        everywhere = (other for other in self._table.pipelines.values() if other != before)
        if (fault := plans_fault(everywhere, before, made)) is not None:
            raise Invalid({"webhooks": [fault]})
        return made

    def _hooks(self, before: Sequence[Hook], forms: Sequence[HookForm], now: int) -> tuple[Hook, ...]:
        """A hook keeps its id, and so its secret, if the form names the id or, without one, has its URL. Raises Invalid."""
        left = {hook.id: hook for hook in before}
        made, faults = [], []
        for number, form in enumerate(forms, 1):
            kept = left.pop(form.id, None) if form.id is not None else None
            url = _saved_as(form.hook_url)
            if form.id is not None and kept is None:
                faults.append(f"hook {number}, id: There is no such hook in this pipeline (or it is named twice).")
            elif kept is None:
                named = {f.id for f in forms}
                same = (h for h in left.values() if h.url == url and h.id not in named)
                kept = next(same, None)
                if kept is not None:
                    del left[kept.id]
            if kept is None or kept.url != url:
                try:
                    accepted(url, self._allowed, self._rules)
                except HookUrlError as error:
                    faults.append(f"hook {number}, hook_url: {error}")
            made.append(self._hook(kept, form.name or str(number), url, now))
        if faults:
            raise Invalid({"webhooks": faults})
        return tuple(made)

    def _hook(self, kept: Hook | None, name: str, url: str, now: int) -> Hook:
        if kept is None:
            return Hook(id=self._new_id(), key=self._signing_key, name=name, url=url, created_at=now, updated_at=now)
        is_same = (kept.name, kept.url) == (name, url)
        return kept if is_same else kept.model_copy(update={"name": name, "url": url, "updated_at": now})

    async def _save(self, before: Pipeline | None, pipeline: Pipeline) -> Pipeline:
        mine = await self._append(pipeline, pipeline.pipeline_id)
        others = [p for p in self._table.of_repository(pipeline.repository) if p.pipeline_id != pipeline.pipeline_id]
        earlier = [p for p in others if self._table.offsets[p.pipeline_id] < mine]
        if any(other.name == pipeline.name for other in earlier):
            await self._append(before, pipeline.pipeline_id)
            raise Invalid({"name": [_taken(pipeline.name, pipeline.repository)]})
        if any(other.slug == pipeline.slug for other in earlier):
            pipeline = pipeline.model_copy(update={"slug": _free_slug(pipeline.name, {p.slug for p in others})})
            await self._append(pipeline, pipeline.pipeline_id)
        return pipeline

    async def _append(self, pipeline: Pipeline | None, pipeline_id: str) -> int:
        """Append, and read it back; the offset."""
        draft = encode_setting(pipeline, now_ms=self._clock.now_ms(), pipeline_id=pipeline_id)
        offset = await self._writer.append(draft)
        try:
            async with asyncio.timeout(CATCH_UP_S):
                await self._table.wait_for(offset + 1)
        except TimeoutError:
            raise Unavailable(f"saved, but not read back within {CATCH_UP_S:g} s") from None
        return offset


def _saved_as(url: str) -> str:
    """The URL as it is saved: normalised where it can be, so that what is shown is what is called."""
    try:
        return parse_hook_url(url).text
    except HookUrlError:
        return url


def _taken(name: str, repository: str) -> str:
    return f"A pipeline with the name {name} already exists in {repository}."


def _free_slug(name: str, taken: set[str]) -> str:
    """The name's slug, with -2, -3 and so on behind it until it is unique."""
    slug = wanted = slug_of(name)
    number = 1
    while slug in taken:
        number += 1
        slug = f"{wanted}-{number}"
    return slug
