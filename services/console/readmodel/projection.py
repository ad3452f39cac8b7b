"""Records of one partition to rows of the read model, by the pure fold (`hookline.chain.fold`); no database here."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice

from hookline.chain.events import ChainEvent, Event, Fence, PushReceived, RedeliveryRequested, SkipRequested
from hookline.chain.fold import PartitionFold, Repeats, misfit, rerun, start
from hookline.chain.payloads import pack_payload
from hookline.chain.state import Chain
from hookline.errors import RowRefused, Undecodable, Unfoldable
from hookline.log.codec import Record, type_of
from hookline.log.folding import fold_record
from hookline.log.reader import PartitionReader, Read, cause_of
from hookline.log.records import Positions, Topic
from hookline.log.skips import Skip, covering
from services.console.readmodel.entering import Row
from services.console.readmodel.rows import Rows, Saved, SetAside
from services.console.readmodel.standing import Standing, standing

__all__ = ["FENCED", "LATER", "MISFIT", "PartitionProjection"]

FENCED = "fenced"
LATER = "later"
MISFIT = "misfit"
"""Why an event is void."""
RUN_PARTS = {"payload", "plan"}
"""Of a RedeliveryRequested, not kept in its event's row: the push and the chain have them."""


class _NotedRepeats(Repeats):
    """Remembers its last answer."""

    repeated = False

    def see(self, event: PushReceived, at: int) -> bool:
        self.repeated = super().see(event, at)
        return self.repeated


