"""The outgoing proxy that hooks go through: HOOKLINE_HOOK_PROXY, taken apart."""

import re
from base64 import b64encode
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from hookline.web.addresses import IPAddress
from hookline.web.hook_url import HookUrlError, parse_hook_url

__all__ = ["HookProxy", "parse_hook_proxy"]

_FORM = re.compile(r"(?P<scheme>[^:/]*)://(?:(?P<userinfo>[^/?#]*)@)?(?P<place>[^/?#@]+)/?")
_HAS_PORT = re.compile(r":[0-9]+$")
_LIKE = "http://host:port or http://user:password@host:port"


@dataclass(frozen=True)
class HookProxy:
    """Where it is, and what it is shown. `address`: set where `host` spells one; `authorization`: of the header, or ""."""

    host: str
    port: int
    address: IPAddress | None
    authorization: str = field(default="", repr=False)  # I11: it is in no log


def parse_hook_proxy(text: str) -> HookProxy:
    """Raises ValueError, in words without the text: it may hold a password."""
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError(f"must be {_LIKE}, and nothing after it")
    if found["scheme"].lower() != "http":
        raise ValueError(f"must begin with http://: a tunnel is requested without encryption (HTTP CONNECT); {_LIKE}")
    if not _HAS_PORT.search(found["place"]):
        raise ValueError(f"must name the proxy's port: {_LIKE}")
    try:
        place = parse_hook_url(f"http://{found['place']}/")
    except HookUrlError as error:
        raise ValueError(f"its host or port is impossible: {error}") from None
    return HookProxy(place.host, place.port, place.address, _authorization(found["userinfo"]))


def _authorization(userinfo: str | None) -> str:
    """Basic (RFC 7617), of what may be percent-encoded; "" for none. Raises ValueError."""
    if not userinfo:
        return ""
    name, colon, password = userinfo.partition(":")
    if not colon:
        raise ValueError("has a user name but no password")
    user = unquote_to_bytes(name)
    if b":" in user:
        raise ValueError("has a ':' in its user name, which cannot be told from the password's")
    return "Basic " + b64encode(user + b":" + unquote_to_bytes(password)).decode()
