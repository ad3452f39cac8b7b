"""The dispatcher as a service: one consumer group member, its partitions, one poll loop for all of them."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from random import Random
from uuid import UUID, uuid4

import structlog

from hookline.chain.keys import KeyRing
from hookline.clock import Clock
from hookline.errors import AppendFailed, HooklineError, LogUnavailable, NameTaken, OffsetOutOfRange
from hookline.log.causes import LostCauses
from hookline.log.cluster import Cluster, Offsets
from hookline.log.feed import PlaceFeed
from hookline.log.reader_status import READER_UNREAD, RETRY_S
from hookline.log.records import LOGS, Draft, Place, Positions, logs_of
from hookline.log.skew import ClockSkew
from hookline.log.snapshots import DISPATCHER_GROUP, clock_probe
from hookline.log.watch import CheckLog, LogState
from hookline.log.writer import Writer
from hookline.settings import Settings
from hookline.web.health import Status
from hookline.web.log_service import LogService
from services.dispatcher import metrics
from services.dispatcher.checkpoint import MIN_EVENTS
from services.dispatcher.partition import Partition, State
from services.dispatcher.slots import Slots
from services.dispatcher.surroundings import HookSender, Surroundings
from services.dispatcher.transport import Transport

__all__ = ["MEASURE_S", "Dispatcher", "Pace"]

log = structlog.get_logger()

STALE_POLL_S = 10.0
"""Rule 6: no POST begins when the last completed poll is older; a process that was stopped may have lost its partitions."""
MAX_TIMEOUT_S = 60.0
"""The longest `timeout` that a pipeline may set."""
DRAIN_EXTRA_S = 5.0
OBSERVE_S = 2.0
TWIN_S = 60.0
"""How long readiness says that another process has taken our name."""
MEASURE_S = 10.0
"""Between two looks at a clock that was found wrong."""
WRONG_CLOCK = (
    "no step is closed at its deadline, and where it is behind, no hook is called whose deadline is that close"
)
"""What is not done meanwhile."""


@dataclass(frozen=True)
class Pace:
    """How often things happen; tests make them happen sooner."""

    poll_s: float = 0.5
    """Longest wait for records in one poll."""
    checkpoint_events: int = MIN_EVENTS
    """Least events read between two snapshots of a partition."""


class Dispatcher(LogService):
    """`hookline.web.service.Service` without public HTTP."""

    name = "dispatcher"
    app = None

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        cluster: Cluster,
        random: Random,
        check_log: CheckLog,
        make_sender: Callable[[], HookSender],
        pace: Pace = Pace(),
    ) -> None:
        super().__init__(clock, cluster, check_log)
        self._settings = settings
        self._random = random
        self._causes = LostCauses(clock)
        self._skew = ClockSkew(clock, settings.max_clock_skew, WRONG_CLOCK)
        self._measured_at = clock.monotonic()
        self._measuring: asyncio.Task[None] | None = None
        self._make_sender = make_sender
        self._pace = pace
        self._keys: KeyRing = settings.key_ring()
        self._partitions: dict[int, Partition] = {}
        self._owner = settings.group_instance_id or f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:8]}"
        self._assigned_once = False
        self._observed_at = clock.monotonic()
        self._observing: asyncio.Task[None] | None = None
        self._twin, self._twin_at = "", 0.0
        """What was said of another process under our name, and when (monotonic seconds)."""
        self._closing: set[asyncio.Task[None]] = set()
        self._draining = False
        self._detail = "joining the group"

    @property
    def partitions(self) -> Mapping[int, Partition]:
        """Those that the group gave us."""
        return self._partitions

    @property
    def slots(self) -> Slots:
        """The places of this session; only once it is connected."""
        return self._around.slots

    # ---- Service

    def ready(self) -> Status:
        if not self._assigned_once:
            return Status(False, self.watch.noted(self.connecting or self._detail))
        waiting = [
            f"partition {p.number}: {p.words()}" for p in self._partitions.values() if p.state is not State.RUNNING
        ]
        missing = [said for said in (self.watch.denied, *waiting) if said]
        said = "; ".join(missing) or f"running {len(self._partitions)} partitions"
        if clock := self._skew.words():
            said = f"{said}; {clock}"
        if self._twin and self.clock.monotonic() - self._twin_at < TWIN_S:
            said = f"{said}; {self._twin}"
        troubles = tuple(words for p in self._partitions.values() for words in p.troubles())
        return Status(not missing, self.watch.noted(said), troubles)

    def live(self) -> Status:
        metrics.POLL_AGE.set(self.beat_age_s)
        return super().live()

    async def stop(self) -> None:
        """Begin nothing, let open POSTs end within the longest timeout, checkpoint, leave the group."""
        self._draining = True
        for partition in self._partitions.values():
            partition.begin_drain()
        # Where the log is not the one that was read, a last checkpoint would keep the next start from reading this one.
        partitions = self._partitions.values() if not self.has_ended else ()
        await self._in_time(p.quiesced() if self.is_ending else p.drained() for p in partitions)
        await super().stop()

    async def abandon(self) -> None:
        """End at once, and finish nothing: for tests, as kill -9 does."""
        await super().stop()

    async def _in_time(self, ends: Iterable[Coroutine[None, None, None]]) -> None:
        """Wait for all, for a little longer than the longest timeout of a hook. What fails has ended, too."""
        try:
            async with asyncio.timeout(MAX_TIMEOUT_S + DRAIN_EXTRA_S):
                await asyncio.gather(*ends, return_exceptions=True)
        except TimeoutError:
            log.warning(
                "partitions given up with hooks in flight: the next owner repeats them with the same webhook-id"
            )

    # ---- GroupListener

    def revoked(self) -> None:
        for partition in self._partitions.values():
            partition.park()

    async def quiesced(self) -> None:
        """A POST that is open now would be repeated by the next owner, who cannot know of it."""
        await self._in_time(partition.quiesced() for partition in self._partitions.values())

    def assigned(self, partitions: frozenset[int]) -> None:
        self._assigned_once = True
        for number in set(self._partitions) - partitions:
            self._close(self._partitions.pop(number))
        for number in sorted(partitions):
            if number in self._partitions:
                self._partitions[number].unpark()
            elif not self._draining:  # else it is the next owner's, once we have left
                self._partitions[number] = Partition(number, self._transport, self._around)

    def _close(self, partition: Partition) -> None:
        task = asyncio.create_task(partition.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    # ---- the poll loop

    async def work(self, state: LogState) -> None:
        """Poll until cancelled. A consumer that gives up is made anew, and all partitions restored."""
        log_id: UUID | None = state.log_id
        while True:
            try:
                await self._session(log_id or (await self.watch.look()).log_id)
            except NameTaken as error:
                metrics.NAME_TAKEN.inc()
                self._detail = self._twin = str(error)
                self._twin_at = self.clock.monotonic()
                log.error("another dispatcher uses our name", reason=str(error))
            except LogUnavailable as error:
                self._detail = f"connecting to Kafka: {error}"
                log.warning("Kafka does not answer", reason=str(error))
            await asyncio.sleep(RETRY_S)
            self.beat()
            log_id = None  # by the next session the topics may be others

    async def _session(self, log_id: UUID) -> None:
        """One life of consumer, producer and HTTP client; ends by raising."""
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(asyncio.create_task(self._keep_watch()).cancel)
            offsets = await self.cluster.offsets()
            stack.push_async_callback(offsets.close)
            writer = Writer(self.cluster, self.clock, self.watch.hurry, self._skew)
            stack.push_async_callback(writer.close)
            sender = self._make_sender()
            stack.push_async_callback(sender.close)
            self._around = self._surroundings(sender, writer)
            group = await self.cluster.group(DISPATCHER_GROUP, self)
            stack.push_async_callback(group.close)
            feed = PlaceFeed(group)
            self._transport = Transport(
                self.cluster,
                offsets,
                writer,
                feed,
                log_id,
                self._owner,
                group.commit,
                group.leave,
                self.end,
                self._pace.checkpoint_events,
            )
            stack.push_async_callback(self._close_all)
            await self._poll_for_ever(feed, offsets)

    async def _keep_watch(self) -> None:
        try:
            await self.watch.run()
        except HooklineError as error:
            self.end(error)

    async def _poll_for_ever(self, feed: PlaceFeed, offsets: Offsets) -> None:
        while True:
            changed = await self._poll(feed)
            self.beat()
            for number in changed & self._partitions.keys():
                self._partitions[number].on_data()
            for partition in self._partitions.values():
                partition.tick()
            self._observe(offsets)

    async def _poll(self, feed: PlaceFeed) -> set[int]:
        """The partitions that have something new to read."""
        try:
            return await feed.poll(self.poll_for_s())
        except OffsetOutOfRange as error:  # one partition's: it restores from what there is, all others go on
            if (partition := self._partitions.get(error.partition)) is not None:
                partition.lose(error)
                self.watch.hurry()  # was the topic made anew?
            return set()

    def _observe(self, offsets: Offsets) -> None:
        """Gauges, every few seconds: the ends cost a request, which nothing waits for."""
        now = self.clock.monotonic()
        if now - self._observed_at < OBSERVE_S:
            return
        self._observed_at = now
        slots = self._around.slots
        metrics.WAITING.set(slots.waiting)
        metrics.OLDEST_DUE.set(slots.oldest_wait_s)
        metrics.SLOW_HOOKS.set(slots.slow_hooks)
        self._observing = asyncio.create_task(self._count_unread(offsets))
        if self._skew.doubtful and now - self._measured_at >= MEASURE_S:
            self._measured_at = now
            self._measuring = asyncio.create_task(self._measure())

    async def _measure(self) -> None:
        """Append something, so that an ack tells whether our clock is right by now: nothing else may be appended for long.

        In `snapshots`, where no reader takes what no commit names.
        """
        for number in list(self._partitions)[:1]:
            with contextlib.suppress(AppendFailed):  # its writer says why
                await self._transport.writer.append(clock_probe(number))

    async def _count_unread(self, offsets: Offsets) -> None:
        places = [place for number in self._partitions for place in logs_of(number)]
        waits = self._causes.waits(self._transport.feed.readers.values())
        try:
            ends = await offsets.ends(places)
        except LogUnavailable:
            return  # the gauges stay as they were; readiness and the poll's age tell
        lost = self._causes.check(waits, ends)
        for number, partition in self._partitions.items():
            partition.lack(lost.get(number))
            if (worker := partition.worker) is not None and Place(LOGS[0], number) in ends:
                unread = worker.reader.positions.behind(Positions.among(ends, number))
                READER_UNREAD.labels("dispatcher", number).set(unread)
                metrics.OPEN_CHAINS.labels(number).set(len(worker.fold.chains))

    def poll_for_s(self) -> float:
        """Seconds that the next poll may wait for records before a timer is due."""
        due = min((d for p in self._partitions.values() if (d := p.next_due) is not None), default=None)
        return (
            self._pace.poll_s if due is None else min(self._pace.poll_s, max(0.0, (due - self.clock.now_ms()) / 1000))
        )

    def _surroundings(self, sender: HookSender, writer: Writer) -> Surroundings:
        async def append(draft: Draft) -> None:
            await writer.append(draft)

        return Surroundings(
            clock=self.clock,
            skew=self._skew,
            random=self._random,
            keys=self._keys,
            sender=sender,
            slots=Slots(self._settings.max_posts, self._settings.max_posts_per_host, self.clock.monotonic),
            callback_base_url=self._settings.callback_base_url(),
            append=append,
            polled_lately=lambda: self.beat_age_s < STALE_POLL_S,
        )

    async def _close_all(self) -> None:
        partitions, self._partitions = list(self._partitions.values()), {}
        self._assigned_once = False
        await asyncio.gather(*(p.close() for p in partitions), *self._closing, return_exceptions=True)
