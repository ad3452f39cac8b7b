"""Judges a partition's checkpoint: is the snapshot that its commit names the fold at the committed positions (I6)?"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple
from uuid import UUID

from hookline.audit.cut import at_cut
from hookline.audit.findings import Finding, Invariant
from hookline.audit.history import PartitionHistory
from hookline.audit.source import Extent, PartitionSource
from hookline.chain.packer import ChainUnpacker
from hookline.chain.payloads import payload_json, unpack_payload
from hookline.chain.state import Chain
from hookline.log.codec import Record
from hookline.log.records import LOGS, Positions, RawRecord, Topic
from hookline.log.snapshots import BROKERS_TIME, named_by

__all__ = ["CheckpointJudge", "open_checkpoint"]

MOST_NAMED = 20
"""Chains named one by one where a snapshot differs in many."""


class Saved(NamedTuple):
    """A snapshot's content: `hookline.log.snapshots.Snapshot`, `first` its first offset in `snapshots`."""

    positions: Positions
    fence: int
    first: int
    chains: dict[str, Chain]
    windows: dict[str, int]
    clock: int
    by_brokers: bool
    """Do its windows go by the brokers' time? Else an earlier version took it, by a rule that is no more."""


class _Unfit(Exception):
    """Why a checkpoint cannot be compared."""


async def open_checkpoint(
    source: PartitionSource, log_id: UUID | None, tell: Callable[[Finding], None]
) -> "CheckpointJudge | None":
    """Reads the snapshot that the commit names, before anything else of the partition.

    None where there is nothing to compare: no commit, or one that is wrong by itself (told). Raises LogUnavailable, BundleBroken.
    """
    records: list[RawRecord] = []
    while more := await source.more(Topic.SNAPSHOTS):
        records += more
    if len(source.extent.commits) < len(LOGS):
        return None
    try:
        saved = _read(source.extent, records, log_id)
    except _Unfit as unfit:
        tell(Finding(Invariant.I6, Topic.SNAPSHOTS, source.number, source.extent.snapshots.start, "", "", str(unfit)))
        return None
    for said in _lost(source.extent.ends, records, saved.first):
        tell(Finding(Invariant.I7, Topic.DELIVERIES, source.number, source.extent.ends.deliveries, "", "", said))
    return CheckpointJudge(source.number, saved, source.extent.starts, tell)


class CheckpointJudge:
    """Compares as the walk passes the committed positions: call `before` with each record before it is folded, then `finish`."""

    def __init__(self, number: int, saved: Saved, starts: Positions, tell: Callable[[Finding], None]) -> None:
        self.positions = saved.positions
        self._number = number
        self._saved = saved
        self._starts = starts
        self._tell = tell
        self._windows_judged = False
        self._chains_judged = False

    def before(self, record: Record, history: PartitionHistory) -> None:
        if record.topic is Topic.PUSHES and record.offset >= self.positions.pushes:
            self._judge_windows(history)
        elif record.topic is Topic.DELIVERIES and record.offset >= self.positions.deliveries:
            self._judge_chains(history)

    def finish(self, history: PartitionHistory) -> None:
        self._judge_windows(history)
        self._judge_chains(history)

    def _judge_windows(self, history: PartitionHistory) -> None:
        if self._windows_judged or not self._saved.by_brokers:
            return
        self._windows_judged = True
        saved, until = self._saved, history.repeats.until
        if self._starts.pushes:
            # What lies below the first offset may have windows of its own.
            unsure = history.unsure
            wrong = [p for p, end in until.items() if unsure.get(p, 0) < end != saved.windows.get(p)]
        else:
            wrong = [push for push in until.keys() | saved.windows.keys() if until.get(push) != saved.windows.get(push)]
            if history.repeats.clock != saved.clock:
                self._find(f"its clock is {saved.clock}, and the fold's {history.repeats.clock}")
        if wrong:
            self._find(f"{len(wrong)} windows for repeats differ from the fold's: {', '.join(sorted(wrong)[:3])}")

    def _judge_chains(self, history: PartitionHistory) -> None:
        if self._chains_judged:
            return
        self._chains_judged = True
        told = 0
        for chain_id, said in self._differences(history):
            told += 1
            if told <= MOST_NAMED:
                self._find(said, chain_id)
        if told > MOST_NAMED:
            self._find(f"{told - MOST_NAMED} more chains differ")
        fence = max((offset for offset in history.fences if offset < self.positions.deliveries), default=-1)
        if fence >= 0 and fence != self._saved.fence:
            self._find(
                f"its commit names the fence {self._saved.fence}, and {fence} was in force", invariant=Invariant.I10
            )

    def _differences(self, history: PartitionHistory) -> Iterator[tuple[str, str]]:
        saved, positions = self._saved.chains, self.positions
        known = set()
        for chain in history.chains.values():
            facts = history.facts[chain.id]
            topic = Topic.PUSHES if chain.id.endswith("-0") else Topic.COMMANDS
            known.add(chain.id)
            if not facts.whole or chain.cause >= positions.of(topic):
                continue
            there = saved.get(chain.id)
            if chain.ending is not None:
                if there is not None:
                    yield chain.id, f"the snapshot has it, and it ended at deliveries@{chain.ending.offset}"
            elif there is None:
                yield chain.id, "the snapshot does not have this open chain"
            elif (difference := _difference(there, at_cut(chain, facts.cancelled_at, positions))) is not None:
                yield chain.id, f"the snapshot's {difference} differs from the fold's"
        if self._starts == Positions():
            for chain_id in saved.keys() - known:
                yield chain_id, "the snapshot has it, and the fold does not: it ended long before, or never began"

    def _find(self, said: str, chain_id: str = "", invariant: Invariant = Invariant.I6) -> None:
        self._tell(Finding(invariant, Topic.SNAPSHOTS, self._number, self._saved.first, "Snapshot", chain_id, said))