class PartitionProjection:
    """One partition, from its reader's positions on. Holds at most `most_chains` chains between batches."""

    def __init__(self, saved: Saved, reader: PartitionReader, most_chains: int) -> None:
        self.reader = reader
        self.stopped: Undecodable | None = None
        """The record that cannot be read: nothing of this partition is projected any more."""
        self.remember(saved)
        self._most_chains = most_chains
        self._taken_from, self._fence_before = reader.positions, reader.fence
        """Where the last `take` began."""
        self._passed: set[Skip] = set()

    def remember(self, saved: Saved) -> None:
        """Have in memory what the database has, and no chain; the reader stays where it is."""
        self.windows_from = saved.windows_from
        """Offset in `pushes` of the first push whose window counts (`Repeats`: a time that goes far back ends all before it)."""
        self._repeats = _NotedRepeats(saved.windows, saved.clock)
        self._fold = PartitionFold(repeats=self._repeats, keep_ended=True, keep_payload=False)

    @property
    def held(self) -> int:
        """Chains in memory."""
        return len(self._fold.chains)

    @property
    def clock(self) -> int:
        return self._repeats.clock

    def take(self, most: int) -> list[Read]:
        """The next records, at most that many; sets `stopped` at one that cannot be read, which stays the next one."""
        self._taken_from, self._fence_before = self.reader.positions, self.reader.fence
        reads: list[Read] = []
        try:
            reads.extend(islice(self.reader.read(), most))
        except Undecodable as error:
            self.stopped = error
        return reads

    def go_on(self, skip: Skip) -> None:
        """Past the record that it stopped at."""
        self.reader.skip(skip)
        self._passed.add(skip)
        self.stopped = None

    def missing(self, reads: Iterable[Read]) -> set[str]:
        """Ids of chains that these records are about and that were started by an earlier batch and are not held."""
        before = {Topic.PUSHES: self._taken_from.pushes, Topic.COMMANDS: self._taken_from.commands}
        return {
            event.chain_id
            for event in (read.record.event for read in reads)
            if not isinstance(event, PushReceived | RedeliveryRequested | SkipRequested | Fence)
            and event.chain_id not in self._fold.chains
            and _was_read(event, before)
        }

    def hold(self, chains: Mapping[str, Chain], ids: Iterable[str]) -> None:
        """Take those that exist of its `missing` chains, as they were before this batch."""
        self._fold.chains.update((chain_id, chains[chain_id]) for chain_id in ids if chain_id in chains)

    def project(self, reads: Sequence[Read], rows: Rows) -> None:
        """Fold these records and add what they write to `rows`. All `missing` chains that exist are held.

        Sets `stopped` at one that cannot be folded: it becomes the next one again, and what follows it.
        """
        for number, (record, valid) in enumerate(reads):
            try:
                self._project(record, valid, rows)
            except Unfoldable as error:
                if covering(self._passed, record.topic, record.offset) is None:
                    self._stop_before(reads[:number], error)
                    return

    def project_each(self, reads: Sequence[Read], write: Callable[[Rows], None]) -> Iterator[SetAside]:
        """As `project`, each record by itself. One that cannot be written is as if it were not there, and is given.

        write: raises RowRefused, and then has written nothing.
        """
        for number, (record, valid) in enumerate(reads):
            before, rows = self._chain_of(record.event), Rows()
            try:
                self._project(record, valid, rows)
                write(rows)
            except Unfoldable as error:
                if covering(self._passed, record.topic, record.offset) is None:
                    self._stop_before(reads[:number], error)
                    return
            except (RowRefused, ValueError, ArithmeticError) as error:
                self._forget(record, before)
                yield self._set_aside(record, str(error) if isinstance(error, RowRefused) else type(error).__name__)

    def _project(self, record: Record, valid: bool, rows: Rows) -> None:
        match record.event:
            case PushReceived() as event:
                self._push(record, event, rows)
            case RedeliveryRequested() as event:
                self._run(record, event, rows)
            case Fence() | SkipRequested():
                pass
            case event:
                self._event(record, event, valid, rows)

    def _chain_of(self, event: Event) -> Chain | None:
        if isinstance(event, PushReceived | RedeliveryRequested | SkipRequested | Fence):
            return None
        return self._fold.chains.get(event.chain_id)

    def _forget(self, record: Record, before: Chain | None) -> None:
        """Its chains are as they were before that record, and as a restart would find them in the database."""
        match record.event:
            case PushReceived() as event:
                for chain in start(event, record.offset, keep_payload=False):
                    self._fold.chains.pop(chain.id, None)
            case RedeliveryRequested() as event:
                self._fold.chains.pop(rerun(event, record.offset, keep_payload=False).id, None)
            case _ if before is not None:
                self._fold.chains[before.id] = before

    def _set_aside(self, record: Record, reason: str) -> SetAside:
        made = SetAside(record.partition, record.topic.value, record.offset, reason)
        if not isinstance(record.event, PushReceived):
            return made
        push_id = record.event.push_id
        return made._replace(push_id=push_id.encode(), until=self._repeats.until.get(push_id))

    def _stop_before(self, projected: Sequence[Read], error: Unfoldable) -> None:
        """The reader is where it was when these had been read."""
        at, fence = self._taken_from._asdict(), self._fence_before
        for record, _ in projected:
            at[record.topic.value] = record.offset + 1
            fence = record.offset if isinstance(record.event, Fence) else fence
        self.reader.go_back(Positions(**at), fence)
        self.stopped = error

    def let_go(self) -> None:
        """After a commit: forget the chains that were used longest ago, down to the limit."""
        chains = self._fold.chains
        for chain_id in list(islice(chains, max(0, len(chains) - self._most_chains))):
            del chains[chain_id]

    def _push(self, record: Record, event: PushReceived, rows: Rows) -> None:
        clock = self.clock
        started = fold_record(self._fold, record)
        if self.clock < clock:
            self.windows_from = record.offset
        rows.pushes.append(
            {
                "partition": record.partition,
                "offset": record.offset,
                "push_id": event.push_id,
                "source": event.source,
                "registry": event.registry,
                "told_registry": event.told_registry,
                "repository": event.repository,
                "tag": event.tag,
                "digest": event.digest,
                "artifact_type": None if event.artifact_type is None else event.artifact_type.value,
                "pusher": event.pusher,
                "pushed_at": event.pushed_at,
                "received_at": event.received_at,
                "until": self._repeats.until[event.push_id],
                "repeat": self._repeats.repeated,
                "plans": len(event.plans),
                "payload": pack_payload(event.payload) if started else None,
            }
        )
        for chain_id in started:
            self._start(chain_id, record, event.received_at, event.tag, None, rows)

    def _run(self, record: Record, event: RedeliveryRequested, rows: Rows) -> None:
        started = fold_record(self._fold, record)
        if not started:
            return  # void: it asks for a step that its plan does not have
        (chain_id,) = started
        self._start(chain_id, record, event.requested_at, _tag(event), record.event_id, rows)
        rows.events.append(_event_row(record, chain_id, event.model_dump_json(exclude=RUN_PARTS), None))

    def _start(
        self, chain_id: str, record: Record, created_at: int, tag: str | None, request_id: str | None, rows: Rows
    ) -> None:
        chain = self._fold.chains[chain_id]
        _, push_offset, n, run = chain_id.rsplit("-", 3)
        rows.chains[chain_id] = {
            "id": chain_id,
            "push_id": chain.push_id,
            "push_offset": int(push_offset),
            "n": int(n),
            "run": int(run),
            "partition": record.partition,
            "repository": chain.repository,
            "tag": tag,
            "pipeline_id": chain.plan.pipeline_id,
            "first_step": chain.first_step,
            "plan": chain.plan.model_dump_json(),
            "request_id": request_id,
            "created_at": created_at,
            **_standing(standing(chain)),
        }

    def _event(self, record: Record, event: ChainEvent, valid: bool, rows: Rows) -> None:
        chains = self._fold.chains
        before = chains.pop(event.chain_id, None)
        if before is None:
            return  # of a chain that is not in the logs any more
        chains[before.id] = before  # last used, last in line
        void: str | None = FENCED
        if valid:
            fold_record(self._fold, record)
            after = chains[before.id]
            void = None if after is not before else LATER if misfit(before, event) is None else MISFIT
            if (now := standing(after)) != standing(before):
                row = rows.chains.get(after.id) or rows.changes.setdefault(after.id, {})
                row.update(_standing(now))
        rows.events.append(_event_row(record, before.id, (record.raw.value or b"").decode(errors="replace"), void))


def _was_read(event: ChainEvent, before: dict[Topic, int]) -> bool:
    cause = cause_of(event)
    return cause is not None and cause[1] < before[cause[0]]


def _event_row(record: Record, chain_id: str, json: str, void: str | None) -> Row:
    return {
        "chain_id": chain_id,
        "topic": record.topic.value,
        "offset": record.offset,
        "timestamp": record.timestamp,
        "type": type_of(record.event),
        "void": void,
        "json": json,
    }


def _standing(now: Standing) -> Row:
    reason = None if now.reason is None else now.reason.value
    return {"step": now.step, "status": now.status.value, "reason": reason, "ended_at": now.ended_at}


def _tag(event: RedeliveryRequested) -> str | None:
    pushed = event.payload.get("push_data")
    tag = pushed.get("tag") if isinstance(pushed, dict) else None
    return tag if isinstance(tag, str) else None
