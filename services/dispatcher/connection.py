"""One connection to a receiver: a request goes out in one write, and its answer is read; then perhaps another."""

import asyncio
from typing import NamedTuple, cast

from services.dispatcher.answer_reader import AnswerReader

__all__ = ["Connection", "Exchange"]


class Exchange(NamedTuple):
    """What came back of one request. `error`: how the connection ended, where it did not simply end."""

    answer: AnswerReader
    error: Exception | None


class Connection(asyncio.Protocol):
    """HTTP/1.1, one request at a time."""

    def __init__(self) -> None:
        self.answer = AnswerReader()
        """Of the last request, as far as it has come; it may be looked at when an exchange was given up."""
        self.is_open = False
        self._transport: asyncio.Transport
        self._answered: asyncio.Future[None] | None = None
        self._error: Exception | None = None
        self._fault: Exception | None = None

    async def exchange(self, request: bytes) -> Exchange:
        """Send it, and read its answer as far as anybody wants it. Cancel it, and close, to give up.

        Raises what reading raised, by a fault of ours, where no status had come.
        """
        self.answer = AnswerReader()
        if self.is_open:
            self._answered = asyncio.get_running_loop().create_future()
            self._transport.write(request)
            await self._answered
        if self._fault is not None and self.answer.status is None:
            raise self._fault
        return Exchange(self.answer, self._error)

    def close(self) -> None:
        """At once: what is not sent is dropped, and nothing of an answer is read any more."""
        self.is_open = False
        self._transport.abort()

    # ---- called by its transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        try:
            self.answer.feed(data)
        except Exception as error:  # noqa: BLE001 - else a transport would only log it, and the hook wait for its timeout
            self._fault = error
            self.close()
            self._release()
            return
        if self._answered is None:
            self.close()  # nobody asked: what comes next could be taken for an answer
        elif self.answer.done:
            self._release()

    def eof_received(self) -> None:
        """They send no more. Nothing is sent into a connection that ends: its transport closes it."""
        self._ended()

    def connection_lost(self, exc: Exception | None) -> None:
        self._error = exc
        self._ended()

    def _ended(self) -> None:
        self.is_open = False
        self.answer.end()
        self._release()

    def _release(self) -> None:
        answered, self._answered = self._answered, None
        if answered is not None and not answered.done():
            answered.set_result(None)
