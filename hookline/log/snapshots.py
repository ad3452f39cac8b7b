"""Snapshots: the whole state of a partition at one instant, in `snapshots[p]`, and the commit that names one (design section 4, rule 3).

A snapshot is records with its own id in the header `snapshot`; others may write between them; the last has the header
`last`. No commit names one that is not whole, no restore reads one that no commit names.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol
from uuid import UUID

import structlog

from hookline.chain.fold import Repeats
from hookline.chain.packer import ChainPacker, ChainUnpacker
from hookline.chain.state import Chain
from hookline.errors import ForeignLog, LogUnavailable, OffsetOutOfRange, SnapshotLost, Undecodable
from hookline.log.cluster import Cluster, Commit, Offsets
from hookline.log.records import LOGS, DamagedBatch, Draft, Place, Positions, RawRecord, Topic, logs_of

__all__ = [
    "BROKERS_TIME",
    "DISPATCHER_GROUP",
    "Checkpoint",
    "Named",
    "Restored",
    "Snapshot",
    "clock_probe",
    "committed",
    "named_by",
    "read_checkpoint",
    "write_snapshot",
]

log = structlog.get_logger()

DISPATCHER_GROUP = "dispatcher"
"""The consumer group whose commits name the snapshots (a cluster adds its prefix)."""

DELETE_GROUP = f"Stop all dispatchers and delete the group {DISPATCHER_GROUP} (kafka-consumer-groups.sh --delete)"
"""How to forget what was committed; its name has the topics' prefix in Kafka."""
TIMES_ASKED, ASKED_AGAIN_S = 6, 1.0
"""How often, and how far apart, the ends are asked for before a commit counts as beyond them."""
BROKERS_TIME = {"clock": b"broker"}
"""Header of a snapshot's last record: its windows go by the brokers' time. Without it they went by the producers', which no
fold of today gives."""
POLL_S = 1.0
IDLE_POLLS = 10
"""Polls without a record after which a snapshot that should be there counts as unavailable."""


@dataclass(frozen=True)
class Snapshot:
    """A partition at one instant. Chains are immutable, so both mappings are shallow copies."""

    chains: Mapping[str, Chain]
    windows: Mapping[str, int]
    clock: int
    """Largest time in `pushes` so far, Unix ms (`Repeats.clock`)."""


@dataclass(frozen=True)
class Checkpoint:
    """What a commit says: positions of the snapshot's instant, the fence in force there, where the snapshot begins."""

    positions: Positions
    fence: int
    snapshot: int
    log_id: UUID

    def commits(self, partition: int) -> dict[Place, Commit]:
        """The four commits of one request; the metadata of `pushes[p]` counts."""
        metadata = json.dumps({"snapshot": self.snapshot, "fence": self.fence, "log_id": str(self.log_id)})
        return {Place(t, partition): Commit(self.positions.of(t), metadata) for t in LOGS}


@dataclass(frozen=True)
class Restored:
    """Where to go on from: a snapshot's content, or nothing and the logs' beginning."""

    positions: Positions
    fence: int | None
    """In force at `positions.deliveries`; -1 before any, None where it must be found (`PartitionReader`)."""
    snapshot: int | None
    chains: dict[str, Chain]
    repeats: Repeats


class Named(NamedTuple):
    """What a commit's metadata names: the first offset of its snapshot, the Fence in force there, the log."""

    snapshot: int
    fence: int
    log_id: UUID


def named_by(commit: Commit) -> Named:
    """Raises ValueError for metadata that no dispatcher wrote."""
    try:
        said = json.loads(commit.metadata)
        named = Named(said["snapshot"], said["fence"], UUID(said["log_id"]))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"no metadata of a checkpoint ({type(error).__name__})") from None
    if not (type(named.snapshot) is type(named.fence) is int):
        raise ValueError("no metadata of a checkpoint (its offsets are no numbers)")
    return named


class Appender(Protocol):
    """A Producer, or a Writer."""

    async def append(self, draft: Draft) -> int: ...


async def write_snapshot(producer: Appender, partition: int, snapshot_id: UUID, snapshot: Snapshot) -> int:
    """Append all its records, one after the other; the offset of the first. Raises AppendFailed."""
    place = Place(Topic.SNAPSHOTS, partition)
    headers = {
        "ce_type": b"hookline.Snapshot.v1",
        "snapshot": snapshot_id.bytes,
        "content-type": b"application/msgpack",
    }
    first = None
    for value in ChainPacker().pack(snapshot.chains.values(), snapshot.windows):
        offset = await producer.append(Draft(place, snapshot_id.bytes, value, headers))
        first = offset if first is None else first
    closing = Draft(place, snapshot_id.bytes, str(snapshot.clock).encode(), headers | {"last": b"1", **BROKERS_TIME})
    offset = await producer.append(closing)
    return offset if first is None else first


def clock_probe(partition: int) -> Draft:
    """A record that says nothing: what matters is its ack (`hookline.log.skew`). It goes with the snapshots below it."""
    return Draft(Place(Topic.SNAPSHOTS, partition), b"clock", b"{}", {"ce_type": b"hookline.ClockProbe.v1"})


