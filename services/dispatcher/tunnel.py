"""A tunnel through the outgoing proxy: HTTP CONNECT over a socket that then belongs to the target (RFC 9110 section 9.3.6).

The address that the guard has judged is what the proxy is asked for, never the name. A proxy that is given a name looks it up
itself, later and elsewhere: a name that answers us with a public address and it with a private one (DNS rebinding) would get
past the guard. The price: names must resolve where the dispatcher is, and a proxy that allows targets by name must do so by
address (or by the name in the TLS handshake, which goes through as it is).
"""

import asyncio
import re
import socket

from hookline import __version__
from hookline.web.hook_proxy import HookProxy

__all__ = ["ProxyFailed", "open_tunnel"]

MAX_HEAD = 8 * 1024
"""Bytes of a proxy's answer before its target is heard."""
_BEGINS = b"HTTP/1."
_END = b"\r\n\r\n"
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})(?: [^\r\n]*)?\r\n")
_REFUSED = 403
_NOT_KNOWN = 407
_NOT_REACHED = frozenset({502, 503, 504})


class ProxyFailed(OSError):
    """The proxy opened no tunnel. Its text: why, in words of our own.

    `another_may_do`: it is that target address which the proxy does not reach.
    """

    def __init__(self, words: str, *, another_may_do: bool = False) -> None:
        super().__init__(words)
        self.another_may_do = another_may_do


async def open_tunnel(to_proxy: socket.socket, proxy: HookProxy, address: str, port: int) -> None:
    """Ask for one to `address`; when this returns, the socket is the target's, and nothing of it was read.

    Raises ProxyFailed, and OSError where the connection breaks. Nothing bounds its time: whoever calls it does.
    """
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(to_proxy, _request(proxy, f"[{address}]:{port}" if ":" in address else f"{address}:{port}"))
    said = b""
    while _END not in said:
        if len(said) > MAX_HEAD:
            raise ProxyFailed(f"its answer is longer than {MAX_HEAD // 1024} KiB")
        data = await loop.sock_recv(to_proxy, MAX_HEAD)
        if not data:
            raise ProxyFailed(
                "it closed the connection " + ("in the middle of its answer" if said else "without an answer")
            )
        said += data
        if not _BEGINS.startswith(said[: len(_BEGINS)]):
            raise ProxyFailed("its answer is not HTTP")
    _judge(said, knows_us=bool(proxy.authorization))


def _request(proxy: HookProxy, authority: str) -> bytes:
    credential = f"Proxy-Authorization: {proxy.authorization}\r\n" if proxy.authorization else ""
    head = (
        f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: Hookline/{__version__}\r\n{credential}\r\n"
    )
    return head.encode("ascii")


def _judge(said: bytes, *, knows_us: bool) -> None:
    """Raises ProxyFailed unless it is a 2xx and nothing else: a target of ours says nothing before it is asked."""
    found = _STATUS.match(said)
    if found is None:
        raise ProxyFailed("its answer is not HTTP")
    status = int(found[1])
    if status in _NOT_REACHED:
        raise ProxyFailed(f"it does not reach the receiver ({status})", another_may_do=True)
    if status == _NOT_KNOWN:
        wanted = "another user name or password" if knows_us else "a user name and a password"
        raise ProxyFailed(f"it wants {wanted} ({status})")
    if status == _REFUSED:
        raise ProxyFailed(f"it does not allow the receiver ({status})")
    if not 200 <= status < 300:
        raise ProxyFailed(f"it answered {status}")
    if said.index(_END) + len(_END) != len(said):
        raise ProxyFailed("it sent more than its answer")
