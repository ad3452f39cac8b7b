"""ingress as a service: tails the pipelines, and says what is missing before it can take pushes."""

from collections.abc import Mapping

import structlog

from hookline.clock import Clock
from hookline.errors import ConfigError, LogUnavailable, OffsetOutOfRange, Unavailable
from hookline.log.cluster import Cluster
from hookline.log.losses import say_lost
from hookline.log.reader_status import RETRY_S
from hookline.log.skew import ClockSkew
from hookline.log.table import PipelineTable
from hookline.log.topic_follower import TopicFollower, WholeTopic
from hookline.log.watch import CheckLog, LogState
from hookline.log.writer import Writer
from hookline.settings import Settings
from hookline.web.health import Status
from hookline.web.log_service import LogService
from hookline.web.tasks import until_one_ends
from services.ingress.app import Door, ingress_app
from services.ingress.digests import DigestTail
from services.ingress.intake import Intake
from services.ingress.secret_file import read_credentials, version_of
from services.ingress.source import Source
from services.ingress.sources import discover

__all__ = ["Ingress"]

log = structlog.get_logger()

WATCH_S = 1.0
"""Between two looks at whether the table is at the end of `pipelines`."""
CAUGHT_UP_S = 3.0
SECRETS_S = 5.0
"""Between two looks at whether the secrets file has changed."""


class Ingress(LogService):
    """`hookline.web.service.Service`."""

    name = "ingress"

    def __init__(self, settings: Settings, clock: Clock, cluster: Cluster, check_log: CheckLog) -> None:
        super().__init__(clock, cluster, check_log)
        self._settings = settings
        self._table = PipelineTable(cluster)
        self._topics: tuple[TopicFollower, ...] = ()
        self._skew = ClockSkew(clock, settings.max_clock_skew, "send registries to another one")
        self._writer = Writer(cluster, clock, self.watch.hurry, self._skew)
        self._names = settings.registry_names()
        self._intake: Intake | None = None
        self._behind = "the pipelines are not read yet"
        self._secrets_version = version_of(settings.ingress_secrets_file)
        self._sources = discover(settings, clock)
        self._doors = _doors(settings, self._sources, clock)
        self.app = ingress_app(self._doors, lambda: self._intake, clock, settings)

    def ready(self) -> Status:
        """A topic that takes less than it should is said and no reason to send registries away: nearly every push fits."""
        stopped = "; ".join(topic.stopped for topic in self._topics if topic.stopped)
        missing = self.connecting or self.watch.denied or stopped or self._behind
        if not missing and not self._writer.ready:
            missing = "Kafka does not take records"
        clock = self._skew.words()
        if not missing and self._skew.too_far:
            missing = clock
        said = [missing or f"pipelines read to {self._table.position}"]
        said += [topic.trouble for topic in self._topics if topic.trouble]
        said += [clock] if clock and clock != missing else []
        return Status(not missing, self.watch.noted("; ".join(said)))

    async def work(self, state: LogState) -> None:
        partitions = await self.count_partitions()
        self._writer.start()
        digests = DigestTail(self.cluster, partitions)
        self._topics = self._follower("pipelines", self._table), self._follower("pushes", digests)
        self._intake = Intake(self._table, digests, self._writer, partitions, names=self._names)
        await until_one_ends(
            *(topic.run() for topic in self._topics), self._keep_up(), self.watch.run(), self._follow_secrets()
        )

    async def close(self) -> None:
        await self._writer.close()

    def _follower(self, name: str, topic: WholeTopic) -> TopicFollower:
        def read_anew(error: OffsetOutOfRange) -> None:
            say_lost(error, f"{name} are read anew")
            topic.forget()
            self.watch.hurry()  # was the topic made anew?

        return TopicFollower(name, topic, self.cluster, self.clock, read_anew)

    async def _keep_up(self) -> None:
        """Keep `ready` true to the log."""
        while True:
            self.beat()
            try:
                await self._table.caught_up(CAUGHT_UP_S)
            except (Unavailable, LogUnavailable) as error:
                self._behind = str(error)
                await self.clock.sleep(RETRY_S)
            else:
                self._behind = ""
                await self.clock.sleep(WATCH_S)

    async def _follow_secrets(self) -> None:
        """Take a changed secrets file in, so that rotation needs no restart; one that is wrong changes nothing."""
        seen = self._secrets_version
        while True:
            await self.clock.sleep(SECRETS_S)
            before, seen = seen, version_of(self._settings.ingress_secrets_file)
            if seen == self._secrets_version or seen != before:  # as it was, or perhaps still being written
                continue
            self._secrets_version = seen
            try:
                self._doors.update(_doors(self._settings, self._sources, self.clock))
            except ConfigError as error:
                log.error(
                    "the secrets file changed but cannot be used: the credentials read before stay valid",
                    reason=str(error),
                )
            else:
                log.info("the secrets file changed: its credentials are in effect")


def _doors(settings: Settings, sources: Mapping[str, Source], clock: Clock) -> dict[str, Door]:
    """One for each source. Raises ConfigError."""
    credentials = read_credentials(settings, sources, clock)
    doors = {name: Door(source, credentials[name], settings.insecure_ingress) for name, source in sources.items()}
    closed = [name for name, door in doors.items() if not door.source.can_verify(door.credentials)]
    if settings.insecure_ingress and closed:
        log.warning("HOOKLINE_INSECURE_INGRESS: open to anyone who can reach them", sources=closed)
    elif len(closed) == len(doors):
        log.warning("no credential is set: every source answers 404 until HOOKLINE_INGRESS_TOKENS is set")
    return doors
