"""An HTTP answer, read from bytes as they come: its status as soon as there is one, and the beginning of its body. No I/O.

A receiver's work is done whatever becomes of its answer, so a status counts once it has come, and nothing that follows takes
it back. What curl, Go's net/http or Python's http.client take for a status is one here. Parsers that others keep take none
of a head that is odd anywhere: of 307 odd answers with a status for one of these three, llhttp (`httptools`) told none for
124, and for 103 with all its leniencies on; so this is our own (docs/performance.md has what it costs).

Reading is lenient, reusing a connection is strict: after anything odd `is_reusable` is False (RFC 9112 sections 6.3, 9.3).
"""

import re
from collections.abc import Iterable
from enum import Enum, auto

from services.dispatcher.chunk_reader import ChunkReader

__all__ = ["KEPT_ANSWER", "MAX_ANSWER", "MAX_HEAD", "AnswerReader", "Oddity"]

MAX_HEAD = 64 * 1024
"""Bytes of all heads of an answer, those of interim answers too."""
MAX_ANSWER = 64 * 1024
"""Bytes of a body that are read."""
KEPT_ANSWER = 1024
"""Bytes of a body that are kept."""

_STATUS = re.compile(rb"\s{0,8}HTTP/(\d[\d.]{0,8})[ \t]{1,8}\+?0{0,8}([1-9]\d\d)(?=\D)", re.IGNORECASE)
_STATUS_WITHIN = 64
"""Bytes: what has no status so far into it is no HTTP."""
_BEGINNING = b"HTTP/"
_TLS_ALERT = b"\x15\x03"
_HEAD_END = re.compile(rb"\n\r{0,2}\n")
_HEAD_END_BYTES = 4
_HEADER = re.compile(
    rb"^(connection|content-encoding|content-length|keep-alive|location|retry-after|transfer-encoding)[ \t]{0,8}:([^\n]*)",
    re.IGNORECASE | re.MULTILINE,
)
"""Those that mean something to us. Every other line of a head, whatever it is, is passed over."""
_LENGTH = re.compile(r"[0-9]{1,15}", re.ASCII)
_KEEP_ALIVE_S = re.compile(r"timeout=\"?([0-9]{1,6})", re.ASCII | re.IGNORECASE)
FINAL = 200
"""Below are interim statuses, but for 101, behind which no HTTP comes."""
SWITCHING_PROTOCOLS = 101
WITHOUT_BODY = frozenset({SWITCHING_PROTOCOLS, 204, 304})
"""They have no body, whatever their headers say (RFC 9112 section 6.3)."""


class Oddity(Enum):
    """Why an answer was not read to its end."""

    NOT_HTTP = auto()
    TLS = auto()
    """It is a TLS alert: the receiver speaks TLS on that port."""
    HEAD_TOO_LONG = auto()
    BAD_FRAMING = auto()
    """Its length or its chunks are none, or contradict each other."""
    BODY_TOO_LONG = auto()
    CUT_SHORT = auto()
    """The connection ended first."""


