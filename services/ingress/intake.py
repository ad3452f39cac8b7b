"""Takes a delivery in: plans its pushes, appends, and returns only when everything is acked (I1)."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import NamedTuple, Protocol, TypeAlias, TypeVar

import structlog

from hookline.chain.ids import partition_of
from hookline.chain.pipeline import Pipeline, matching
from hookline.chain.registry_names import RegistryNames
from hookline.errors import Forbidden, NotAuthorised, RecordRefused, RecordTooLarge, Unavailable
from hookline.log.codec import encode, encode_quarantined
from hookline.log.records import MAX_RECORD_BYTES, Draft
from hookline.log.table import PipelineTable
from services.ingress import metrics
from services.ingress.contents import Contents, Unread, contents_of
from services.ingress.delivery import IgnoredReason, Push
from services.ingress.digests import DigestTail, Tag, goes_by_digest, tag_of
from services.ingress.kept_once import BodyKey, KeptOnce
from services.ingress.push_records import Receipt, push_received, quarantined
from services.ingress.repeats import Remembered
from services.ingress.scope import Scope

__all__ = ["Appender", "Intake", "Tally"]

log = structlog.get_logger()

T = TypeVar("T")

ANSWER_S = 4.5
"""Seconds for all that waits for Kafka: an answer within 5 s, whatever is away."""
MAX_RECORD = MAX_RECORD_BYTES - 64 * 1024
"""Bytes of a record's value: the rest is for its key and headers."""
MAX_SAID = 255
"""Characters of a repository that an answer repeats."""
AT_ONCE = 100
"""Records of one delivery under way at once."""


class Appender(Protocol):
    """What intake needs of `hookline.log.writer.Writer`."""

    async def append(self, draft: Draft) -> int:
        """The offset, once acked. Raises AppendFailed, RecordRefused."""


class Tally(NamedTuple):
    """The answer: what became of the events of a delivery. Each counts once."""

    accepted: int = 0
    duplicates: int = 0
    ignored: int = 0
    quarantined: int = 0
    reason: str = ""
    """Why the first of the quarantined ones is there; it may quote a few words of what was sent."""
    is_ping: bool = False
    """Was it nothing but a registry's test of whether we are there?"""


class _Appended(NamedTuple):
    """What became of one record: of a push its id and window, of a quarantined one the reason."""

    push_id: str | None
    window_s: int = 0
    reason: str = ""


_Append: TypeAlias = Callable[[], Coroutine[None, None, _Appended]]
"""One record's way into the log, which begins when it is called."""


