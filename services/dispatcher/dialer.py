"""A new connection to a receiver: its name, the address guard, TCP (happy eyeballs) or a tunnel through the outgoing proxy,
and TLS where the URL asks for it."""

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Protocol

from aiohappyeyeballs import AddrInfoType, start_connection

from hookline.web.hook_proxy import HookProxy
from hookline.web.hook_url import HookUrl
from services.dispatcher.address_guard import AddressGuard
from services.dispatcher.answer_reader import AnswerReader
from services.dispatcher.connection import Connection
from services.dispatcher.resolver import Resolver
from services.dispatcher.tunnel import ProxyFailed, open_tunnel

__all__ = ["PROXY_PHASES", "Dial", "Dialer", "Phase", "Progress"]

NEXT_ADDRESS_S = 0.25
"""Seconds until the next address of a name is tried beside the one before (RFC 8305 section 8)."""
MAX_TUNNELS = 3
"""Addresses of a name that the proxy is asked for, one after the other, while it reaches none."""


class Phase(StrEnum):
    """How far an attempt has got: what was waited for when it ran out of time."""

    NAME = "the address of its host"
    CONNECT = "a connection"
    PROXY = "a connection to the outgoing proxy"
    TUNNEL = "the outgoing proxy to open a tunnel"
    TLS = "the TLS handshake"
    ANSWER = "an answer"


PROXY_PHASES = frozenset({Phase.PROXY, Phase.TUNNEL})
"""What fails there is the proxy's."""


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
    """A `Dial` over real sockets. `proxy`: what every connection goes through; None for none."""

    def __init__(
        self, resolver: Resolver, guard: AddressGuard, context: ssl.SSLContext, proxy: HookProxy | None = None
    ) -> None:
        self._resolver = resolver
        self._guard = guard
        self._context = context
        self._proxy = proxy

    async def __call__(self, url: HookUrl, progress: Progress) -> Connection:
        progress.phase = Phase.NAME
        addresses = await self._resolver.addresses(url.host) if url.address is None else (str(url.address),)
        self._guard.check(addresses)  # the target's, also where a proxy connects to it
        if self._proxy is None:
            progress.phase = Phase.CONNECT
            made = await _connect(_infos(addresses, url.port), self._guard.socket_for)
        else:
            made = await self._through(self._proxy, addresses[:MAX_TUNNELS], url.port, progress)
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

    async def _through(
        self, proxy: HookProxy, addresses: Sequence[str], port: int, progress: Progress
    ) -> socket.socket:
        """A tunnel to the first address that the proxy reaches. Raises OSError, of which ProxyFailed is one."""
        for address in addresses[:-1]:
            try:
                return await self._tunnel(proxy, address, port, progress)
            except ProxyFailed as error:
                if not error.another_may_do:
                    raise
        return await self._tunnel(proxy, addresses[-1], port, progress)

    async def _tunnel(self, proxy: HookProxy, address: str, port: int, progress: Progress) -> socket.socket:
        progress.phase = Phase.PROXY
        # The guard does not judge these: a proxy is the operator's, and often in a private network.
        known = await self._resolver.addresses(proxy.host) if proxy.address is None else (str(proxy.address),)
        made = await _connect(_infos(known, proxy.port), None)
        progress.phase = Phase.TUNNEL
        try:
            await open_tunnel(made, proxy, address, port)
        except BaseException:
            made.close()
            raise
        return made


async def _connect(
    infos: Sequence[AddrInfoType], make_socket: Callable[[AddrInfoType], socket.socket] | None
) -> socket.socket:
    try:
        return await start_connection(
            infos, happy_eyeballs_delay=NEXT_ADDRESS_S, interleave=1, socket_factory=make_socket
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