class AnswerReader:
    """One answer. `feed` it until `done`, or `end` it where its connection ended. Never raises."""

    __slots__ = (
        "_body_bytes", "_buffer", "_chunks", "_head_bytes", "_headers", "_in_head", "_length", "_searched", "_version",
        "began", "body", "done", "is_reusable", "oddity", "status",
    )  # fmt: skip

    def __init__(self) -> None:
        self.status: int | None = None
        """The final one; None while none has come."""
        self.body = b""
        """The first KEPT_ANSWER bytes."""
        self.began = False
        """Has any byte come?"""
        self.done = False
        self.is_reusable = False
        """Once done: may the connection take another request?"""
        self.oddity: Oddity | None = None
        self._headers: dict[str, list[str]] = {}
        self._version = b""
        self._buffer = bytearray()
        self._head_bytes = 0
        self._searched = 0
        """Bytes of the buffer in which no head ends."""
        self._in_head = True
        self._chunks: ChunkReader | None = None
        self._length: int | None = None
        """Bytes of the body; None where it ends with its last chunk or with the connection."""
        self._body_bytes = 0

    # ---- what it says

    def header(self, name: str) -> str | None:
        """The first header of that name (small letters), of those that are read; its bytes as Latin-1."""
        values = self._headers.get(name)
        return values[0] if values else None

    @property
    def keep_alive_s(self) -> int | None:
        """Seconds that its sender keeps an idle connection (`Keep-Alive: timeout=`)."""
        found = _KEEP_ALIVE_S.search(self.header("keep-alive") or "")
        return None if found is None else int(found.group(1))

    # ---- reading

    def feed(self, data: bytes) -> None:
        """The next bytes."""
        self.began = self.began or bool(data)
        if self.done:
            self.is_reusable = self.is_reusable and not data
            return
        self._buffer += data
        while self._in_head and not self.done and self._take_head():
            pass
        if not self._in_head and not self.done:
            self._take_body()

    def end(self) -> None:
        """The connection ended."""
        self.is_reusable = False
        if self.done:
            return
        if self._in_head and self.status is None:
            self._note_status(_STATUS.match(bytes(self._buffer[:_STATUS_WITHIN]) + b"\n"))
        ends_so = not self._in_head and self._chunks is None and self._length is None
        self._finish(None if ends_so else Oddity.CUT_SHORT)

    def _finish(self, oddity: Oddity | None) -> None:
        self.done, self.oddity = True, oddity
        self._buffer.clear()

    # ---- the head

    def _take_head(self) -> bool:
        """Take a head off the buffer. True where another one follows: it was an interim one."""
        if not self._find_status():
            return False
        end = _HEAD_END.search(self._buffer, self._searched)
        head_bytes = len(self._buffer) if end is None else end.end()
        if self._head_bytes + head_bytes > MAX_HEAD:
            self._finish(Oddity.HEAD_TOO_LONG)
            return False
        if end is None:
            self._searched = max(0, head_bytes - _HEAD_END_BYTES)
            return False
        head = bytes(self._buffer[:head_bytes])
        del self._buffer[:head_bytes]
        self._head_bytes, self._searched = self._head_bytes + head_bytes, 0
        if self.status is None:
            return True
        self._in_head = False
        self._take_headers(head)
        return False

    def _find_status(self) -> bool:
        """Has the head that begins the buffer a status? Notes it if it is the final one."""
        if self.status is not None:
            return True
        beginning = bytes(self._buffer[:_STATUS_WITHIN])
        found = _STATUS.match(beginning)
        self._note_status(found)
        if found is None:
            self._give_up_on(beginning)
        return found is not None

    def _note_status(self, found: re.Match[bytes] | None) -> None:
        if found is not None and ((status := int(found.group(2))) >= FINAL or status == SWITCHING_PROTOCOLS):
            self.status, self._version = status, found.group(1)

    def _give_up_on(self, beginning: bytes) -> None:
        """No status yet: will there be one?"""
        begun = beginning.lstrip()
        may_be_http = _BEGINNING.startswith(begun[: len(_BEGINNING)].upper()) and b"\n" not in begun
        if begun.startswith(_TLS_ALERT):
            self._finish(Oddity.TLS)
        elif len(beginning) == _STATUS_WITHIN or not (may_be_http or _TLS_ALERT.startswith(begun)):
            self._finish(Oddity.NOT_HTTP)

    def _take_headers(self, head: bytes) -> None:
        for name, value in _HEADER.findall(head):
            self._headers.setdefault(name.decode().lower(), []).append(value.strip(b" \t\r").decode("latin-1"))
        codings, lengths = self._headers.get("transfer-encoding"), self._headers.get("content-length")
        if self.status in WITHOUT_BODY:
            self._length = 0
        elif codings is not None:
            if [coding.lower() for coding in codings] == ["chunked"]:
                self._chunks = ChunkReader()
        elif lengths is not None and len(all_of := _listed(lengths)) == 1 and _LENGTH.fullmatch(length := all_of.pop()):
            self._length = int(length)
        if self._chunks is None and self._length is None and (codings or lengths):
            self._keep(bytes(self._buffer))
            self._finish(Oddity.BAD_FRAMING)

    def _stays_open(self) -> bool:
        """Does the head say, without any doubt, that another answer may follow this one?"""
        said = _listed(self._headers.get("connection", ()))
        if self._version == b"1.0":
            stays = "keep-alive" in said and "close" not in said
        else:
            stays = self._version == b"1.1" and not said & {"close", "upgrade"}
        codings, lengths = self._headers.get("transfer-encoding"), self._headers.get("content-length")
        has_no_body = self.status in WITHOUT_BODY
        fits = not codings and lengths in (None, ["0"]) if has_no_body else not (codings and lengths)
        return stays and fits and self.status != SWITCHING_PROTOCOLS

    # ---- the body

    def _take_body(self) -> None:
        data = bytes(self._buffer)
        self._buffer.clear()
        if self._chunks is not None:
            self._keep(self._chunks.feed(data))
            if self._chunks.done:
                self._complete(behind=len(self._chunks.rest))
            elif self._chunks.bad:
                self._finish(Oddity.BAD_FRAMING)
        elif self._length is not None:
            left = self._length - self._body_bytes
            self._keep(data[:left])
            if len(data) >= left:
                self._complete(behind=len(data) - left)
        else:
            self._keep(data)
        if not self.done and self._body_bytes >= MAX_ANSWER:
            self._finish(Oddity.BODY_TOO_LONG)

    def _complete(self, *, behind: int) -> None:
        """The answer is whole. behind: bytes that came after it, which no request asked for."""
        self._finish(None)
        self.is_reusable = not behind and self._stays_open()

    def _keep(self, data: bytes) -> None:
        self._body_bytes += len(data)
        if len(self.body) < KEPT_ANSWER:
            self.body += data[: KEPT_ANSWER - len(self.body)]


def _listed(values: Iterable[str]) -> set[str]:
    """The members of a header that is a list, in small letters."""
    return {one.strip().lower() for value in values for one in value.split(",")}