class Intake:
    """One for the process. `partitions`: of `pushes`; `answer_s`: most seconds that a delivery waits for Kafka."""

    def __init__(
        self,
        table: PipelineTable,
        digests: DigestTail,
        appender: Appender,
        partitions: int,
        *,
        names: RegistryNames,
        answer_s: float = ANSWER_S,
    ) -> None:
        self._table = table
        self._digests = digests
        self._appender = appender
        self._partitions = partitions
        self._names = names
        self._answer_s = answer_s
        self._remembered = Remembered()
        self._kept = KeptOnce()

    async def take(self, receipt: Receipt, scope: Scope) -> Tally:
        """Take in all of a delivery; `scope`: of the credential that it came with.

        Raises Forbidden where a push of it is outside of the scope: then nothing of it is taken. Raises Unavailable or
        LogError: then not all of it may be in the log. RecordRefused: Kafka takes some of it nowhere, neither as a push nor
        in quarantine.
        """
        contents = contents_of(receipt.source, receipt.delivery, self._names)
        for _, push in contents.pushes:
            if not scope.has(push.repository):
                raise Forbidden(f"the credential is good, but not for the repository {push.repository[:MAX_SAID]}")
        tally = await self._in_time(self._append_all(receipt, contents))
        for reason in contents.ignored:
            metrics.IGNORED.labels(receipt.source.name, reason).inc()
        return tally._replace(ignored=len(contents.ignored), is_ping=contents.ignored == [IgnoredReason.PING])

    async def quarantine(self, receipt: Receipt, reason: str, *, keep: frozenset[str]) -> Tally:
        """Keep a body that its source cannot even be asked about, with the headers `keep` too. Raises as `take`."""
        append = partial(self._quarantine, receipt, Unread(receipt.delivery.body, reason), keep)
        return self._tally(receipt, await self._in_time(self._append(iter((append,)))))

    async def _in_time(self, work: Coroutine[None, None, T]) -> T:
        """What the work gives. Raises Unavailable when it takes longer than `answer_s`."""
        try:
            async with asyncio.timeout(self._answer_s):
                return await work
        except TimeoutError:
            raise Unavailable("Kafka does not acknowledge in time") from None

    async def _append_all(self, receipt: Receipt, contents: Contents) -> Tally:
        """Append what starts chains, and what cannot be read."""
        if contents.pushes:
            # After the request began: a 201 of the console is good for every push that begins after it.
            await self._table.at_the_end()
        in_turn: list[tuple[bytes, Push]] = []
        appended = await self._append(self._appends(receipt, contents, in_turn))
        for at in range(0, len(in_turn), AT_ONCE):
            appended += await self._append_in_turn(receipt, in_turn[at : at + AT_ONCE])
        return self._tally(receipt, appended)

    def _appends(self, receipt: Receipt, contents: Contents, in_turn: list[tuple[bytes, Push]]) -> Iterator[_Append]:
        """What can be appended at once; pushes that cannot, because a pipeline goes by their digest, are put into `in_turn`."""
        for unread in contents.unread:
            yield partial(self._quarantine, receipt, unread)
        for raw, push in contents.pushes:
            pipelines = self._pipelines(push)
            if goes_by_digest(pipelines, push):
                in_turn.append((raw, push))
            else:
                yield partial(self._take_push, receipt, raw, push, pipelines, self._table.position)

    async def _append_in_turn(self, receipt: Receipt, pushes: Sequence[tuple[bytes, Push]]) -> list[_Appended]:
        """Append in waves: one that is left out because of another of its tag only when that is acked."""
        async with self._digests.turn({tag_of(push) for _, push in pushes}) as turn:
            waves: defaultdict[int, list[_Append]] = defaultdict(list)
            wave_of: defaultdict[Tag, int] = defaultdict(int)
            starting: set[Tag] = set()
            """Tags whose wave has a push that starts something."""
            for raw, push in pushes:
                tag, pipelines = tag_of(push), self._pipelines(push)
                same = turn.same(pipelines, push)
                others = [pipeline for pipeline in pipelines if pipeline.pipeline_id not in same]
                if same and tag in starting:
                    wave_of[tag] += 1
                    starting.remove(tag)
                if others:
                    starting.add(tag)
                waves[wave_of[tag]].append(
                    partial(self._take_push, receipt, raw, push, others, self._table.position, same)
                )
            return [one for wave in sorted(waves) for one in await self._append(iter(waves[wave]))]

    def _pipelines(self, push: Push) -> list[Pipeline]:
        known = self._table.for_push(push.repository)
        return matching(known, push.repository, push.registry, push.tag, push.told_registry, push.artifact_type)

    async def _append(self, appends: Iterator[_Append]) -> list[_Appended]:
        """Append all, some at once."""
        began = time.perf_counter()
        appended: list[_Appended] = []
        while some := list(islice(appends, AT_ONCE)):
            appended += await _all([append() for append in some])
        if appended:
            metrics.APPEND_SECONDS.observe(time.perf_counter() - began)
        return appended

    async def _take_push(
        self,
        receipt: Receipt,
        raw: bytes,
        push: Push,
        pipelines: Sequence[Pipeline],
        settings_offset: int,
        same_digest: tuple[str, ...] = (),
    ) -> _Appended:
        """Append a push, or what was delivered of it to quarantine where its record is too large, or Kafka refuses it for what it is.

        `pipelines`: those that it starts, as the table had them at `settings_offset`.
        """
        if self._table.log_id is None:
            raise Unavailable("the topics hold no log_id: make them with `hookline topics create`", retry_after_s=5)
        name = receipt.source.name
        event = push_received(
            receipt,
            raw,
            push,
            log_id=self._table.log_id,
            settings_offset=settings_offset,
            plans=tuple(pipeline.plan(n) for n, pipeline in enumerate(pipelines)),
            same_digest=same_digest,
        )
        draft = encode(event, partition_of(event.push_id, self._partitions), now_ms=receipt.received_at)
        if len(draft.value or b"") > MAX_RECORD:
            kept = await self._quarantine(receipt, Unread(raw, "too large for one record, with its payload and plans"))
            log.error("a push starts nothing: it is too large for one record", source=name)
            metrics.TOO_LARGE.labels(name).inc()
            return kept
        try:
            await self._appender.append(draft)
        except NotAuthorised:
            raise  # an operator mends it: then it is taken
        except RecordRefused as refused:
            log.error("a push goes to quarantine: Kafka refuses its record", source=name)
            if isinstance(refused, RecordTooLarge):
                metrics.TOO_LARGE.labels(name).inc()
            return await self._quarantine(receipt, Unread(raw, f"Kafka refused the record of this push: {refused}"))
        return _Appended(event.push_id, event.dedupe_window_s)

    async def _quarantine(self, receipt: Receipt, unread: Unread, keep: frozenset[str] = frozenset()) -> _Appended:
        """Append to quarantine what is not there since lately."""
        event = quarantined(receipt, unread, keep=keep)
        draft = encode_quarantined(event, unread.raw, now_ms=receipt.received_at)
        key = BodyKey.of(event, draft.key or b"")
        is_new = await self._kept.keep(key, receipt.received_at, lambda: self._appender.append(draft))
        (metrics.QUARANTINED if is_new else metrics.QUARANTINE_REPEATS).labels(receipt.source.name).inc()
        return _Appended(None, reason=event.reason)

    def _tally(self, receipt: Receipt, appended: Sequence[_Appended]) -> Tally:
        """How many pushes are new, how many this process has appended before, and what went to quarantine."""
        name, counts = receipt.source.name, [0, 0]
        for one in appended:
            if one.push_id is None:
                continue
            repeat = self._remembered.repeats(one.push_id, one.window_s, receipt.received_at)
            (metrics.DUPLICATES if repeat else metrics.ACCEPTED).labels(name).inc()
            counts[repeat] += 1
        reasons = [one.reason for one in appended if one.push_id is None]
        return Tally(counts[False], counts[True], quarantined=len(reasons), reason=reasons[0] if reasons else "")


async def _all(appends: Sequence[Coroutine[None, None, T]]) -> list[T]:
    """Await all; the first error once every one has ended."""
    if len(appends) == 1:  # nearly always: without the cost of a task
        return [await appends[0]]
    outcomes = await asyncio.gather(*appends, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
