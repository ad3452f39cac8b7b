"""A TCP proxy before a broker that knows where a Kafka frame begins, so that a test can hold one kind of answer, or cut it off.

Protocol: each request is a length, then api key, api version and correlation id; each answer a length, then that
correlation id. An answer that is held holds all that come behind it on its connection, as a network would.
"""

import asyncio
import contextlib
import struct
from collections.abc import Callable
from enum import IntEnum, StrEnum

__all__ = ["Api", "Cut", "Hold", "KafkaProxy", "Moment"]


class Api(IntEnum):
    """The Kafka api keys that tests hold."""

    PRODUCE = 0
    FETCH = 1
    LIST_OFFSETS = 2
    OFFSET_COMMIT = 8


class Hold:
    """Holds the answers to requests of one kind until `release`. `held` is set once one waits."""

    def __init__(self, api: Api, matches: Callable[[bytes], bool]) -> None:
        self.api = api
        self.matches = matches
        """Is given the request, whose topic names stand in it as text."""
        self.held = asyncio.Event()
        self._released = asyncio.Event()

    def release(self) -> None:
        self._released.set()

    async def wait(self) -> None:
        self.held.set()
        await self._released.wait()


class Moment(StrEnum):
    """When a connection is cut."""

    MID_REQUEST = "half of the request has gone through"
    BEFORE_ANSWER = "the broker has answered, and nobody hears it"


class Cut:
    """Cuts the connection of the first request of one kind. `done` is set once it has."""

    def __init__(self, api: Api, moment: Moment, matches: Callable[[bytes], bool]) -> None:
        self.done = asyncio.Event()
        self._api = api
        self._moment = moment
        self._matches = matches

    def now(self, moment: Moment, request: bytes) -> bool:
        """Is it to be cut here? Once only."""
        fits = moment is self._moment and struct.unpack_from(">h", request)[0] == self._api and self._matches(request)
        if self.done.is_set() or not fits:
            return False
        self.done.set()
        return True


class KafkaProxy:
    """Listens on loopback; `port` is what the broker must advertise for the listener at `target`."""

    def __init__(self, port: int, target: int) -> None:
        self.port = port
        self._target = target
        self._holds: list[Hold] = []
        self._cuts: list[Cut] = []
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def stop(self) -> None:
        self.release()
        if self._server is not None:
            self._server.close()
        for task in set(self._tasks):
            task.cancel()

    def hold(self, api: Api, matches: Callable[[bytes], bool] = lambda request: True) -> Hold:
        """From now on hold the answers to these requests."""
        hold = Hold(api, matches)
        self._holds.append(hold)
        return hold

    def cut(self, api: Api, moment: Moment, matches: Callable[[bytes], bool] = lambda request: True) -> Cut:
        """Cut the connection of the next of these requests."""
        cut = Cut(api, moment, matches)
        self._cuts.append(cut)
        return cut

    def _cut_now(self, moment: Moment, request: bytes) -> bool:
        return any(cut.now(moment, request) for cut in self._cuts)

    def release(self) -> None:
        """Hold and cut nothing any more."""
        for hold in self._holds:
            hold.release()
        self._holds.clear()
        self._cuts.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            from_broker, to_broker = await asyncio.open_connection("127.0.0.1", self._target)
            asked: dict[int, bytes] = {}
            pumps = {
                asyncio.create_task(self._requests(reader, to_broker, asked)),
                asyncio.create_task(self._answers(from_broker, writer, asked)),
            }
            self._tasks |= pumps
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in pumps:
                pump.cancel()
            self._tasks -= pumps
            to_broker.close()
        writer.close()

    async def _answers(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: dict[int, bytes]
    ) -> None:
        while True:
            frame = await _frame(reader)
            request = asked.pop(struct.unpack_from(">i", frame)[0], b"\xff\xff")
            for hold in list(self._holds):
                if struct.unpack_from(">h", request)[0] == hold.api and hold.matches(request):
                    await hold.wait()
            if self._cut_now(Moment.BEFORE_ANSWER, request):
                return
            writer.write(struct.pack(">i", len(frame)) + frame)
            await writer.drain()

    async def _requests(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: dict[int, bytes]
    ) -> None:
        while True:
            frame = await _frame(reader)
            whole = struct.pack(">i", len(frame)) + frame
            if self._cut_now(Moment.MID_REQUEST, frame):
                writer.write(whole[: len(whole) // 2])
                await writer.drain()
                return
            asked[struct.unpack_from(">i", frame, 4)[0]] = frame
            writer.write(whole)
            await writer.drain()


async def _frame(reader: asyncio.StreamReader) -> bytes:
    (length,) = struct.unpack(">i", await reader.readexactly(4))
    return await reader.readexactly(length)
