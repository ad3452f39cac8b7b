"""Connections without a network: what a receiver says comes at once, in the pieces that a test cuts it into."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from hookline.web.hook_url import HookUrl
from services.dispatcher.connection import Connection
from services.dispatcher.dialer import Progress

__all__ = ["InstantDial"]

Say = Callable[[HookUrl, bytes], Sequence[bytes]]


class InstantDial:
    """A `services.dispatcher.dialer.Dial`. `say(url, request)`: pieces of the answer; behind the last one it closes."""

    def __init__(self, say: Say) -> None:
        self.say = say
        self.dialled: list[HookUrl] = []

    async def __call__(self, url: HookUrl, progress: Progress) -> Connection:
        self.dialled.append(url)
        connection = Connection()
        connection.connection_made(_Transport(lambda request: self.say(url, request), connection))
        return connection


class _Transport(asyncio.Transport):
    def __init__(self, say: Callable[[bytes], Sequence[bytes]], connection: Connection) -> None:
        super().__init__()
        self._say = say
        self._connection = connection
        self._aborted = False

    def write(self, data: Any) -> None:
        loop = asyncio.get_running_loop()
        for piece in self._say(bytes(data)):
            loop.call_soon(self._receive, piece)
        loop.call_soon(self._end)

    def abort(self) -> None:
        self._aborted = True

    def _receive(self, piece: bytes) -> None:
        if not self._aborted:
            self._call(self._connection.data_received, piece)

    def _end(self) -> None:
        if not self._aborted:
            self._call(self._connection.eof_received)
            self._call(self._connection.connection_lost, None)

    def _call(self, method: Callable[..., None], *given: object) -> None:
        """As a transport does: a connection that raises is lost."""
        try:
            method(*given)
        except Exception as error:  # noqa: BLE001
            self._aborted = True
            self._connection.connection_lost(error)
