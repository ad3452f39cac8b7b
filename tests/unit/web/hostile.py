"""Bytes that no client should send, in every header, query, cookie, path and body field of every route that an app has."""

import ast
import asyncio
import json
import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pytest
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

__all__ = ["Attack", "Seen", "ask", "asked_for", "attack", "traces", "wrong"]

VALUES = (
    b"\xff",
    b"\x80a\xed\xa0\x80",  # half of a surrogate pair
    b"a\xe2\x80\xaeb\xc3\xbc",
    b"%00",
    b"a%00b",
    b"%FF",
    b"%ed%a0%80",
    b"%u0000%",
    b"%0d%0aX-Forged:%201",
    b"",
    b",;=\"'\\<>{}[]|^`",
    b"-1",
    b"9" * 400,
    b"..%2f..%2f..%2fetc%2fpasswd",
    b"a:999999",
    b"a:b",
    b"[::1",
    b"http://[/",
    b"*" * 300,
    b"JWT \xff",
    b"JWT eyJhbGciOiJIUzI1NiJ9.\xff.\xff",
    b"Bearer e30.e30.e30",
    b"Basic /w==",
    b"a=\xff; b=%00",
    b"bytes=9999999999999999999-1",
    b"Mon, 99 Foo 99999 99:99:99 +99999999",
    b"gzip;q=\xff",
)
"""As they stand in a head; those with a space go into headers only."""
ALWAYS = (
    "Host", "Cookie", "Authorization", "User-Agent", "Accept", "Accept-Encoding", "Content-Type", "Content-Encoding",
    "Transfer-Encoding", "Content-Length", "Connection", "Upgrade", "Expect", "Range", "If-Range", "If-Match", "If-None-Match",
    "If-Modified-Since", "If-Unmodified-Since", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded", "Origin",
    "Referer", "Sec-Fetch-Site", "Sec-WebSocket-Key", "X-Unknown",
)  # fmt: skip
TEXTS = (
    "\ud800",
    "\udcff",
    "\x00",
    "a\x00b",
    "\u202e\x1b[2J",
    "",
    "9" * 5000,
    -1,
    1e308,
    2**70,
    None,
    [],
    {"\ud800": 1},
)
"""Values of a body's field; the surrogates stand there as JSON escapes."""
FRAMING = frozenset({"Content-Length", "Transfer-Encoding", "Expect"})
WAIT_S, SHORT_S = 60.0, 0.05
NONE: Mapping[str, bytes] = {}
IN_TURN = 2
"""Values that one header of one route gets; other routes and headers get the next ones."""


class _Request(NamedTuple):
    sent: bytes
    whole: bool


class Seen(NamedTuple):
    """An answer, and what it answered."""

    status: int
    head: bytes
    body: bytes
    request: bytes


@dataclass
class Attack:
    """Whom, and as whom. `variables`: good values of a path's variables; `headers`: sent with each request."""

    app: web.Application
    address: tuple[str, int]
    sources: Sequence[Path]
    variables: Mapping[str, str]
    headers: Mapping[str, str] = field(default_factory=dict)
    form: bytes = b""
    """Before each form: what lets it in."""
    fields: Sequence[str] = ()
    """Of bodies, beside those that the source asks for."""
    methods: Sequence[str] = ("GET", "HEAD", "OPTIONS", "POST", "PATCH", "DELETE")


async def ask(address: tuple[str, int], request: bytes, *, whole: bool = True) -> Seen:
    """One request on a connection of its own.

    whole: it must be answered. Else nobody knows where its body ends, and it may be waited for: then the status is 0.
    """
    reader, writer = await asyncio.open_connection(*address)
    try:
        writer.write(request)
        async with asyncio.timeout(WAIT_S if whole else SHORT_S):
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
            has_body = length is not None and not request.startswith(b"HEAD ") and b" 304 " not in head[:16]
            body = await reader.readexactly(int(length[1])) if length is not None and has_body else b""
    except (ConnectionError, TimeoutError, asyncio.IncompleteReadError) as error:
        if whole:
            raise AssertionError(f"{request[:300]!r} is not answered") from error
        return Seen(0, b"", b"", request)
    finally:
        writer.close()
    return Seen(int(head.split()[1]), head, body, request)