def _read(extent: Extent, records: Sequence[RawRecord], log_id: UUID | None) -> Saved:
    """Raises _Unfit."""
    try:
        first, fence, of_log = named_by(extent.commits[Topic.PUSHES])
    except ValueError:
        raise _Unfit("the commit's metadata cannot be read") from None
    if log_id is not None and of_log != log_id:
        raise _Unfit(f"the commit is of log {of_log}, and this is log {log_id}")
    positions = Positions(*(extent.commits[topic].offset for topic in LOGS))
    for topic in LOGS:
        start, end = extent.logs[topic]
        if not start <= positions.of(topic) <= end:
            raise _Unfit(f"the commit names {topic}@{positions.of(topic)}, and the log has {start} to {end}")
    unpacker, clock, by_brokers = ChainUnpacker(), None, False
    snapshot_id = next((raw.headers.get("snapshot") for raw in records if raw.offset == first), None)
    for raw in records:
        if snapshot_id is None or raw.headers.get("snapshot") != snapshot_id:
            continue  # others may have written between
        try:
            if "last" in raw.headers:
                clock, by_brokers = int(raw.value or b""), BROKERS_TIME.items() <= raw.headers.items()
                break
            unpacker.add(raw.value or b"")
        except ValueError as error:
            raise _Unfit(f"snapshots@{raw.offset} cannot be read: {error}") from None
    if clock is None:
        raise _Unfit(f"the commit names the snapshot at {first}, which is not whole in the log")
    for payload, chain_id in {chain.payload: chain.id for chain in unpacker.chains.values()}.items():
        try:
            unpack_payload(payload)
        except ValueError as error:
            raise _Unfit(
                f"the snapshot at {first} has a payload that does not unpack, of {chain_id}: {error}"
            ) from None
    return Saved(positions, fence, first, unpacker.chains, unpacker.windows, clock, by_brokers)


def _lost(ends: Positions, records: Sequence[RawRecord], first: int) -> Iterator[str]:
    """Snapshots that no commit names yet knew the log, too: of how far `deliveries` went little else says anything."""
    named = next((raw.headers.get("snapshot") for raw in records if raw.offset == first), None)
    for raw in records:
        if raw.headers.get("snapshot") == named or "last" in raw.headers:
            continue
        unpacker = ChainUnpacker(keep_payload=False)
        try:
            unpacker.add(raw.value or b"")
        except ValueError:
            continue  # of nobody's: others may write there
        steps = [step for chain in unpacker.chains.values() for step in chain.steps]
        known = max((step.last_offset for step in steps), default=-1)
        if known >= ends.deliveries:
            yield f"snapshots@{raw.offset} knows deliveries@{known}, and the log ends at {ends.deliveries}: records were lost"
            return


def _difference(saved: Chain, folded: Chain) -> str | None:
    """Which part; payloads by their text, as compression may differ between versions."""
    for field in Chain._fields:
        if field != "payload" and getattr(saved, field) != getattr(folded, field):
            return field
    return (
        None
        if saved.payload == folded.payload or payload_json(saved.payload) == payload_json(folded.payload)
        else "payload"
    )
