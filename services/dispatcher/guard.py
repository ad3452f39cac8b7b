"""Keeps hooks away from addresses that only this machine or network can reach (design section 4; OWASP: server-side request forgery).

Two looks: at every address a name resolves to (one blocked address blocks the name), and at the address that a socket
is really made for, which is also where a literal address is seen.
"""

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import ip_address

from aiohttp import AddrInfoType
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from hookline.settings import IPNetwork
from hookline.web.addresses import is_blocked

__all__ = ["AddressGuard", "BlockedAddress", "GuardedResolver"]


class BlockedAddress(Exception):
    """Not an OSError, so that connecting does not go on to the name's next address."""


class AddressGuard:
    """The rule, with the networks that settings allow; `socket_factory` is handed to aiohttp's connector."""

    def __init__(self, allowed: Sequence[IPNetwork]) -> None:
        self._allowed = tuple(allowed)

    def check(self, address: str) -> None:
        """Raises BlockedAddress. An IPv6 zone (`fe80::1%eth0`) does not make an address another one."""
        if is_blocked(ip_address(address.partition("%")[0]), self._allowed):
            raise BlockedAddress(address)

    def socket_factory(self, info: AddrInfoType) -> socket.socket:
        family, kind, proto, _, address = info
        self.check(str(address[0]))
        made = socket.socket(family, kind, proto)
        made.setblocking(False)
        return made


class GuardedResolver(AbstractResolver):
    """The system's resolver; a name with any blocked address among its answers is blocked."""

    def __init__(self, guard: AddressGuard) -> None:
        self._guard = guard
        self._inner = ThreadedResolver(asyncio.get_running_loop())

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        for result in found:
            self._guard.check(result["host"])
        return found

    async def close(self) -> None:
        await self._inner.close()
