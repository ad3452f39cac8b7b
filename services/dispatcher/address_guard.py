"""Keeps hooks away from addresses that only this machine or network can reach (design section 4; OWASP: server-side request forgery)."""

import socket
from collections.abc import Iterable, Sequence
from ipaddress import ip_address

from aiohappyeyeballs import AddrInfoType

from hookline.settings import IPNetwork
from hookline.web.addresses import is_blocked

__all__ = ["AddressGuard", "BlockedAddress"]


class BlockedAddress(Exception):
    """Not an OSError, so that connecting does not go on to the name's next address. `address`: the one that is blocked."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.address = address


class AddressGuard:
    """The rule, with the networks that settings allow.

    Two looks: at all that a name resolves to (one blocked address blocks the name), and at the address that a socket is
    really made for.
    """

    def __init__(self, allowed: Sequence[IPNetwork]) -> None:
        self._allowed = tuple(allowed)

    def check(self, addresses: Iterable[str]) -> None:
        """Raises BlockedAddress. An IPv6 zone (`fe80::1%eth0`) does not make an address another one."""
        for address in addresses:
            if is_blocked(ip_address(address.partition("%")[0]), self._allowed):
                raise BlockedAddress(address)

    def socket_for(self, info: AddrInfoType) -> socket.socket:
        """A socket that does not block. Raises BlockedAddress."""
        family, kind, protocol, _, address = info
        self.check((str(address[0]),))
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        return made
