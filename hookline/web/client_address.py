"""Whose request it is: the client's address, also behind proxies of ours. The one place where `X-Forwarded-For` is read."""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

from aiohttp import web

from hookline.settings import IPNetwork

__all__ = ["TRUSTED_PROXIES", "client_address", "client_of"]

TRUSTED_PROXIES = web.AppKey("trusted_proxies", tuple[IPNetwork, ...])
"""On an app: the networks of HOOKLINE_TRUSTED_PROXIES. Where it is not set, no header is believed."""
HEADER = "X-Forwarded-For"
UNKNOWN = "unknown"


def client_address(request: web.Request) -> str:
    """The address that limits count and audit records name; `unknown` where there is none."""
    trusted: tuple[IPNetwork, ...] = request.app.get(TRUSTED_PROXIES, ())
    return client_of(request.remote, request.headers.getall(HEADER, ()), trusted)


def client_of(peer: str | None, forwarded: Iterable[str], trusted: Sequence[IPNetwork]) -> str:
    """The right-most address that is no trusted proxy: each proxy appends whom it saw, and only ours are believed.

    Where all are trusted, the first of them. Where a trusted one appended what is no address, that proxy itself: what
    stands further left is anybody's.
    """
    if peer is None or (address := _address(peer)) is None:
        return peer or UNKNOWN
    hops = [hop for value in forwarded for hop in value.split(",")]
    while hops and _is_trusted(address, trusted) and (before := _address(hops.pop())) is not None:
        address = before
    return str(address)


def _address(hop: str) -> IPv4Address | IPv6Address | None:
    """Of `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1` or `[2001:db8::1]:80`, as proxies write it."""
    text = hop.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


def _is_trusted(address: IPv4Address | IPv6Address, trusted: Sequence[IPNetwork]) -> bool:
    return any(address in network for network in trusted)  # False for a network of the other version
