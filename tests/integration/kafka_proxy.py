"""A TCP proxy before a broker that knows where a Kafka frame begins, so that a test can hold one kind of answer, cut it off,
or hold, delay or refuse all that goes one way.

Protocol: each request is a length, then api key, api version and correlation id; each answer a length, then that
correlation id. An answer that is held holds all that come behind it on its connection, as a network would.
"""

import asyncio
import contextlib
import struct
from collections.abc import Callable
from enum import IntEnum, StrEnum

__all__ = ["Api", "Cut", "Hold", "KafkaProxy", "Manner", "Moment", "Trouble", "Way"]


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


class Way(StrEnum):
    """A direction, as seen from the client."""

    REQUESTS = "requests"
    ANSWERS = "answers"


class Manner(StrEnum):
    """What becomes of all that goes one way."""

    HOLD = "hold"
    """Nothing goes on until it is lifted; then all does, even where its client has given up."""
    DELAY = "delay"
    """Each frame goes on some time later, and what is behind it after it: a slow line."""
    REFUSE = "refuse"
    """The connection is cut. Of requests: before the broker has any of it, and none is taken; of answers: when the broker has done it."""


class Trouble:
    """What a proxy does to all that goes one way, until `lift`. `frames` and `size` count what met it."""

    def __init__(self, way: Way, manner: Manner, delay_s: float = 0.0) -> None:
        self.way = way
        self.manner = manner
        self.frames = 0
        self.size = 0
        self._delay_s = delay_s
        self._lifted = asyncio.Event()

    def lift(self) -> None:
        self._lifted.set()

    @property
    def refuses_connections(self) -> bool:
        return self.manner is Manner.REFUSE and self.way is Way.REQUESTS and not self._lifted.is_set()

    async def passes(self, way: Way, size: int) -> bool:
        """Return when it may go on: true; or false: its connection is to be cut."""
        if way is not self.way or self._lifted.is_set():
            return True
        self.frames += 1
        self.size += size
        match self.manner:
            case Manner.HOLD:
                await self._lifted.wait()
            case Manner.DELAY:
                await asyncio.sleep(self._delay_s)
            case Manner.REFUSE:
                return False
        return True


class KafkaProxy:
    """Listens on loopback; `port` is what the broker must advertise for the listener at `target`."""

    def __init__(self, port: int, target: int) -> None:
        self.port = port
        self.target = target
        self._holds: list[Hold] = []
        self._cuts: list[Cut] = []
        self._troubles: list[Trouble] = []
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

    def disturb(self, trouble: Trouble) -> None:
        """From now on all that goes through meets it, until it is lifted. Proxies may share one."""
        self._troubles.append(trouble)

    def _cut_now(self, moment: Moment, request: bytes) -> bool:
        return any(cut.now(moment, request) for cut in self._cuts)

    def release(self) -> None:
        """Hold, cut and disturb nothing any more."""
        for hold in self._holds:
            hold.release()
        for trouble in self._troubles:
            trouble.lift()
        self._holds.clear()
        self._troubles.clear()
        self._cuts.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if any(trouble.refuses_connections for trouble in self._troubles):
            writer.transport.abort()
            return
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            from_broker, to_broker = await asyncio.open_connection("127.0.0.1", self.target)
            asked: dict[int, bytes] = {}
            pumps = {
                asyncio.create_task(self._requests(reader, to_broker, asked)),
                asyncio.create_task(self._answers(from_broker, writer, asked)),
            }
            self._tasks |= pumps
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(
                *pumps, return_exceptions=True
            )  # else each broken connection is told on standard error
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
            if self._cut_now(Moment.BEFORE_ANSWER, request) or not await self._passes(Way.ANSWERS, frame):
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
            if not await self._passes(Way.REQUESTS, frame):
                return
            asked[struct.unpack_from(">i", frame, 4)[0]] = frame
            writer.write(whole)
            await writer.drain()

    async def _passes(self, way: Way, frame: bytes) -> bool:
        for trouble in list(self._troubles):
            if not await trouble.passes(way, len(frame)):
                return False
        return True


async def _frame(reader: asyncio.StreamReader) -> bytes:
    (length,) = struct.unpack(">i", await reader.readexactly(4))
    return await reader.readexactly(length)
