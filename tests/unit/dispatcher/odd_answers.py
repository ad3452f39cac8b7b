"""Answers that no specification asks for and receivers give all the same: by name, the bytes that come back for a POST."""

from collections.abc import Iterator, Mapping
from random import Random

__all__ = ["EXPLAINED", "generated", "odd_answers"]

_OK = b"HTTP/1.1 200 OK\r\n"
_NONE = b"Content-Length: 0\r\n\r\n"
_STATUS_LINES = (
    b"HTTP/1.1 200 OK", b"HTTP/1.1 200", b"HTTP/1.1 200 ", b"HTTP/1.0 200 OK", b"HTTP/1.1  200 OK", b"HTTP/1.1\t200 OK",
    b"HTTP/1.1 200\tOK", b"http/1.1 200 OK", b"HTTP/1.1 200OK", b"HTTP/1.1 0200 OK", b"HTTP/1.1 20 OK", b"HTTP/1.1 2000 OK",
    b"HTTP/1.1 abc OK", b"HTTP/1.1 -200 OK", b"HTTP/1.1 +200 OK", b"HTTP/2 200", b"HTTP/2.0 200 OK", b"HTTP/3 200 OK",
    b"HTTP/1.2 200 OK", b"HTTP/0.9 200 OK", b"HTTP/11.1 200 OK", b"HTTP/1.10 200 OK", b"HTTP 200 OK", b"HTTP/ 200 OK",
    b"HTTP/1 200 OK", b"HTTP/1. 200 OK", b"HTTP/1.1.1 200 OK", b"HTTPS/1.1 200 OK", b"ICY 200 OK", b"RTSP/1.0 200 OK",
    b"SIP/2.0 200 OK", b"200 OK", b"SSH-2.0-OpenSSH", b"220 smtp ready", b"", b"HTTP/1.1 200 \xff\xfe",
    "HTTP/1.1 200 Всё".encode(), b"HTTP/1.1 200 O\x00K", b"HTTP/1.1 200 OK\x01", b"HTTP/1.1 200 O\rK", b" HTTP/1.1 200 OK",
    b"\xef\xbb\xbfHTTP/1.1 200 OK", b"HTTP/1.1 200 " + b"x" * 9_000, b"HTTP/1.1 200 " + b"x" * 70_000, b"HTTP/1.1 099 OK",
    b"HTTP/1.1 100 Continue", b"HTTP/1.1 199 X", b"HTTP/1.1 299 X", b"HTTP/1.1 600 X", b"HTTP/1.1 999 X", b"HTTP/1.1 000 X",
    b"HTTP/1.1 2xx OK", b"HTTP/1.1 200.1 OK", b"HTTP/1.1 200,OK", b"HTTP/1.1 200;OK", b"HTTP/1.1 200-OK",
    "HTTP/1.1 ٢٠٠ OK".encode(), b"HTTP/1.1 2 0 0", b"HTTP/1.1", b"HTTP/1.1 ", b"HTTP/1.1 101 Switching", b"HTTP/1.1 102 P",
    b"HTTP/1.1 103 E",
)  # fmt: skip
_HEADERS: Mapping[str, bytes] = {
    "no-colon": b"garbage line", "no-name": b": x", "space-in-name": b"X Y: z", "space-before-colon": b"X : z",
    "length-space": b"Content-Length : 2", "fold": b"X: a\r\n b", "fold-tab": b"X: a\r\n\tb", "fold-first": b" leading: x",
    "nul": b"X: a\x00b", "nul-in-name": b"X\x00: a", "control": b"X: a\x01b", "delete": b"X: a\x7fb", "high": b"X: \xff\xfe",
    "high-in-name": b"X\xff: y", "utf-8": "X: é".encode(), "cr": b"X: a\rb", "empty": b"X:", "9000": b"X: " + b"a" * 9_000,
    "60000": b"X: " + b"a" * 60_000, "70000": b"X: " + b"a" * 70_000, "long-name": b"X" * 9_000 + b": y",
    "99": b"\r\n".join(b"X-%d: y" % n for n in range(99)), "150": b"\r\n".join(b"X-%d: y" % n for n in range(150)),
    "1000": b"\r\n".join(b"X-%d: y" % n for n in range(1_000)),
    "cookies": b"\r\n".join(b"Set-Cookie: c%d=%s" % (n, b"v" * 60) for n in range(200)), "quote": b'X": y', "brace": b"{X}: y",
    "slash": b"X/Y: z", "at": b"@: z", "length-no-colon": b"Content-Length 2", "date": b"Date: yesterday",
    "retry-after-overflow": b"Retry-After: Mon, 01 Jan 2024 00:00:00 +99999999999999",
    "retry-after-year": b"Retry-After: Mon, 01 Jan 99999999999999999999 00:00:00 GMT", "second-status": b"HTTP/1.1 500 Oops",
    "keep-alive": b"Keep-Alive: timeout=99999999999999999999", "location": b"Location: http://[::1", "encoding": b"Content-Encoding: \xff",
}  # fmt: skip
_LENGTHS = (
    b"5", b"4", b"6", b"-1", b"+5", b"05", b"0x5", b"5.0", b"five", b"", b" 5 ", b"5, 5", b"5, 6", b"5;x",
    b"99999999999999999999", b"9223372036854775808", b"18446744073709551616", b"1e1", b"5 5", b"\x005", b"5\x00", b"_5", b"1_0",
)  # fmt: skip
_CODINGS = (
    b"chunked", b"Chunked", b"CHUNKED", b"chunked, chunked", b"gzip, chunked", b"identity", b"gzip", b"chunked;q=1", b"xchunked",
    b"chunked\x0b", b" chunked", b"", b"identity, chunked", b"chunked, identity",
)  # fmt: skip
_CHUNKS: Mapping[str, bytes] = {
    "no-size": b"xyz\r\nhello\r\n", "negative": b"-5\r\nhello\r\n", "huge": b"FFFFFFFFFFFFFFFFFF\r\nhello",
    "extension": b"5;a=b\r\nhello\r\n0\r\n\r\n", "long-extension": b"5;" + b"a" * 9_000 + b"\r\nhello\r\n0\r\n\r\n",
    "space": b"5 \r\nhello\r\n0\r\n\r\n", "zeros": b"0000005\r\nhello\r\n0\r\n\r\n", "lf": b"5\nhello\n0\n\n",
    "no-last": b"5\r\nhello\r\n", "no-line-end": b"5\r\nhello0\r\n\r\n", "trailer": b"5\r\nhello\r\n0\r\nX: y\r\n\r\n",
    "bad-trailer": b"5\r\nhello\r\n0\r\ngarbage\r\n\r\n", "empty": b"", "0x": b"0x5\r\nhello\r\n0\r\n\r\n", "cut": b"5\r\nhel",
    "plus": b"+5\r\nhello\r\n0\r\n\r\n", "blank": b"\r\n\r\n", "semicolon": b";\r\n",
}  # fmt: skip
_WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\nhello"

