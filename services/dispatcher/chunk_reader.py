"""A body in chunks (RFC 9112 section 7.1), read from bytes as they come. No I/O."""

import re
from enum import Enum, auto

__all__ = ["ChunkReader"]

_SIZE = re.compile(rb"[0-9A-Fa-f]{1,15}")
MAX_LINE = 4 * 1024
"""Bytes of a chunk's size with its extensions, and of a trailer."""
MAX_TRAILERS = 100


class _Next(Enum):
    SIZE = auto()
    DATA = auto()
    DATA_END = auto()
    TRAILER = auto()


class ChunkReader:
    """`feed` it until `done` or `bad`; then `rest` is what came behind the last chunk's trailers."""

    def __init__(self) -> None:
        self.done = False
        self.bad = False
        """Something came that is no chunk."""
        self.rest = bytearray()
        self._next = _Next.SIZE
        self._left = 0
        """Bytes of the chunk that are to come."""
        self._trailers = 0

    def feed(self, data: bytes | bytearray) -> bytes:
        """The next bytes; those of the body among them."""
        self.rest += data
        body: list[bytes] = []
        while (
            not self.done
            and not self.bad
            and (self._take_data(body) if self._next is _Next.DATA else self._take_line())
        ):
            pass
        return b"".join(body)

    def _take_data(self, body: list[bytes]) -> bool:
        """False where more must come first."""
        body.append(bytes(self.rest[: self._left]))
        del self.rest[: self._left]
        self._left -= len(body[-1])
        if not self._left:
            self._next = _Next.DATA_END
        return not self._left

    def _take_line(self) -> bool:
        """False where more must come first."""
        end = self.rest.find(b"\n", 0, MAX_LINE)
        if end < 0:
            self.bad = len(self.rest) >= MAX_LINE
            return False
        line = bytes(self.rest[:end]).rstrip(b"\r")
        del self.rest[: end + 1]
        match self._next:
            case _Next.SIZE:
                self._take_size(line.partition(b";")[0].strip(b" \t"))
            case _Next.TRAILER:
                self._trailers += 1
                self.done, self.bad = not line, self._trailers > MAX_TRAILERS
            case _:
                self._next, self.bad = _Next.SIZE, line != b""
        return True

    def _take_size(self, size: bytes) -> None:
        self.bad = _SIZE.fullmatch(size) is None
        if not self.bad:
            self._left = int(size, 16)
            self._next = _Next.DATA if self._left else _Next.TRAILER