async def attack(plan: Attack, at_once: int = 8) -> list[Seen]:
    """All answers."""
    requests = iter(list(_requests(plan)))
    seen: list[Seen] = []

    async def work() -> None:
        for request in requests:
            seen.append(await ask(plan.address, request.sent, whole=request.whole))

    await asyncio.gather(*(work() for _ in range(at_once)))
    return seen


def wrong(seen: Iterable[Seen]) -> list[tuple[int, bytes, bytes]]:
    """Answers of a server that got into trouble, and what they answer."""
    return [(one.status, one.request[:300], one.body[:200]) for one in seen if one.status >= 500]


def traces(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """Errors that were logged; what is no HTTP at all aiohttp logs, and `hookline.web.logging` makes a line of it."""
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    return [one for one in errors if not (one.exc_info and isinstance(one.exc_info[1], HttpProcessingError))]


def _requests(plan: Attack) -> Iterator[_Request]:
    wanted = asked_for(plan.sources)
    headers = sorted({*ALWAYS, *wanted["headers"]})
    queries = sorted({*wanted["query"], "unknown"})
    fields = sorted({*wanted["body"], *plan.fields})
    turn = 0
    for method, path in _routes(plan):
        good = _filled(path, plan.variables)

        def request(
            target: bytes, changed: Mapping[str, bytes] = NONE, body: bytes = b"", method: str = method
        ) -> _Request:
            sent = {"Host": b"hookline.test", "Connection": b"close", "Content-Length": b"%d" % len(body)}
            sent |= {name: value.encode() for name, value in plan.headers.items()} | dict(changed)
            lines = [name.encode() + b": " + value for name, value in sent.items()]
            whole = b"\r\n".join([method.encode() + b" " + target + b" HTTP/1.1", *lines, b"", body])
            return _Request(whole, FRAMING.isdisjoint(changed))

        yield request(good)
        for name in headers:
            for _ in range(IN_TURN):
                turn += 1
                yield request(good, {name: VALUES[turn % len(VALUES)]})
        in_targets = [value for value in VALUES if b" " not in value]
        for name in queries:
            for _ in range(IN_TURN):
                turn += 1
                yield request(good + b"?" + name.encode() + b"=" + in_targets[turn % len(in_targets)])
        for _ in range(2 * IN_TURN):
            turn += 1
            yield request(good + b"?" + in_targets[turn % len(in_targets)] + b"=1")
            yield request(good + b"/" + in_targets[turn % len(in_targets)])
        for value in in_targets:
            for variable in re.findall(r"{(\w+)}", path):
                bad = {**plan.variables, variable: "\0"}
                yield request(_filled(path, bad).replace(b"\0", value))
        if method in ("POST", "PATCH"):
            for name in fields:
                for _ in range(IN_TURN):
                    turn += 1
                    text = TEXTS[turn % len(TEXTS)]
                    yield request(good, body=json.dumps({name: text}).encode())
                    yield request(good, body=plan.form + f"{name}=".encode() + VALUES[turn % len(VALUES)])
            yield request(good, {"Content-Encoding": b"gzip"}, b"\x1f\x8b\xff")
            yield request(good, body=b"\xff\xfe{}")
            yield request(good, {"Content-Length": b"5"}, b"{")


def _routes(plan: Attack) -> Iterator[tuple[str, str]]:
    """Method and path of each, those that read first and DELETE last; each path but once, without its last slash."""
    found: dict[tuple[str, str], None] = {}
    for route in plan.app.router.routes():
        assert route.resource is not None
        found[route.method, route.resource.canonical.rstrip("/") or "/"] = None
    order = list(plan.methods)
    yield from sorted(found, key=lambda one: (order.index(one[0]), one[1]))


def _filled(path: str, variables: Mapping[str, str]) -> bytes:
    return re.sub(r"{(\w+)}", lambda match: variables[match[1]], path).encode()


def asked_for(files: Iterable[Path]) -> dict[str, set[str]]:
    """Names of headers, query keys and body fields that the source asks for: texts given to a call, or kept as a constant."""
    found: dict[str, set[str]] = {"headers": set(), "query": set(), "body": set()}
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            texts = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
            if called.endswith(("headers.get", "header_text", "headers.getall")):
                found["headers"] |= {text for text in texts if re.fullmatch(r"[A-Za-z-]+", text)}
            elif called.endswith(("query.get", "query.getall", "query_flag", "query_time", "_number")):
                found["query"] |= set(texts[:1])
            elif called.endswith(("body.get", "form.get", "fields.get")):
                found["body"] |= set(texts[:1])
    return found
