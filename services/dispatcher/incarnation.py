"""One life of a partition's memory: restored from the group's commit under a token of ours, until something fails."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from hookline.chain.fold import PartitionFold
from hookline.chain.state import Chain
from hookline.errors import Fenced, LogTruncated
from hookline.log.reader import PartitionReader
from hookline.log.reader_status import ReaderStatus
from hookline.log.records import Positions, logs_of
from hookline.log.skips import Skip
from hookline.log.snapshots import committed, read_checkpoint
from services.dispatcher import metrics
from services.dispatcher.checkpoint import Checkpoints
from services.dispatcher.surroundings import Surroundings
from services.dispatcher.transport import Transport
from services.dispatcher.troubles import Troubles
from services.dispatcher.worker import Worker

__all__ = ["UNKNOWN", "Incarnation", "ends_now", "restored"]

UNKNOWN = Positions(*[2**63] * 4)
"""Ends that Kafka has not told yet: no reader has reached them."""


@dataclass
class Incarnation:
    """worker: under the token of its Fence. ends: how far it must read before it runs. Times are monotonic seconds."""

    worker: Worker
    checkpoints: Checkpoints
    ends: Positions
    began_at: float
    """When it began to restore, or to read on."""
    running_since: float = math.inf

    @property
    def reader(self) -> PartitionReader:
        return self.worker.reader

    def ran_s(self, now: float) -> float:
        """How long it has been RUNNING; 0 where it never was."""
        return max(0.0, now - self.running_since)


async def restored(
    number: int,
    token: int,
    transport: Transport,
    around: Surroundings,
    skips: Iterable[Skip],
    status: ReaderStatus,
    fail: Callable[[Exception], None],
) -> Incarnation:
    """Of that partition, from the group's commit, whose Fence lies below our token; status: told how far it is.

    Raises Fenced, ForeignLog, LogTruncated, SnapshotLost, Undecodable, LogUnavailable.
    """
    began_at = around.clock.monotonic()
    checkpoint = await committed(transport.offsets, number, transport.log_id)
    if checkpoint is not None and checkpoint.fence > token:
        raise Fenced(f"partition {number}: the commit names fence {checkpoint.fence}, above our token {token}")
    status.restoring("reading its snapshot")

    def progress(records: int) -> None:
        status.restoring(f"reading its snapshot: {records} records")

    found = await read_checkpoint(transport.cluster, transport.offsets, number, checkpoint, progress=progress)
    reader = PartitionReader(number, found.positions, found.fence, found.positions.deliveries, skips)
    # A deposed leader may answer with old ends. `deliveries` is read to our own Fence all the same, and so is all that workers
    # before us decided; what is missed of the others is read later, as what comes in is (docs/design.md section 4, rule 4).
    ends = await ends_now(transport, reader, token)
    troubles = Troubles(number)
    fold = PartitionFold(found.chains.values(), found.repeats, on_end=_count_end, on_misfit=troubles.misfit)
    worker = Worker(token, reader, fold, around, troubles, fail)
    checkpoints = Checkpoints(
        number, transport.writer, transport.offsets, transport.commit, transport.log_id, worker, around.clock, fail,
        previous=found.snapshot, min_events=transport.checkpoint_events,
    )  # fmt: skip
    return Incarnation(worker, checkpoints, ends, began_at)


async def ends_now(transport: Transport, reader: PartitionReader, token: int) -> Positions:
    """That of `deliveries` past the Fence of that token, at least.

    Raises LogTruncated where that reader has read further: it would count as there, and is in another log.
    """
    at, number = reader.positions, reader.partition
    ends = Positions.among(await transport.offsets.ends(logs_of(number)), number)
    if (topic := at.beyond(ends)) is not None:
        raise LogTruncated(topic, number, at.of(topic), f"the log ends at {ends.of(topic)}")
    return ends._replace(deliveries=max(ends.deliveries, token + 1))


def _count_end(chain: Chain) -> None:
    assert chain.ending is not None
    metrics.ENDED.labels(chain.ending.reason or "completed").inc()
