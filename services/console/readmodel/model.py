"""The writing side of the read model: synchronous, for one thread, one transaction a batch with the positions in it.

Its memory is what the database says: after any failure it is thrown away and `open` loads it anew.
"""

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import TypeAlias
from uuid import UUID

import structlog
from sqlalchemy import Connection

from hookline.errors import ForeignLog, RowRefused
from hookline.log.reader import PartitionReader, Read
from hookline.log.records import LOGS, Positions, Topic
from services.console.metrics import BATCH_SECONDS, RECORDS
from services.console.readmodel.database import (
    REBUILD_COMMAND,
    Database,
    WriterLock,
    note_lost,
    prepare,
    rebuild_asked,
    refusals,
)
from services.console.readmodel.projection import PartitionProjection
from services.console.readmodel.rows import Rows, Saved, SetAside
from services.console.readmodel.store import (
    load_chains,
    load_positions,
    load_saved,
    load_set_aside,
    move_to,
    save_rows,
    save_set_aside,
    start_at,
)

__all__ = ["BATCH", "NAMED", "ReadModel", "check_partitions", "check_positions"]

log = structlog.get_logger()

Work: TypeAlias = Sequence[tuple[PartitionProjection, Sequence[Read]]]

BATCH = 5_000
"""Most records of one transaction."""
NONE_KNOWN: Mapping[Topic, UUID] = {}
NAMED = 20
"""Records that were set aside, of those that readiness names; all are counted."""
CHAINS_HELD = 20_000
"""Chains in memory over all partitions; others are folded anew from their rows when something happens to them."""


