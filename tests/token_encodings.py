"""A callback token in the encodings that a receiver's software may put it into, and what is looked for to find it again."""

import base64
import html
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import quote, unquote

__all__ = ["ENCODINGS", "TOKEN", "URL", "tells"]

TOKEN = "01026b31" + "0f3a9c5e" * 14 + "b7"
"""As `hookline.chain.callback_tokens` writes one: small hexadecimal letters, over 120 of them."""
URL = f"https://hooks.example/u/acme/app/hook/{TOKEN}/"


def _percent(text: str, times: int = 1) -> str:
    encoded = "".join(f"%{ord(letter):02x}" for letter in text)
    return encoded if times == 1 else quote(encoded, safe="")


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


ENCODINGS: Mapping[str, Callable[[str], str]] = {
    "as it is": str,
    "in capitals": str.upper,
    "quoted": lambda url: quote(url, safe=""),
    "quoted twice": lambda url: quote(quote(url, safe=""), safe=""),
    "each character percent-encoded": _percent,
    "percent-encoded in capitals": lambda url: _percent(url).upper(),
    "percent-encoded twice": lambda url: _percent(url, 2),
    "half percent-encoded": lambda url: url[: len(url) // 2] + _percent(url[len(url) // 2 :]),
    "in JSON": lambda url: url.replace("/", "\\/"),
    "escaped as in JSON": lambda url: "".join(f"\\u{ord(letter):04x}" for letter in url),
    "escaped as in JSON, in JSON": lambda url: "".join(f"\\\\u{ord(letter):04X}" for letter in url),
    "HTML, decimal": lambda url: "".join(f"&#{ord(letter)};" for letter in url),
    "HTML, decimal with zeros": lambda url: "".join(f"&#{ord(letter):05d};" for letter in url),
    "HTML, hexadecimal": lambda url: "".join(f"&#X{ord(letter):x};" for letter in url),
    "percent-encoded, in HTML": lambda url: html.escape(_percent(url)).replace("%", "&percnt;"),
    "base64": _base64,
    "base64, one byte later": lambda url: _base64(f"x{url}"),
    "base64, two bytes later": lambda url: _base64(f"xy{url}"),
    "base64 behind a word": lambda url: f"token/{_base64(url)}",
    "base64 for URLs": lambda url: base64.urlsafe_b64encode(f"??>>{url}".encode()).decode().rstrip("="),
    "base64 in lines": lambda url: base64.encodebytes(url.encode()).decode(),
    "base64 in lines of CRLF": lambda url: base64.encodebytes(url.encode()).decode().replace("\n", "\r\n"),
    "base64 of UTF-16": lambda url: base64.b64encode(url.encode("utf-16")).decode(),
    "base64 of what is percent-encoded": lambda url: _base64(_percent(url)),
    "base64 of base64": lambda url: _base64(_base64(url)),
    "base64, percent-encoded": lambda url: _percent(_base64(url)),
}
"""By name: the callback URL to what is said."""


def tells(text: str, said: str) -> bool:
    """Can one read the token in `text`, where `said` was put? Looked for as plainly as it could be done by hand."""
    return any(TOKEN in one.lower() or said in one or said.lower() in one for one in _readings(text))


def _readings(text: str) -> Iterator[str]:
    yield text
    yield html.unescape(text)
    yield unquote(unquote(html.unescape(text)))
    yield text.replace("\\\\", "\\")
