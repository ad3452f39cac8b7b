"""The console as a service: tails `pipelines`, projects the logs, answers; says how far it is."""

import asyncio
from collections.abc import Callable
from uuid import uuid4

import structlog
from aiohttp import web

from hookline.clock import Clock
from hookline.errors import LogUnavailable, Unavailable
from hookline.log.cluster import Cluster
from hookline.log.table import PipelineTable
from hookline.log.watch import CheckLog, LogWatch
from hookline.log.writer import Writer
from hookline.settings import Settings
from hookline.web.health import Status
from hookline.web.hook_rules import HookRules
from services.console.api.app import Parts, build_app
from services.console.commands import Commands
from services.console.hook_secrets import HookSecrets
from services.console.hook_urls import Resolve, resolve_name
from services.console.login_limit import LoginLimit
from services.console.pages.app import add_pages
from services.console.pipelines import Pipelines
from services.console.readmodel.database import open_database
from services.console.readmodel.history import History
from services.console.readmodel.projector import Projector
from services.console.session_store import open_session_store
from services.console.sessions import Sessions

__all__ = ["Console"]

log = structlog.get_logger()

RETRY_S = 0.5
DEAD_LOOP_S = 60.0
"""Liveness: a projection that has not got round its loop for so long is stuck, whatever Kafka and the database do."""


class Console:
    """`hookline.web.service.Service`."""

    name = "console"

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        cluster: Cluster,
        check_log: CheckLog,
        resolve: Resolve = resolve_name,
        new_id: Callable[[], str] = lambda: str(uuid4()),
    ) -> None:
        """Raises ConfigError."""
        keys = settings.key_ring()
        self._sessions = Sessions(settings, keys, clock, open_session_store(settings), new_id)
        self._clock = clock
        self._watch = LogWatch(check_log, clock)
        self._writer = Writer(cluster, clock, self._watch.hurry)
        self._table = PipelineTable(cluster)
        self._database = open_database(settings)
        self._projector = Projector(cluster, self._watch.look, self._database, clock)
        self._pipelines_read = False
        self._trouble = ""
        """The last thing that kept the pipelines from being read."""
        self._tasks: list[asyncio.Task[None]] = []
        history = History(self._database)
        pipelines = Pipelines(
            self._table,
            self._writer,
            clock,
            new_id,
            keys.first,
            settings.allow_private_addresses,
            HookRules.of(settings),
            resolve,
            settings.registry_names(),
        )
        parts = Parts(
            self._sessions,
            LoginLimit(clock),
            HookSecrets(pipelines, keys),
            pipelines,
            history,
            Commands(history, self._projector.progress, self._writer, clock, new_id, pipelines.secrets_of_today),
        )
        self.app: web.Application = build_app(parts, settings)
        add_pages(self.app, parts, clock, new_id)

    async def start(self) -> None:
        """Kafka and the database may come later."""
        self._writer.start()
        work = (self._projector.run(), self._tail_pipelines(), self._catch_up_first(), self._watch.run())
        self._tasks = [asyncio.create_task(one) for one in work]

    async def wait(self) -> None:
        """Raises TopicsUnfit, ForeignLog, OffsetOutOfRange, DatabaseBroken, Undecodable (a setting that this version cannot read)."""
        await asyncio.gather(*self._tasks)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._writer.close()
        self._database.close()
        self._sessions.close()

    def ready(self) -> Status:
        """Once the pipelines and the logs were read to their ends; later lag, and a right to write that is missing, are said,
        and are no reason to send users away: what there is can be read."""
        progress = self._projector.progress
        trouble = "" if self._table.running else self._trouble
        said = "; ".join(part for part in (self._watch.denied, trouble, progress.detail()) if part)
        if not self._pipelines_read:
            return Status(False, self._watch.noted(f"the pipelines are not read yet; {said}"), progress.troubles)
        return Status(progress.current, self._watch.noted(said), progress.troubles)

    def live(self) -> Status:
        age = self._clock.monotonic() - self._projector.last_alive
        return Status(age < DEAD_LOOP_S, f"the projection came round {age:.1f} s ago")

    async def _tail_pipelines(self) -> None:
        while True:
            try:
                await self._table.run()
            except LogUnavailable as error:
                if str(error) != self._trouble:
                    log.warning("pipelines wait", reason=str(error))
                self._trouble = str(error)
                await self._clock.sleep(RETRY_S)

    async def _catch_up_first(self) -> None:
        while not self._pipelines_read:
            try:
                await self._table.caught_up(timeout_s=10)
                self._pipelines_read = True
            except (Unavailable, LogUnavailable):  # `_tail_pipelines` and the projection say why
                await self._clock.sleep(RETRY_S)
