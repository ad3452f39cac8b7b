"""A TCP proxy before a broker that knows where a Kafka frame begins, so that a test can hold one kind of answer.

Protocol: each request is a length, then api key, api version and correlation id; each answer a length, then that
correlation id. An answer that is held holds all that come behind it on its connection, as a network would.
"""

import asyncio
import contextlib
import struct
from collections.abc import Callable
from enum import IntEnum

__all__ = ["Api", "Hold", "KafkaProxy"]


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


class KafkaProxy:
    """Listens on loopback; `port` is what the broker must advertise for the listener at `target`."""

    def __init__(self, port: int, target: int) -> None:
        self.port = port
        self._target = target
        self._holds: list[Hold] = []
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def stop(self) -> None:
        for hold in self._holds:
            hold.release()
        if self._server is not None:
            self._server.close()
        for task in set(self._tasks):
            task.cancel()

    def hold(self, api: Api, matches: Callable[[bytes], bool] = lambda request: True) -> Hold:
        """From now on hold the answers to these requests."""
        hold = Hold(api, matches)
        self._holds.append(hold)
        return hold

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            from_broker, to_broker = await asyncio.open_connection("127.0.0.1", self._target)
            asked: dict[int, bytes] = {}
            pumps = {
                asyncio.create_task(_requests(reader, to_broker, asked)),
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
            for hold in self._holds:
                if struct.unpack_from(">h", request)[0] == hold.api and hold.matches(request):
                    await hold.wait()
            writer.write(struct.pack(">i", len(frame)) + frame)
            await writer.drain()


async def _requests(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: dict[int, bytes]) -> None:
    while True:
        frame = await _frame(reader)
        asked[struct.unpack_from(">i", frame, 4)[0]] = frame
        writer.write(struct.pack(">i", len(frame)) + frame)
        await writer.drain()


async def _frame(reader: asyncio.StreamReader) -> bytes:
    (length,) = struct.unpack(">i", await reader.readexactly(4))
    return await reader.readexactly(length)