EXPLAINED: Mapping[str, str] = {
    "line HTTP/3 200 OK": "lenient: a version that nobody else reads",
    "line HTTP/11.1 200 OK": "lenient: a version that nobody else reads",
    "line HTTP/1 200 OK": "lenient: a version that nobody else reads",
    "line HTTP/1.1 100 Continue": "an interim answer alone is no answer (RFC 9110 section 15.2); curl prints the last status it saw",
    "line HTTP/1.1 199 X": "an interim answer alone is no answer; curl and Python know 100 alone for one",
    "line HTTP/1.1 102 P": "an interim answer alone is no answer; curl and Python know 100 alone for one",
    "line HTTP/1.1 103 E": "an interim answer alone is no answer; curl and Python know 100 alone for one",
    "only 100": "an interim answer alone is no answer; curl prints the last status it saw",
    "blank line first": "lenient: an empty line before an answer is what an earlier one left behind",
    "LF first": "lenient: an empty line before an answer is what an earlier one left behind",
    "two blank lines first": "lenient: an empty line before an answer is what an earlier one left behind",
}
"""Where ours differs from both curl and Python's http.client, and why. (Go takes 099 for a status: it is none.)"""


def odd_answers() -> dict[str, bytes]:
    """By name."""
    found = {f"line {line[:40].decode('latin-1')}": line + b"\r\n" + _NONE for line in _STATUS_LINES}
    found |= {f"cut {n}": _WHOLE[:n] for n in range(1, len(_WHOLE))}
    found |= {f"length {length!r}": _OK + b"Content-Length: " + length + b"\r\n\r\nhello" for length in _LENGTHS}
    found |= {
        f"coding {coding!r}": _OK + b"Transfer-Encoding: " + coding + b"\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        for coding in _CODINGS
    }
    for status in (b"200 OK", b"503 Busy"):
        begin = b"HTTP/1.1 " + status + b"\r\n"
        found |= {
            f"{status[:3].decode()} header {name}": begin
            + header
            + b"\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\nok"
            for name, header in _HEADERS.items()
        }
        found |= {
            f"{status[:3].decode()} chunks {name}": begin
            + b"Retry-After: 7\r\nTransfer-Encoding: chunked\r\n\r\n"
            + chunks
            for name, chunks in _CHUNKS.items()
        }
    for status in (b"204 No Content", b"304 Not Modified", b"205 Reset"):
        begin = b"HTTP/1.1 " + status + b"\r\n"
        found |= {
            f"{status.decode()} with a length": begin + b"Content-Length: 5\r\n\r\nhello",
            f"{status.decode()} with a body": begin + b"\r\nhello",
            f"{status.decode()} with chunks": begin + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            f"{status.decode()} alone": begin + b"\r\n",
        }
    for status in (b"100 Continue", b"102 Processing", b"103 Early Hints", b"199 X", b"101 Switching Protocols"):
        interim = b"HTTP/1.1 " + status + b"\r\n"
        found |= {
            f"first {status.decode()}": interim + b"\r\n" + _OK + _NONE,
            f"first {status.decode()} with a header": interim + b"Link: </x>\r\n\r\n" + _OK + _NONE,
        }
    return found | {
        "first 5 x 100": b"HTTP/1.1 100 C\r\n\r\n" * 5 + _OK + _NONE,
        "only 100": b"HTTP/1.1 100 C\r\n\r\n",
        "101 with an upgrade": b"HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        "LF": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        "LF, then CRLF": b"HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n",
        "CRLF, then LF": b"HTTP/1.1 200 OK\r\nContent-Length: 0\n\n",
        "CR": b"HTTP/1.1 200 OK\rContent-Length: 0\r\r",
        "CR CR LF": b"HTTP/1.1 200 OK\r\r\nContent-Length: 0\r\r\n\r\r\n",
        "blank line first": b"\r\n" + _OK + _NONE,
        "LF first": b"\n" + _OK + _NONE,
        "two blank lines first": b"\r\n\r\n" + _OK + _NONE,
        "length twice, the same": _OK + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        "length twice, another": _OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "no length": _OK + b"\r\nhello",
        "length and chunks": _OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "chunks and length": _OK + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "garbage behind": _OK + _NONE + b"garbage",
        "another answer behind": _OK + _NONE + b"HTTP/1.1 500 No\r\n\r\n",
        "more than its length": _OK + b"Content-Length: 2\r\n\r\nhello",
        "nothing": b"",
        "zeros": b"\0" * 100,
        "a TLS alert": b"\x15\x03\x03\x00\x02\x02\x46",
        "HTTP/2": b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x05\x00\x10\x00\x00",
        "HTTP/2's beginning": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "HTML alone": b"<html>hi</html>",
        "70 KB": _OK + b"Content-Length: 70000\r\n\r\n" + b"x" * 70_000,
        "70 KB without a length": _OK + b"\r\n" + b"x" * 70_000,
        "gzip": b"HTTP/1.1 500 E\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00",
        "connection: close": _OK + b"Connection: close\r\nContent-Length: 2\r\n\r\nok",
        "connection: odd": _OK + b"Connection: \x01\r\nContent-Length: 2\r\n\r\nok",
        "an upgrade": _OK + b"Upgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 0\r\n\r\n",
    }


def generated(seed: int, count: int) -> Iterator[bytes]:
    """Answers made of parts of the odd ones: cut, joined, with bytes changed, taken out, doubled, and put in."""
    random, known = Random(seed), [answer[:4_000] for answer in odd_answers().values()]
    for _ in range(count):
        answer = bytearray(random.choice(known))
        for _ in range(random.choice((0, 1, 1, 2, 4, 16))):
            at = random.randint(0, len(answer))
            match random.randrange(5):
                case 0:
                    answer[at : at + 1] = bytes((random.randrange(256),))
                case 1:
                    del answer[at : at + random.choice((1, 2, 50))]
                case 2:
                    answer[at:at] = answer[at : at + random.choice((1, 8, 200))]
                case 3:
                    answer[at:at] = random.choice(
                        (b"\r\n", b"\n", b"\0", b":", b" ", b"Retry-After: ", b"9" * 30, b"\r\n\r\n")
                    )
                case _:
                    answer[at:] = random.choice(known)
        yield bytes(answer)
