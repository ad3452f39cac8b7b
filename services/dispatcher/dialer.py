"""A new connection to a receiver: its name, the address guard, TCP (happy eyeballs), and TLS where the URL asks for it."""

import asyncio
import socket
import ssl
from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

from aiohappyeyeballs import AddrInfoType, start_connection

from hookline.web.hook_url import HookUrl
from services.dispatcher.answer_reader import AnswerReader
from services.dispatcher.connection import Connection
from services.dispatcher.guard import AddressGuard
from services.dispatcher.resolver import Resolver

__all__ = ["Dial", "Dialer", "Phase", "Progress"]

NEXT_ADDRESS_S = 0.25
"""Seconds until the next address of a name is tried beside the one before (RFC 8305 section 8)."""


class Phase(StrEnum):
    """How far an attempt has got: what was waited for when it ran out of time."""

    NAME = "the address of its host"
    CONNECT = "a connection"
    TLS = "the TLS handshake"
    ANSWER = "an answer"


class Progress:
    """Of one attempt."""

    def __init__(self) -> None:
        self.phase = Phase.NAME
        self.connection: Connection | None = None
        """Where the request was sent."""

    @property
    def answer(self) -> AnswerReader | None:
        """As far as it has come; None while nothing was sent."""
        return None if self.connection is None else self.connection.answer

    @property
    def status(self) -> int | None:
        """Of the answer, as soon as one has come."""
        return None if self.connection is None else self.connection.answer.status


class Dial(Protocol):
    """`Dialer`, or a test's."""

    async def __call__(self, url: HookUrl, progress: Progress) -> Connection:
        """Raises OSError, of which NameFailed and ssl.SSLError are some, and BlockedAddress."""


class Dialer:
    """A `Dial` over real sockets."""

    def __init__(self, resolver: Resolver, guard: AddressGuard, context: ssl.SSLContext) -> None:
        self._resolver = resolver
        self._guard = guard
        self._context = context

    async def __call__(self, url: HookUrl, progress: Progress) -> Connection:
        progress.phase = Phase.NAME
        addresses = await self._resolver.addresses(url.host) if url.address is None else (str(url.address),)
        self._guard.check(addresses)
        progress.phase = Phase.CONNECT
        made = await self._connect(_infos(addresses, url.port))
        is_tls = url.scheme == "https"
        progress.phase = Phase.TLS if is_tls else Phase.ANSWER
        try:
            _, connection = await asyncio.get_running_loop().create_connection(
                Connection,
                sock=made,
                ssl=self._context if is_tls else None,
                server_hostname=url.server_name if is_tls else None,
            )
        except BaseException:
            made.close()
            raise
        return connection

    async def _connect(self, infos: Sequence[AddrInfoType]) -> socket.socket:
        try:
            return await start_connection(
                infos,
                happy_eyeballs_delay=NEXT_ADDRESS_S,
                interleave=1,
                socket_factory=self._guard.socket_for,
            )
        except RuntimeError as error:  # uvloop's, for some that are an OSError in asyncio
            raise OSError(str(error)) from error


def _infos(addresses: Sequence[str], port: int) -> list[AddrInfoType]:
    return [
        (
            socket.AF_INET6 if ":" in address else socket.AF_INET,
            socket.SOCK_STREAM,
            socket.IPPROTO_TCP,
            "",
            (address, port),
        )
        for address in addresses
    ]
