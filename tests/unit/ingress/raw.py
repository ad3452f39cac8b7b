"""Requests byte for byte, as no well-behaved client would send them."""

import asyncio
from collections.abc import Iterable

from tests.unit.ingress.conftest import Ingress

__all__ = ["answer_to", "connect"]


async def connect(ingress: Ingress) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = ingress.address
    return await asyncio.open_connection(host, port)


async def answer_to(ingress: Ingress, source: str, headers: Iterable[bytes], body: bytes) -> tuple[int, bytes]:
    """Status and body of the answer."""
    reader, writer = await connect(ingress)
    lines = [
        f"POST /events/{source} HTTP/1.1".encode(),
        b"Host: ingress.test",
        b"Connection: close",
        b"Content-Length: %d" % len(body),
        *headers,
    ]
    writer.write(b"\r\n".join(lines) + b"\r\n\r\n" + body)
    answer = await reader.read()
    writer.close()
    head, _, rest = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), rest
