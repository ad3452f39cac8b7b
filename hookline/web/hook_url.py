"""A hook's URL, taken apart once: the console saves what this gives, and the dispatcher calls what this gives.

A valid RFC 3986 URL stays byte for byte as it was given, so that a receiver which compares or signs its request target
finds what it issued. What is not valid but has one meaning is normalised (letters that are not ASCII, characters such as
`|` that must be percent-encoded); everything else is refused in words.
"""

import re
import socket
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple
from urllib.parse import quote

import idna

from hookline.web.addresses import IPAddress

__all__ = ["MAX_URL", "HookUrl", "HookUrlError", "parse_hook_url"]

MAX_URL = 2048
"""Characters, after normalising."""
MAX_HOST = 253
"""Characters of a host name without its last dot (RFC 1035 section 2.3.4 leaves so many of its 255 octets)."""
DEFAULT_PORTS = {"http": 80, "https": 443}
KNOWN = 4096
"""URLs whose parts are remembered."""

_SCHEME = re.compile(r"(https?)://", re.IGNORECASE)
_AUTHORITY_END = re.compile(r"[/?]")
_PORT = re.compile(r"[0-9]{1,5}")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
"""Letters, digits, hyphens; and the underscore, which is in no host name by RFC 952 and in many that resolve."""
_A_LABEL = "xn--"
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_TARGET_SAFE = "!$&'()*+,;=:@/?-._~%"
"""Beside letters and digits: what RFC 3986 allows in a path and a query (section 3.3, 3.4)."""
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


class HookUrlError(ValueError):
    """What is wrong with a URL: a sentence for whoever typed it, without the URL."""


class HookUrl(NamedTuple):
    """`text`: the whole, as it is saved and shown. All parts are ASCII.

    `host`: the name or address to connect to, in small letters, without brackets and without a last dot.
    `authority`: host and port as they stand in the URL, for the header `Host`. `target`: path and query, as they are sent.
    `address`: set where the host spells an address; also the old spellings that resolvers take, such as 127.1.
    """

    text: str
    scheme: str
    host: str
    port: int
    authority: str
    target: str
    address: IPAddress | None

    @property
    def server_name(self) -> str:
        """The host as certificates name it."""
        return self.host.removesuffix(".")


@lru_cache(KNOWN)
def parse_hook_url(text: str) -> HookUrl:
    """Raises HookUrlError. Parsing the `text` of a result gives the same result."""
    if len(text) > MAX_URL:
        raise HookUrlError(f"Is longer than {MAX_URL} characters.")
    if not text.isprintable() or " " in text or "\\" in text:  # no other white space is printable
        raise HookUrlError("Has a space, a control character or a backslash in it.")
    scheme = _SCHEME.match(text)
    if scheme is None:
        raise HookUrlError("Must begin with http:// or https:// and a host.")
    if "#" in text:
        raise HookUrlError("Must not have a fragment (#...).")
    end = _AUTHORITY_END.search(text, scheme.end())
    at = len(text) if end is None else end.start()
    host, authority, address, port = _authority(text[scheme.end() : at])
    path = _target(text[at:])
    whole = scheme.group() + authority + path
    if len(whole) > MAX_URL:
        raise HookUrlError(f"Is longer than {MAX_URL} characters.")
    name = scheme.group(1).lower()
    target = path if path.startswith("/") else f"/{path}"
    return HookUrl(whole, name, host, port or DEFAULT_PORTS[name], authority, target, address)


def _authority(text: str) -> tuple[str, str, IPAddress | None, int | None]:
    """Host, authority, address and port. Raises HookUrlError."""
    if "@" in text:
        raise HookUrlError("Must not hold a user name or password; receivers verify the signature instead.")
    if text.startswith("["):
        inner, bracket, behind = text[1:].partition("]")
        if not bracket or (behind and not behind.startswith(":")):
            raise HookUrlError("Has a '[' in its host that does not begin an IPv6 address.")
        address, port = _ipv6(inner), _port(behind[1:])
        return str(address), f"[{inner}]{behind if port else ''}", address, port
    given, _, behind = text.partition(":")
    if not given:
        raise HookUrlError("Must begin with http:// or https:// and a host.")
    ascii_host, port = given if given.isascii() else _to_ascii(given), _port(behind)
    host = ascii_host.lower()
    return host, f"{ascii_host}:{behind}" if port else ascii_host, _ipv4(host), port


def _port(text: str) -> int | None:
    """None for none, which an empty one is, too (RFC 3986 section 3.2.3). Raises HookUrlError."""
    if not text:
        return None
    if not _PORT.fullmatch(text) or not 0 < int(text) < 65_536:
        raise HookUrlError("Has a port that is not a number from 1 to 65535.")
    return int(text)


def _ipv6(text: str) -> IPv6Address:
    try:
        if "%" not in text:  # a zone means something on one machine only
            return IPv6Address(text)
    except ValueError:
        pass
    raise HookUrlError("Has brackets in its host that do not hold an IPv6 address.")


def _to_ascii(host: str) -> str:
    """A name in another script, as DNS has it (IDNA 2008, mapped by UTS 46 as browsers do). Raises HookUrlError."""
    try:
        return idna.encode(host, uts46=True, std3_rules=True).decode()
    except UnicodeError:
        raise HookUrlError("Has a host name that no domain can have.") from None


def _ipv4(host: str) -> IPAddress | None:
    """The address that a host without brackets spells; None for a name. Raises HookUrlError for what can be neither."""
    labels = host.removesuffix(".").split(".")
    if len(".".join(labels)) > MAX_HOST or not all(map(_LABEL.fullmatch, labels)):
        raise HookUrlError(
            "Has an impossible host name: parts between dots have 1 to 63 letters, digits and hyphens,"
            f" all together at most {MAX_HOST}."
        )
    if _NUMBER.fullmatch(labels[-1]):  # no top-level domain is a number: resolvers take it for an address
        try:
            return IPv4Address(socket.inet_aton(".".join(labels)))
        except OSError:
            raise HookUrlError("Has a host that ends in a number but is not an IPv4 address.") from None
    for label in labels:
        if label.startswith(_A_LABEL):
            _check_a_label(label)
    return None


def _check_a_label(label: str) -> None:
    """Raises HookUrlError where it does not come from a label in another script (RFC 5891 section 5.4)."""
    try:
        if idna.alabel(idna.ulabel(label)).decode() == label:
            return
    except UnicodeError:
        pass
    raise HookUrlError(f"Has a host name with a part that no domain can have: {label}.")


def _target(text: str) -> str:
    """Path and query with everything percent-encoded that must be. Raises HookUrlError."""
    if _BAD_PERCENT.search(text):
        raise HookUrlError("Has a '%' that is not followed by two hexadecimal digits: write %25 for the character.")
    return quote(text, safe=_TARGET_SAFE)
