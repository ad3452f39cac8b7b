"""ingress as a service: connects, tails the pipelines, and says what is missing before it can take pushes."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import structlog

from hookline.clock import Clock
from hookline.errors import ConfigError, LogUnavailable, OffsetOutOfRange, Unavailable, Undecodable
from hookline.log.cluster import Cluster
from hookline.log.losses import say_lost
from hookline.log.records import Topic
from hookline.log.skew import ClockSkew
from hookline.log.skips import LOOK_S, find_skip
from hookline.log.table import PipelineTable
from hookline.log.watch import CheckLog, LogWatch
from hookline.log.writer import Writer
from hookline.settings import Settings
from hookline.web.health import Status
from hookline.web.tasks import until_one_ends
from services.ingress.app import Door, ingress_app
from services.ingress.digests import DigestTail
from services.ingress.intake import Intake
from services.ingress.secret_file import read_credentials, version_of
from services.ingress.sources import discover

__all__ = ["Ingress"]

log = structlog.get_logger()

PAUSE_S = 0.5
"""Before Kafka is asked again, where it did not answer."""
WATCH_S = 1.0
"""Between two looks at whether the table is at the end of `pipelines`."""
CAUGHT_UP_S = 3.0
LATELY_S = 15.0
"""Above what a try to read a topic takes where Kafka does not answer."""
SECRETS_S = 5.0
"""Between two looks at whether the secrets file has changed."""


class _Trouble(NamedTuple):
    """Why a topic could not be read, and when (monotonic seconds)."""

    reason: str
    at: float


class Ingress:
    """`hookline.web.service.Service`."""

    name = "ingress"

    def __init__(self, settings: Settings, clock: Clock, cluster: Cluster, check_log: CheckLog) -> None:
        self._settings = settings
        self._clock = clock
        self._cluster = cluster
        self._watch = LogWatch(check_log, clock)
        self._table = PipelineTable(cluster)
        self._skew = ClockSkew(clock, settings.max_clock_skew, "registries are to be sent to another one")
        self._writer = Writer(cluster, clock, self._watch.hurry, self._skew)
        self._names = settings.registry_names()
        self._intake: Intake | None = None
        self._main: asyncio.Task[None] | None = None
        self._connecting = "connecting to Kafka"
        self._behind = "the pipelines are not read yet"
        self._troubles: dict[str, _Trouble] = {}
        """By topic, the last thing that kept it from being read."""
        self._stopped_at: list[str] = []
        self._secrets_version = version_of(settings.ingress_secrets_file)
        self._doors = _doors(settings, clock)
        self.app = ingress_app(self._doors, lambda: self._intake, clock, settings)

    async def start(self) -> None:
        self._main = asyncio.create_task(self._run())

    async def wait(self) -> None:
        """Raises TopicsUnfit, ForeignLog."""
        assert self._main is not None, "started first"
        await asyncio.wait({self._main})
        self._main.result()

    async def stop(self) -> None:
        if self._main is not None:
            self._main.cancel()
            await asyncio.wait({self._main})
        await self._writer.close()

    def ready(self) -> Status:
        """A topic that takes less than it should is said and no reason to send registries away: nearly every push fits."""
        stopped = "; ".join(f"stopped at a record that cannot be read: {record}" for record in self._stopped_at)
        missing = self._connecting or self._watch.denied or stopped or self._behind
        if not missing and not self._writer.ready:
            missing = "Kafka does not take records"
        clock = self._skew.words()
        if not missing and self._skew.too_far:
            missing = clock
        said = [missing or f"pipelines read to {self._table.position}", *self._lately()]
        said += [clock] if clock and clock != missing else []
        return Status(not missing, self._watch.noted("; ".join(said)))

    def _note(self, topic: str, reason: str) -> None:
        """Why it is not read; said once as long as it is the same."""
        if f"{topic} is not read: {reason}" not in self._lately():
            log.warning("a topic is read again", topic=topic, reason=reason)
        self._troubles[topic] = _Trouble(reason, self._clock.monotonic())

    def _lately(self) -> list[str]:
        """What keeps topics from being read."""
        since = self._clock.monotonic() - LATELY_S
        return [f"{topic} is not read: {reason}" for topic, (reason, at) in self._troubles.items() if at > since]

    def live(self) -> Status:
        """Its loops are alive; whether Kafka answers is for readiness."""
        alive = self._main is not None and not self._main.done()
        return Status(alive, "running" if alive else "stopped")

    async def _run(self) -> None:
        partitions = await self._connect()
        self._writer.start()
        digests = DigestTail(self._cluster, partitions)
        self._intake = Intake(self._table, digests, self._writer, partitions, names=self._names)
        await until_one_ends(
            self._tail(self._table.run, self._table.forget, "pipelines"),
            self._tail(digests.run, digests.forget, "pushes"),
            self._keep_up(),
            self._watch.run(),
            self._follow_secrets(),
        )

    async def _connect(self) -> int:
        """The partitions of `pushes`, as soon as Kafka says. Raises TopicsUnfit."""
        while True:
            try:
                await self._watch.look()
                partitions = await self._cluster.partitions(Topic.PUSHES)
            except LogUnavailable as error:
                self._connecting = f"connecting to Kafka: {error}"
                log.warning("Kafka does not answer", reason=str(error))
                await self._clock.sleep(PAUSE_S)
            else:
                self._connecting = ""
                return partitions

    async def _tail(self, run: Callable[[], Awaitable[None]], forget: Callable[[], None], name: str) -> None:
        """Read a topic on, again and again; past a record that cannot be read only when an operator skipped it, and from its
        beginning where it has lost what was read of it."""
        while True:
            try:
                await run()
            except LogUnavailable as error:
                self._note(name, str(error))
                await self._clock.sleep(PAUSE_S)
            except OffsetOutOfRange as error:
                say_lost(error, f"{name} are read anew")
                forget()
                self._watch.hurry()  # was the topic made anew?
            except Undecodable as error:
                await self._skipped(error)

    async def _skipped(self, stopped: Undecodable) -> None:
        """Wait until an operator has skipped that record: read again before that, the topic stops there again."""
        while not await self._is_skipped(stopped):
            if str(stopped) not in self._stopped_at:
                log.error(
                    "a topic is read no further", topic=stopped.topic, offset=stopped.offset, reason=stopped.reason
                )
                self._stopped_at.append(str(stopped))
            await self._clock.sleep(LOOK_S)
        if str(stopped) in self._stopped_at:
            self._stopped_at.remove(str(stopped))

    async def _is_skipped(self, stopped: Undecodable) -> bool:
        try:
            return await find_skip(self._cluster, stopped) is not None
        except LogUnavailable:
            return False  # it is looked for again

    async def _keep_up(self) -> None:
        """Keep `ready` true to the log."""
        while True:
            try:
                await self._table.caught_up(CAUGHT_UP_S)
            except (Unavailable, LogUnavailable) as error:
                self._behind = str(error)
                await self._clock.sleep(PAUSE_S)
            else:
                self._behind = ""
                await self._clock.sleep(WATCH_S)

    async def _follow_secrets(self) -> None:
        """Take a changed secrets file in, so that rotation needs no restart; one that is wrong changes nothing."""
        seen = self._secrets_version
        while True:
            await self._clock.sleep(SECRETS_S)
            before, seen = seen, version_of(self._settings.ingress_secrets_file)
            if seen == self._secrets_version or seen != before:  # as it was, or perhaps still being written
                continue
            self._secrets_version = seen
            try:
                self._doors.update(_doors(self._settings, self._clock))
            except ConfigError as error:
                log.error(
                    "the secrets file changed and is not taken: what was read before stays good", reason=str(error)
                )
            else:
                log.info("the secrets file changed: its credentials count from now on")


def _doors(settings: Settings, clock: Clock) -> dict[str, Door]:
    """One for each source. Raises ConfigError."""
    sources = discover(settings)
    credentials = read_credentials(settings, sources, clock)
    doors = {name: Door(source, credentials[name], settings.insecure_ingress) for name, source in sources.items()}
    closed = [name for name, door in doors.items() if not door.source.can_verify(door.credentials)]
    if settings.insecure_ingress and closed:
        log.warning("HOOKLINE_INSECURE_INGRESS: open to anyone who can reach them", sources=closed)
    elif len(closed) == len(doors):
        log.warning("no credential is set: every source answers 404 until HOOKLINE_INGRESS_TOKENS is")
    return doors
