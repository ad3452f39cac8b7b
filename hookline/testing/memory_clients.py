"""Producer, consumer and offsets of the in-memory cluster."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from hookline.errors import AppendFailed, LogUnavailable, OffsetOutOfRange, RecordTooLarge
from hookline.log.cluster import Ack, Commit
from hookline.log.records import MAX_RECORD_BYTES, Draft, Place, RawRecord
from hookline.testing.faults import AppendFate
from hookline.testing.memory_broker import MemoryBroker, turns

__all__ = ["MemoryConsumer", "MemoryOffsets", "MemoryPlaceReader", "MemoryProducer"]

Answer = TypeVar("Answer")

POLL_RECORDS = 1_000
"""Most records of one place that one poll delivers."""


class _Sending:
    """One append under way."""

    def __init__(self, draft: Draft, fate: AppendFate) -> None:
        self.draft = draft
        self.fate = fate
        self.ack: asyncio.Future[Ack] = asyncio.get_running_loop().create_future()

    def fail(self, error: AppendFailed) -> None:
        if not self.ack.done():
            self.ack.set_exception(error)
            self.ack.exception()  # seen: its caller may be gone


class MemoryProducer:
    """Appends land in order per place; what was under way when it broke may still land, in order, or is cut off."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker
        self._lines: dict[Place, list[_Sending]] = {}
        """What has not landed, in order."""
        self._unacked: dict[_Sending, None] = {}  # in order: the same seed, the same run
        self._broken = False

    @property
    def broken(self) -> bool:
        return self._broken

    async def append(self, draft: Draft) -> int:
        """Raises AppendFailed."""
        return (await self.send(draft)).offset

    async def send(self, draft: Draft) -> Ack:
        """Raises AppendFailed."""
        if self._broken:
            raise AppendFailed("this producer failed before")
        if (size := len(draft.value or b"")) > MAX_RECORD_BYTES:
            raise RecordTooLarge(f"{draft.place.topic} does not take a record of {size} bytes")
        if not self._broker.has(draft.place):
            self._break("no such place")
            raise AppendFailed(f"{draft.place.topic}[{draft.place.partition}]: no such place")
        sending = _Sending(draft, self._broker.faults.append())
        line = self._lines.setdefault(draft.place, [])
        line.append(sending)
        self._unacked[sending] = None
        sending.ack.add_done_callback(lambda _: self._unacked.pop(sending, None))
        if len(line) == 1:
            self._broker.later(self._land(line))
        if sending.fate.gives_up_after is not None:
            self._broker.later(self._give_up(sending.fate.gives_up_after))
        return await asyncio.shield(sending.ack)

    async def close(self) -> None:
        self._break("closed")

    async def _land(self, line: list[_Sending]) -> None:
        """Land what stands in line, one after the other."""
        while line:
            sending = line[0]
            await turns(sending.fate.lands_after or 0)
            if sending.fate.lands_after is None or self._broker.down:
                line.clear()  # an idempotent producer: nothing lands behind a record that did not
                self._break("refused")
            elif line and line[0] is sending:
                del line[0]
                if (refusal := self._broker.refusal(sending.draft)) is not None:
                    sending.fail(refusal)  # what stands behind it lands all the same
                    continue
                offset = self._broker.append(sending.draft)
                if sending.fate.gives_up_after is None and not sending.ack.done():
                    sending.ack.set_result(
                        Ack(offset, self._broker.records(sending.draft.place, offset, 1)[0].timestamp)
                    )

    async def _give_up(self, after: int) -> None:
        await turns(after)
        self._break("no ack in time")

    def _break(self, why: str) -> None:
        """Fail all that is not acked. What is still in line lands later, up to a point that the faults choose."""
        if self._broken:
            return
        self._broken = True
        for sending in self._unacked:
            sending.fail(AppendFailed(why))
        for line in self._lines.values():
            kept = 0
            while kept < len(line) and self._broker.faults.survives():
                kept += 1
            del line[kept:]


