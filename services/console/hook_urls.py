"""May hooks be sent to a URL? What is wrong for certain is refused, what only seems so is a warning."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address, ip_address
from typing import TypeAlias

from hookline.settings import IPNetwork
from hookline.web.addresses import IPAddress, is_blocked
from hookline.web.hook_rules import HookNotAllowed, HookRules
from hookline.web.hook_url import HookUrl, HookUrlError, parse_hook_url

__all__ = ["Resolve", "accepted", "resolve_name", "warning_of"]

Resolve: TypeAlias = Callable[[str], Awaitable[Sequence[IPAddress]]]
"""All addresses of a name. Raises OSError where it has none."""

RESOLVE_S = 3.0
ALLOW = "HOOKLINE_ALLOW_PRIVATE_ADDRESSES"


def accepted(url: str, allowed: Sequence[IPNetwork], rules: HookRules) -> HookUrl:
    """The URL as it is saved and called. Raises HookUrlError for what can be seen to be wrong from it alone."""
    parsed = parse_hook_url(url)
    rules.check(parsed)
    ip = IPv4Address("127.0.0.1") if _is_local(parsed) else parsed.address
    if ip is not None and is_blocked(ip, allowed):
        raise HookUrlError(
            f"{parsed.host} is not a public address: hooks to it are refused unless {ALLOW} includes it,"
            f" such as {ip}/{ip.max_prefixlen}."
        )
    return parsed


async def warning_of(url: str, allowed: Sequence[IPNetwork], rules: HookRules, resolve: Resolve) -> str | None:
    """What may be wrong with a saved URL, as this machine sees it now."""
    try:
        parsed = parse_hook_url(url)
        rules.check(parsed)
    except HookNotAllowed as error:  # saved under other settings
        return f"A hook's URL is no longer allowed, so its attempts fail: {error}"
    except HookUrlError as error:  # saved by a version that took it
        return f"A hook's URL cannot be called, so its attempts fail: {error}"
    if parsed.address is not None:
        return None
    host = parsed.host
    try:
        async with asyncio.timeout(RESOLVE_S):
            found = await resolve(host)
    except OSError:  # TimeoutError is one
        return f"{host} does not resolve from here at the moment."
    blocked = [ip for ip in found if is_blocked(ip, allowed)]
    if blocked:
        return f"{host} is {blocked[0]} now, which is refused unless {ALLOW} includes it."
    return None


async def resolve_name(host: str) -> Sequence[IPAddress]:
    """By the system's resolver. Raises OSError."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError(f"not a host name: {error}") from None
    return [ip_address(str(address[0])) for *_, address in found]


def _is_local(url: HookUrl) -> bool:
    return url.server_name == "localhost" or url.server_name.endswith(".localhost")
