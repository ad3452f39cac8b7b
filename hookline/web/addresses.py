"""Which addresses a hook may not reach: anything that is not a public unicast address (design sections 3 and 6).

Used when a pipeline is saved (console), when a name is resolved, and on the address really connected to (dispatcher).
The lists are our own: `ipaddress.is_global` alone lets multicast and embedded IPv4 addresses through, and its answers
changed between Python releases.
"""

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import TypeAlias

__all__ = ["BLOCKED", "STAND_FOR_IPV4", "IPAddress", "is_blocked"]

IPAddress: TypeAlias = IPv4Address | IPv6Address
IPNetwork: TypeAlias = IPv4Network | IPv6Network

BLOCKED: tuple[IPNetwork, ...] = tuple(
    map(
        ip_network,
        (
            "0.0.0.0/8",  # this network; Linux connects 0.0.0.0 to itself
            "10.0.0.0/8",  # private
            "100.64.0.0/10",  # carrier-grade NAT
            "127.0.0.0/8",  # loopback
            "169.254.0.0/16",  # link-local, cloud metadata
            "172.16.0.0/12",  # private
            "192.0.0.0/24",  # IETF protocol assignments, cloud metadata
            "192.0.2.0/24",  # documentation
            "192.88.99.0/24",  # 6to4 relays
            "192.168.0.0/16",  # private
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, broadcast
            "::/128",  # unspecified
            "::1/128",  # loopback
            "64:ff9b:1::/48",  # NAT64 of a local network: what it reaches is not to be seen
            "100::/64",  # discard
            "2001::/23",  # IETF protocol assignments, Teredo
            "2001:db8::/32",  # documentation
            "3fff::/20",  # documentation
            "5f00::/16",  # segment routing
            "fc00::/7",  # unique local, cloud metadata
            "fe80::/10",  # link-local
            "fec0::/10",  # site-local
            "ff00::/8",  # multicast
        ),
    )
)

SAME_HOST = tuple(map(IPv6Network, ("::ffff:0:0/96", "::ffff:0:0:0/96", "::/96")))
"""IPv4-mapped, IPv4-translated, IPv4-compatible: the IPv4 address in another spelling."""
NAT64 = IPv6Network("64:ff9b::/96")
STAND_FOR_IPV4 = (*SAME_HOST, NAT64, IPv6Network("2002::/16"))
"""Of these an address is blocked where the IPv4 one is that it stands for (6to4 is the last; Teredo is blocked as a whole)."""
_V4_BITS = 0xFFFF_FFFF


def is_blocked(ip: IPAddress, allowed: Sequence[IPNetwork]) -> bool:
    """May no hook be sent to `ip`? `allowed` is HOOKLINE_ALLOW_PRIVATE_ADDRESSES, exempt from the rule.

    An IPv6 address that stands for an IPv4 one (mapped, NAT64, 6to4, Teredo) is blocked when that one is.
    """
    if _within(ip, allowed):
        return False
    if isinstance(ip, IPv6Address):
        if _within(ip, SAME_HOST) and int(ip) > 1:  # :: and ::1 are IPv6's own
            return is_blocked(IPv4Address(int(ip) & _V4_BITS), allowed)
        if any(is_blocked(inner, allowed) for inner in _embedded(ip)):
            return True
    return _within(ip, BLOCKED)


def _within(ip: IPAddress, networks: Sequence[IPNetwork]) -> bool:
    return any(ip in network for network in networks)  # False for a network of the other version


def _embedded(ip: IPv6Address) -> Iterator[IPv4Address]:
    """The IPv4 addresses that packets to `ip` are passed on to."""
    if ip in NAT64:
        yield IPv4Address(int(ip) & _V4_BITS)
    if ip.sixtofour is not None:
        yield ip.sixtofour
    if ip.teredo is not None:
        yield from ip.teredo