class MemoryPlaceReader:
    """Reads the places that are assigned to it, from where it is told."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker
        self._positions: dict[Place, int] = {}
        self._failed: set[Place] = set()
        """Read no further, until they are sought."""
        self._cuts: dict[Place, int] = {}
        """How often a place was truncated before it was read here."""
        self._paused: set[Place] = set()
        self._changed = asyncio.Event()
        self._closed = False
        self._stalled = False
        broker.watch(self._changed.set)

    def seek(self, place: Place, offset: int) -> None:
        if place in self._positions:
            self._begin(place, offset)
            self._positions[place] = offset
            self._changed.set()

    def pause(self, place: Place) -> None:
        if place in self._positions:
            self._paused.add(place)

    def resume(self, place: Place) -> None:
        self._paused.discard(place)
        self._changed.set()

    def _begin(self, place: Place, offset: int) -> None:
        """Where it goes on from where it was, it must still be that log."""
        self._failed.discard(place)
        if (self._positions.get(place) != offset or place not in self._cuts) and self._broker.has(place):
            self._cuts[place] = self._broker.known_cuts.get((place, offset), self._broker.cuts(place))

    def _remember(self) -> None:
        for place, offset in self._positions.items():
            if place in self._cuts:
                self._broker.known_cuts[place, offset] = self._cuts[place]

    async def poll(self, timeout_s: float) -> Mapping[Place, Sequence[RawRecord]]:
        """Raises LogUnavailable, OffsetOutOfRange."""
        await asyncio.sleep(0)
        while self._stalled:
            await asyncio.Event().wait()
        self._changed.clear()
        if fetched := self._fetch():
            return fetched
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not fetched:
                    await self._changed.wait()
                    await asyncio.sleep(0)
                    self._changed.clear()
                    fetched = self._fetch()
        return fetched

    def stall(self) -> None:
        """For tests: from now on no poll returns, as in a process that is stopped."""
        self._stalled = True

    async def close(self) -> None:
        self._closed = True
        self._remember()
        self._broker.unwatch(self._changed.set)

    def _fetch(self) -> dict[Place, Sequence[RawRecord]]:
        if self._closed:
            raise LogUnavailable("this consumer is closed")
        fetched: dict[Place, Sequence[RawRecord]] = {}
        self._check()
        for place, position in self._positions.items():
            if not self._is_read(place):
                continue
            records = self._broker.records(place, position, POLL_RECORDS)
            handed_out = records[: self._broker.faults.fetched(len(records))]
            if handed_out:
                fetched[place] = handed_out
                self._positions[place] = handed_out[-1].next_offset
            elif records:
                self._changed.set()  # held back: look again
        return fetched

    def _check(self) -> None:
        """Raises the error of a place, once, before anything of others is taken."""
        for place, position in self._positions.items():
            if self._is_read(place):
                known, self._cuts[place] = self._cuts[place], self._broker.cuts(place)
                try:
                    self._broker.check_cuts(place, known, position)
                    self._broker.records(place, position, 1)
                except OffsetOutOfRange:
                    self._failed.add(place)
                    self._broker.known_cuts.pop((place, position), None)
                    raise

    def _is_read(self, place: Place) -> bool:
        is_sought = self._positions[place] >= 0
        return is_sought and place not in self._paused and place not in self._failed and not self._broker.down


class MemoryConsumer(MemoryPlaceReader):
    """Reads what it is told to."""

    def assign(self, positions: Mapping[Place, int]) -> None:
        self._remember()
        for place, offset in positions.items():
            self._begin(place, offset)
        self._positions = dict(positions)
        self._paused.clear()
        self._changed.set()

    def in_doubt(self, place: Place) -> bool:
        return place in self._positions and self._broker.cuts(place) != self._cuts.get(place, 0)

    def hurry(self) -> None:
        """It never gathers."""


class MemoryOffsets:
    """Offsets and commits, each answer a moment after its question."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker

    async def starts(self, places: Iterable[Place]) -> dict[Place, int]:
        """Raises LogUnavailable."""
        return await self._ask(lambda: {place: self._broker.start(place) for place in places})

    async def ends(self, places: Iterable[Place]) -> dict[Place, int]:
        """Raises LogUnavailable."""
        return await self._ask(lambda: {place: self._end(place) for place in places})

    def _end(self, place: Place) -> int:
        return self._broker.faults.end(self._broker.start(place), self._broker.end(place))

    async def committed(self, group: str, places: Iterable[Place]) -> dict[Place, Commit]:
        """Raises LogUnavailable."""
        commits = self._broker.membership(group).commits
        return await self._ask(lambda: {place: commits[place] for place in places if place in commits})

    async def delete_below(self, place: Place, offset: int) -> None:
        """Raises LogUnavailable."""
        await self._ask(lambda: self._broker.delete_below(place, offset))

    async def close(self) -> None: ...

    async def _ask(self, serve: Callable[[], Answer]) -> Answer:
        fate = self._broker.faults.read()
        await turns(fate.before)
        await self._broker.reach()
        answer = serve()
        await turns(fate.after)
        if not fate.answered:
            raise LogUnavailable("no answer")
        return answer
