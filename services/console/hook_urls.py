"""Is a hook's URL one that hooks may be sent to? What is wrong for certain is refused, what only seems so is a warning."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address, ip_address
from typing import TypeAlias
from urllib.parse import SplitResult, urlsplit

from yarl import URL

from hookline.settings import IPNetwork
from hookline.web.addresses import IPAddress, is_blocked

__all__ = ["Resolve", "fault_of", "resolve_name", "warning_of"]

Resolve: TypeAlias = Callable[[str], Awaitable[Sequence[IPAddress]]]
"""All addresses of a name. Raises OSError where it has none."""

MAX_URL = 2048
RESOLVE_S = 3.0
ALLOW = "HOOKLINE_ALLOW_PRIVATE_ADDRESSES"


def fault_of(url: str, allowed: Sequence[IPNetwork]) -> str | None:
    """What is wrong with that URL, in words; None: nothing that can be seen from it alone."""
    if len(url) > MAX_URL:
        return f"Is longer than {MAX_URL} characters."
    if any(c.isspace() or not c.isprintable() for c in url) or "\\" in url:
        return "Has a space, a control character or a backslash in it."
    try:
        parts = urlsplit(url)
        _ = parts.port, URL(url).raw_host
    except ValueError as error:
        return f"Is not a URL: {error}."
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return "Must begin with http:// or https:// and a host."
    if "@" in parts.netloc:
        return "Must not hold a user name or password; receivers verify the signature instead."
    if "#" in url:
        return "Must not have a fragment (#...)."
    return _address_fault(parts, allowed)


async def warning_of(url: str, allowed: Sequence[IPNetwork], resolve: Resolve) -> str | None:
    """What may be wrong with the name in a URL without fault, as this machine sees it now."""
    host = urlsplit(url).hostname or ""
    if _literal(host) is not None:
        return None
    try:
        async with asyncio.timeout(RESOLVE_S):
            found = await resolve(host)
    except OSError:  # TimeoutError is one
        return f"{host} does not resolve from here now."
    blocked = [ip for ip in found if is_blocked(ip, allowed)]
    if blocked:
        return f"{host} is {blocked[0]} now, an address that is refused unless {ALLOW} includes it."
    return None


async def resolve_name(host: str) -> Sequence[IPAddress]:
    """By the system's resolver. Raises OSError."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError(f"not a host name: {error}") from None
    return [ip_address(str(address[0])) for *_, address in found]


def _address_fault(parts: SplitResult, allowed: Sequence[IPNetwork]) -> str | None:
    host = (parts.hostname or "").rstrip(".")
    is_local = host == "localhost" or host.endswith(".localhost")
    ip = IPv4Address("127.0.0.1") if is_local else _literal(host)
    if ip is None or not is_blocked(ip, allowed):
        return None
    return f"{host} is not a public address: hooks to it are refused unless {ALLOW} includes it, such as {ip}/{ip.max_prefixlen}."


def _literal(host: str) -> IPAddress | None:
    """The address that `host` spells; also the old spellings that resolvers take, such as 127.1 or 2130706433."""
    try:
        return ip_address(host)
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(host))
    except OSError:
        return None
