"""The console as a service: tails `pipelines`, projects the logs, answers; says how far it is."""

import asyncio
from collections.abc import Callable
from uuid import uuid4

from aiohttp import web

from hookline.clock import Clock
from hookline.errors import LogUnavailable, OffsetOutOfRange, Unavailable
from hookline.log.cluster import Cluster
from hookline.log.reader_status import RETRY_S
from hookline.log.table import PipelineTable
from hookline.log.topic_follower import TopicFollower
from hookline.log.watch import CheckLog, LogState
from hookline.log.writer import Writer
from hookline.settings import Settings
from hookline.web.health import Status
from hookline.web.hook_rules import HookRules
from hookline.web.log_service import LogService
from hookline.web.tasks import until_one_ends
from services.console.api.app import Parts, build_app
from services.console.commands import Commands
from services.console.hook_urls import Resolve, resolve_name
from services.console.login_limit import LoginLimit
from services.console.pages.app import add_pages
from services.console.pipelines import Pipelines
from services.console.readmodel.database import open_database
from services.console.readmodel.history import History
from services.console.readmodel.projector import Projector
from services.console.secret_access import HookSecrets
from services.console.session_store import open_session_store
from services.console.sessions import Sessions

__all__ = ["Console"]


class Console(LogService):
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
        super().__init__(clock, cluster, check_log)
        keys = settings.key_ring()
        self._sessions = Sessions(settings, keys, clock, open_session_store(settings), new_id)
        self._writer = Writer(cluster, clock, self.watch.hurry)
        self._table = PipelineTable(cluster)
        self._database = open_database(settings)
        self._pipelines = TopicFollower("pipelines", self._table, cluster, clock, _give_up)
        self._projector = Projector(cluster, self.watch.look, self._database, clock, self.beat)
        self._pipelines_read = False
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

    async def work(self, state: LogState) -> None:
        """Raises TopicsUnfit, ForeignLog, OffsetOutOfRange, DatabaseBroken."""
        self._writer.start()
        await until_one_ends(
            self._projector.run(await self.count_partitions()),
            self._pipelines.run(),
            self._catch_up_first(),
            self.watch.run(),
        )

    async def close(self) -> None:
        await self._writer.close()
        self._database.close()
        self._sessions.close()

    def ready(self) -> Status:
        """Once the pipelines and the logs were read to their ends; later lag, and a right to write that is missing, are said,
        and are no reason to send users away: what there is can be read."""
        progress = self._projector.progress
        trouble = self._pipelines.stopped or ("" if self._table.running else self._pipelines.trouble)
        said = "; ".join(part for part in (self.connecting, self.watch.denied, trouble, progress.detail()) if part)
        if not self._pipelines_read:
            return Status(False, self.watch.noted(f"the pipelines are not read yet; {said}"), progress.troubles)
        return Status(progress.current, self.watch.noted(said), progress.troubles)

    async def _catch_up_first(self) -> None:
        while not self._pipelines_read:
            try:
                await self._table.caught_up(timeout_s=10)
                self._pipelines_read = True
            except (Unavailable, LogUnavailable):  # `_pipelines` and the projection say why
                await self.clock.sleep(RETRY_S)
        await asyncio.Event().wait()


def _give_up(error: OffsetOutOfRange) -> None:
    """What it holds, in memory and in its database, is of records that are gone."""
    raise error
