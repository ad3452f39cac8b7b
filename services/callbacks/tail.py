"""One partition as a replica of callbacks reads it: from the dispatcher's snapshot on, always behind the logs' ends by a little."""

import asyncio
from collections.abc import Callable

from hookline.chain.state import Chain
from hookline.errors import Unavailable, Undecodable
from hookline.log.causes import LostCause
from hookline.log.losses import until_sure
from hookline.log.reader import PartitionReader
from hookline.log.records import Positions, Topic
from hookline.log.skips import Skip
from hookline.log.snapshots import Restored
from services.callbacks.memory import EndedChains, PartitionMemory

__all__ = ["Tail"]

RECORDS_A_TURN = 200
"""Records folded before others get the event loop: a few ms."""
STOPPED_RETRY_S = 30
"""Retry-After of a stopped partition: someone must act first."""


class _Wait:
    """Someone waits until that topic was read to that offset."""

    def __init__(self, topic: Topic, offset: int) -> None:
        self.topic = topic
        self.offset = offset
        self.reached: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class Tail:
    """Restoring (no reader, then not yet at `goal`), current, or stopped: at a record that cannot be read, or because one
    waits for a cause that is lost (then it reads on, which is what brings the cause).

    Positions are those of what was folded, so whoever waits for one finds everything below it in `chain`.
    """

    def __init__(self, partition: int, hurry: Callable[[], None], in_doubt: Callable[[], bool]) -> None:
        """hurry: called when somebody begins to wait for what is not read. in_doubt: may a log have lost what was read of it?"""
        self.partition = partition
        self.reader: PartitionReader | None = None
        self.stopped: Undecodable | None = None
        self.lacks: LostCause | None = None
        self.lost: str | None = None
        """Why it has not begun: the snapshot that it should begin from is gone, and no newer one is committed yet."""
        self.current = False
        """Once True, True until a log loses records: behind or not, what it knows is a prefix that began at a snapshot."""
        self._memory: PartitionMemory | None = None
        self._snapshot_records = 0
        self._began = Positions()
        self._goal: Positions | None = None
        self._waits: set[_Wait] = set()
        self._hurry = hurry
        self._in_doubt = in_doubt

    @property
    def awaited(self) -> bool:
        """Does somebody wait for it to read on?"""
        return bool(self._waits)

    @property
    def stands(self) -> bool:
        """Is it stopped, for whatever reason?"""
        return self.stopped is not None or self.lacks is not None

    @property
    def positions(self) -> Positions:
        return self.reader.positions if self.reader is not None else Positions()

    # Restoring

    def snapshot_read(self, records: int) -> None:
        """So many records of the snapshot were read by now."""
        self._snapshot_records = records

    def begin(self, restored: Restored, ended: EndedChains) -> None:
        """Go on from a snapshot, or from the logs' beginning."""
        self.lost = None
        self._memory = PartitionMemory(restored, ended)
        self._began = restored.positions
        self.reader = PartitionReader(
            self.partition, restored.positions, restored.fence, deliveries_start=restored.positions.deliveries
        )

    def aim(self, ends: Positions) -> None:
        """It is current once it has read this far (a cause may lie past an end)."""
        self._goal = ends
        self._look()

    def progress(self) -> str:
        """How far it is, in words."""
        if self.stopped is not None:
            return f"stopped: {self.stopped}"
        if self.lacks is not None:
            return f"stopped: {self.lacks}"
        if self.current:
            return "current"
        if self.lost is not None:
            return f"waits for a newer snapshot: {self.lost}"
        if self.reader is None:
            return f"reading its snapshot, {self._snapshot_records} records so far"
        if self._goal is None:
            return "snapshot read"
        done, total = (sum(p) - sum(self._began) for p in (self.positions, self._goal))
        return f"{min(done, total)} of {total} events read"

    # Reading

    async def advance(self) -> None:
        """Fold all that the reader may hand out, a little at a time. Returns early where a record cannot be read."""
        assert self.reader is not None, "only a tail that has begun is fed"
        assert self._memory is not None, "it begins with both"
        count = 0
        try:
            for record, valid in self.reader.read():
                if valid:
                    self._memory.take(record)
                count += 1
                if count % RECORDS_A_TURN == 0:
                    self._look()
                    await asyncio.sleep(0)
        except Undecodable as error:
            self.stop(error)
        self._look()

    def stop(self, error: Undecodable) -> None:
        """This partition, and only this one, goes no further (design section 4, rule 7)."""
        self.stopped = error
        self._refuse_all()

    def go_on(self, skip: Skip) -> None:
        """Past the record that it stopped at, which an operator skipped."""
        assert self.reader is not None, "only a record of the logs can be skipped"
        self.reader.skip(skip)
        self.stopped = None

    def lack(self, lost: LostCause | None) -> None:
        """A record waits for that cause: stopped until it is there (None)."""
        self.lacks = lost
        if lost is not None:
            self._refuse_all()

    def lose(self) -> None:
        """A log has lost what was read of it: to begin anew, from a snapshot."""
        self.reader = self._memory = self._goal = None
        self.current, self._snapshot_records = False, 0
        self._refuse_all()

    def _refuse_all(self) -> None:
        for wait in self._waits:
            if not wait.reached.done():
                wait.reached.set_exception(self._refusal())

    def _look(self) -> None:
        """Wake those who waited for what is read now."""
        if self._goal is not None and not self.current:
            self.current = self.positions.reached(self._goal)
        positions = self.positions
        for wait in self._waits:
            if positions.of(wait.topic) >= wait.offset and not wait.reached.done():
                wait.reached.set_result(None)

    # What callbacks asks

    def chain(self, chain_id: str) -> Chain | None:
        return self._memory.chain(chain_id) if self._memory is not None else None

    def check(self) -> None:
        """Raises Unavailable while it is restoring, and while it is stopped."""
        if self.stands or not self.current:
            raise self._refusal()

    async def reach(self, topic: Topic, offset: int) -> None:
        """Wait until that topic is read to that offset, and is the log that was read: after its broker was away a position
        past that offset may be one in a log that is gone. Raises Unavailable when the partition stops or is lost meanwhile."""
        await until_sure(self._in_doubt, self.check)
        self.check()
        if self.positions.of(topic) >= offset:
            return
        wait = _Wait(topic, offset)
        self._waits.add(wait)
        self._hurry()
        try:
            await wait.reached
        finally:
            self._waits.discard(wait)

    def _refusal(self) -> Unavailable:
        # Not the words of progress(): they name topics and offsets, which are nothing to a receiver.
        if self.stands:
            return Unavailable("this part of the log cannot be read", retry_after_s=STOPPED_RETRY_S)
        return Unavailable("starting: the log is not read yet")