async def committed(offsets: Offsets, partition: int, log_id: UUID) -> Checkpoint | None:
    """The checkpoint that the dispatcher's group committed for that partition; None where there is none (or it expired).

    Raises ForeignLog for a commit of another log_id, LogUnavailable.
    """
    commits = await offsets.committed(DISPATCHER_GROUP, logs_of(partition))
    if len(commits) < len(LOGS):
        return None
    try:
        named = named_by(commits[Place(Topic.PUSHES, partition)])
    except ValueError:
        raise ForeignLog(
            f"partition {partition}: the group's commit names no snapshot: another program wrote it (were offsets reset?);"
            " delete the group, and the partition is folded from the log's beginning"
        ) from None
    if named.log_id != log_id:
        raise ForeignLog(
            f"partition {partition}: the group's commit is of log {named.log_id}, the topics are of log {log_id};"
            " delete the group, or restore the topics that belong to it"
        )
    positions = Positions(*(commits[Place(topic, partition)].offset for topic in LOGS))
    return Checkpoint(positions, named.fence, named.snapshot, log_id)


async def read_checkpoint(
    cluster: Cluster,
    offsets: Offsets,
    partition: int,
    checkpoint: Checkpoint | None,
    *,
    keep_payload: bool = True,
    progress: Callable[[int], None] = lambda records: None,
) -> Restored:
    """The content of the snapshot that the checkpoint names; without a checkpoint the logs' first offsets and nothing.

    The same where the snapshot went with its topic, and where the logs do not reach to where the checkpoint was taken, as
    long as nothing was ever deleted: folded from their beginning they give all that there still is.
    progress: called with the number of snapshot records read so far.
    Raises SnapshotLost where there is no such snapshot, or the logs are not those that it was taken of; Undecodable,
    LogUnavailable.
    """
    starts = Positions.among(await offsets.starts(logs_of(partition)), partition)
    if checkpoint is not None and (lost := await _lost(offsets, partition, checkpoint, starts)):
        if any(starts):
            # Chains that only the snapshot has would be forgotten; and it holds what came of records that are gone.
            raise SnapshotLost(
                f"partition {partition}: {lost}: records were lost or deleted, or the topic was made anew. Restore the topics"
                f" from a backup. Or: {DELETE_GROUP}, and the partition is folded from what is there"
            )
        log.error("records were lost: folding the logs from their beginning", partition=partition, reason=lost)
        checkpoint = None
    if checkpoint is not None:
        end = (await offsets.ends([place := Place(Topic.SNAPSHOTS, partition)]))[place]
        if checkpoint.snapshot >= end and not any(starts):
            log.warning("the snapshot was lost with its topic: folding the logs from the start", partition=partition)
            checkpoint = None
    if checkpoint is None:
        # Where the log no longer begins at 0 (retention), the Fence in force at its first offset may be gone.
        return Restored(starts, -1 if starts.deliveries == 0 else None, None, {}, Repeats())
    unpacker, clock = ChainUnpacker(keep_payload=keep_payload), 0
    count = 0
    async for raw in _records(cluster, offsets, partition, checkpoint.snapshot):
        if isinstance(raw, DamagedBatch):
            raise SnapshotLost(f"snapshots[{partition}]@{raw.offset}: {raw.why}. {DELETE_GROUP}")
        try:
            if "last" in raw.headers:
                clock = int(raw.value or b"")
            else:
                unpacker.add(raw.value or b"")
        except ValueError as error:
            raise Undecodable(Topic.SNAPSHOTS, partition, raw.offset, str(error)) from error
        progress(count := count + 1)
    return Restored(
        checkpoint.positions, checkpoint.fence, checkpoint.snapshot, unpacker.chains, Repeats(unpacker.windows, clock)
    )


async def _lost(offsets: Offsets, partition: int, checkpoint: Checkpoint, starts: Positions) -> str:
    """Which log does not reach to where it was read, or begins behind that, in words; "" where none. Raises LogUnavailable.

    It is asked more than once: a leader that was deposed, and does not know it yet, answers with an end that is no more.
    """
    for left in reversed(range(TIMES_ASKED)):
        ends = Positions.among(await offsets.ends(logs_of(partition)), partition)
        wrong = [
            f"the group has read {topic} to {at}, and the log has {start} to {end}"
            for topic, at, start, end in zip(LOGS, checkpoint.positions, starts, ends, strict=True)
            if not start <= at <= end
        ]
        if not wrong:
            return ""
        if left:
            await asyncio.sleep(ASKED_AGAIN_S)
    return "; ".join(wrong)


async def _records(cluster: Cluster, offsets: Offsets, partition: int, first: int) -> AsyncIterator[RawRecord]:
    """The records of the snapshot that begins at `first`, to its last."""
    place = Place(Topic.SNAPSHOTS, partition)
    start, end = (await offsets.starts([place]))[place], (await offsets.ends([place]))[place]
    if not start <= first < end:
        raise SnapshotLost(
            f"snapshots[{partition}]@{first} is not in the log ({start} to {end}). Unless a dispatcher commits a newer one:"
            f" {DELETE_GROUP}"
        )
    consumer = await cluster.consumer()
    try:
        consumer.assign({place: first})
        snapshot_id, idle = None, 0
        while idle < IDLE_POLLS:
            try:
                records = (await consumer.poll(POLL_S)).get(place, ())
            except OffsetOutOfRange as error:
                raise SnapshotLost(f"snapshots[{partition}]@{first} was deleted in the meantime") from error
            idle = 0 if records else idle + 1
            for raw in records:
                if snapshot_id is None:
                    snapshot_id = raw.headers.get("snapshot")
                if raw.headers.get("snapshot") == snapshot_id or isinstance(raw, DamagedBatch):
                    yield raw
                    if "last" in raw.headers:
                        return
                if raw.next_offset >= end:
                    raise SnapshotLost(f"snapshots[{partition}]@{first} is not whole")
        raise LogUnavailable(f"snapshots[{partition}] gave no record")
    finally:
        await consumer.close()