class ReadModel:
    """`projections` by partition, from `open` on."""

    def __init__(self, database: Database, chains_held: int = CHAINS_HELD) -> None:
        self.projections: dict[int, PartitionProjection] = {}
        self.last_timestamp = 0
        """Kafka's timestamp (Unix ms) of the last record of the last batch."""
        self.set_aside: tuple[int, tuple[SetAside, ...]] = 0, ()
        """How many records the database did not take, and the first of them."""
        self._database = database
        self._chains_held = chains_held
        self._lock: WriterLock | None = None

    def lock(self) -> bool:
        """Become the only writer; False while another process is. Raises Unavailable."""
        self._lock = self._lock or self._database.try_lock()
        return self._lock is not None

    def open(
        self,
        log_id: UUID,
        starts: Mapping[int, Positions],
        ends: Mapping[int, Positions],
        topics: Mapping[Topic, UUID] = NONE_KNOWN,
    ) -> None:
        """Load where the database stands. starts, ends: first and end offsets of each partition's logs; topics: their ids.

        Raises ForeignLog when it was filled from other logs than these, Unavailable.
        """
        with self._database.write(self._lock) as connection:
            prepare(connection, log_id, topics)
            saved = load_saved(connection)
            if not saved:
                saved = {p: Saved(p, Positions(), -1, 0, {}) for p in starts}
                start_at(connection, saved.values())
            self.set_aside = load_set_aside(connection, NAMED)
        at = {p: s.positions for p, s in saved.items()}
        check_partitions(at, ends)
        try:
            check_positions(at, ends)
        except ForeignLog as error:
            # By the next start the log may have grown to there, with other records. A leader that was deposed and does not know
            # it tells an old end, too: then this asks for a rebuild that was not needed, and shows nothing that is wrong.
            self.lose(str(error))
            raise
        held = max(1, self._chains_held // len(saved))
        self.projections = {
            s.partition: PartitionProjection(s, _reader(s, starts[s.partition]), held) for s in saved.values()
        }

    def project(self, partitions: Collection[int]) -> int:
        """Fold and write at most one batch of what those partitions' readers were offered; the number of records.

        A record that the database does not take is set aside, by itself. Raises Unavailable: then nothing of it is in the database (or, where the commit had no answer, all of it).
        """
        left, work = BATCH, []
        for partition in partitions:
            projection = self.projections[partition]
            if left and projection.stopped is None and (reads := projection.take(left)):
                left -= len(reads)
                work.append((projection, reads))
        if not work:
            return 0
        with BATCH_SECONDS.time():
            try:
                self._write(work)
            except RowRefused:
                self._write_each(work)
        for projection, reads in work:
            projection.let_go()
            self.last_timestamp = reads[-1].record.timestamp
        RECORDS.inc(BATCH - left)
        return BATCH - left

    def _write(self, work: Work) -> None:
        """Raises RowRefused: then memory is not what the database says."""
        with self._database.write(self._lock) as connection:
            missing = [projection.missing(reads) for projection, reads in work]
            found = load_chains(connection, set().union(*missing))
            rows = Rows()
            for (projection, reads), ids in zip(work, missing, strict=True):
                projection.hold(found, ids)
                projection.project(reads, rows)
            save_rows(connection, rows)
            move_to(connection, [projection for projection, _ in work])

    def _write_each(self, work: Work) -> None:
        """The same in small: to find the records that the database does not take, and to go on without them."""
        refused: list[SetAside] = []
        with self._database.write(self._lock) as connection:
            saved = load_saved(connection)
            for projection, reads in work:
                projection.remember(saved[projection.reader.partition])
                ids = projection.missing(reads)
                projection.hold(load_chains(connection, ids), ids)
                refused += projection.project_each(reads, partial(_write_alone, connection))
            save_set_aside(connection, refused)
            move_to(connection, [projection for projection, _ in work])
            self.set_aside = load_set_aside(connection, NAMED)
        for record in refused:
            log.error(
                "record set aside",
                topic=record.topic,
                partition=record.partition,
                offset=record.offset,
                reason=record.reason,
            )

    def positions(self) -> dict[int, Positions]:
        """As they are in the database, whoever writes it. Raises Unavailable."""
        with self._database.read() as connection:
            return load_positions(connection)

    def look_at_set_aside(self) -> None:
        """As they are in the database, whoever writes it. Raises Unavailable."""
        with self._database.read() as connection:
            self.set_aside = load_set_aside(connection, NAMED)

    def rebuild_asked(self) -> bool:
        """Did someone ask for the read model to be dropped? Raises Unavailable."""
        with self._database.read() as connection:
            return rebuild_asked(connection)

    def lose(self, words: str) -> None:
        """A log has lost what was read of it. Raises Unavailable."""
        with self._database.write(self._lock) as connection:
            note_lost(connection, words)

    def release(self) -> None:
        """Let another process write."""
        if self._lock is not None:
            self._lock.release()
        self._lock = None


def check_partitions(at: Mapping[int, Positions], ends: Mapping[int, Positions]) -> None:
    """Raises ForeignLog where the database has others than the topics. Both by partition."""
    if at.keys() != ends.keys():
        raise ForeignLog(
            f"the console's database has {len(at)} partitions, the topics have {len(ends)}. Rebuild it: {REBUILD_COMMAND}"
        )


def check_positions(at: Mapping[int, Positions], ends: Mapping[int, Positions]) -> None:
    """Raises ForeignLog where the database has read further than the logs reach. Both by partition."""
    for partition, positions in at.items():
        for topic in LOGS:
            if positions.of(topic) > ends[partition].of(topic):
                raise ForeignLog(
                    f"the console's database has read {topic}[{partition}] to {positions.of(topic)}, which ends at"
                    f" {ends[partition].of(topic)}: records were lost there. Rebuild it: {REBUILD_COMMAND}"
                )


def _write_alone(connection: Connection, rows: Rows) -> None:
    """Raises RowRefused: then nothing of it is in the transaction."""
    with refusals(), connection.begin_nested():
        save_rows(connection, rows)


def _reader(saved: Saved, start: Positions) -> PartitionReader:
    """Where records were deleted below a log's first offset, reading begins there."""
    fence = saved.fence if start.deliveries <= saved.positions.deliveries else None
    positions = Positions(*map(max, saved.positions, start))
    return PartitionReader(saved.partition, positions, fence, start.deliveries)
