"""One partition as callbacks knows it: chains, and who waits until something was read (`hookline.log.reader_interface.Taker`)."""

import asyncio
from collections.abc import Callable

from hookline.chain.state import Chain
from hookline.errors import Unavailable, Undecodable
from hookline.log.losses import until_sure
from hookline.log.reader import PartitionReader, Read
from hookline.log.reader_status import ReaderStatus
from hookline.log.records import Positions, Topic
from hookline.log.snapshots import Restored
from services.callbacks.replica_memory import EndedChains, PartitionMemory

__all__ = ["Tail"]

STOPPED_RETRY_S = 30
"""Retry-After of a stopped partition: someone must act first."""


class _Wait:
    """Someone waits until that topic was read to that offset."""

    def __init__(self, topic: Topic, offset: int) -> None:
        self.topic = topic
        self.offset = offset
        self.reached: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class Tail:
    """Positions are those of what was folded, so whoever waits for one finds everything below it in `chain`."""

    def __init__(
        self, status: ReaderStatus, ended: EndedChains, hurry: Callable[[], None], in_doubt: Callable[[], bool]
    ) -> None:
        """hurry: called when somebody begins to wait for what is not read. in_doubt: may a log have lost what was read of it?"""
        assert status.partition is not None, "a tail is one partition's"
        self.partition = status.partition
        self._status = status
        self._ended = ended
        self._reader: PartitionReader | None = None
        self._memory: PartitionMemory | None = None
        self._waits: set[_Wait] = set()
        self._hurry = hurry
        self._in_doubt = in_doubt

    @property
    def current(self) -> bool:
        """Once True, True until a log loses records: behind or not, what it knows is a prefix that began at a snapshot."""
        return self._status.is_current

    @property
    def stopped(self) -> Undecodable | None:
        return self._status.stopped

    @property
    def awaited(self) -> bool:
        """Does somebody wait for it to read on?"""
        return bool(self._waits)

    @property
    def positions(self) -> Positions:
        return self._reader.positions if self._reader is not None else Positions()

    def progress(self) -> str:
        """How far it is, in words."""
        return str(self._status)

    # Taker

    def begin(self, restored: Restored, reader: PartitionReader) -> None:
        self._memory, self._reader = PartitionMemory(restored, self._ended), reader

    def take(self, read: Read) -> None:
        assert self._memory is not None, "it has begun"
        if read.valid:
            self._memory.take(read.record)

    def moved(self) -> None:
        """Answer those who waited for what is read now, or who would wait in vain."""
        refusal = self._refusal() if self._status.halt is not None or not self.current else None
        positions = self.positions
        for wait in self._waits:
            if wait.reached.done():
                continue
            if refusal is not None:
                wait.reached.set_exception(refusal)
            elif positions.of(wait.topic) >= wait.offset:
                wait.reached.set_result(None)

    def lose(self) -> None:
        self._memory = self._reader = None

    # What callbacks asks

    def chain(self, chain_id: str) -> Chain | None:
        return self._memory.chain(chain_id) if self._memory is not None else None

    def check(self) -> None:
        """Raises Unavailable while it is restoring, and while it is stopped."""
        if self._status.halt is not None or not self.current:
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
        if self._status.halt is not None:
            return Unavailable("this part of the log cannot be read", retry_after_s=STOPPED_RETRY_S)
        return Unavailable("starting: the log is not read yet")
