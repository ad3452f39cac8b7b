"""The token in a callback URL: what chain and step it speaks for, and until when, signed (design section 6).

Its bytes: version 1 | length of key id, key id | push_id 16 | offset, n, run, step as varints | expiry in Unix ms, 6 bytes
| HMAC-SHA256 over the length of all that, all that, and the repository of the path. Hexadecimal in small letters: letters and digits only,
and only as we write it (no other text opens as the same token).
The offset and the run name the cause (`ChainId.cause`), so the service needs no lookup to trust a token or to place it.
"""

import hmac
from hashlib import sha256
from typing import NamedTuple
from urllib.parse import quote

from hookline.chain.ids import ChainId, uuid_bytes, uuid_text
from hookline.chain.keys import KeyRing
from hookline.errors import TokenError

__all__ = ["CallbackToken", "callback_path", "open_token", "sign_token"]

VERSION = 1
MAC_BYTES = 32
EXPIRY_BYTES = 6
MAX_TOKEN = 400
"""Characters; a longer one is not ours and is not decoded."""


class CallbackToken(NamedTuple):
    """What a token says. `expires_at` is Unix ms."""

    chain_id: ChainId
    step: int
    expires_at: int


def sign_token(keys: KeyRing, token: CallbackToken, repository: str) -> str:
    """The token's text, signed with the first key."""
    key_id = keys.first.encode()
    push, offset, n, run = token.chain_id
    body = b"".join(
        (
            bytes((VERSION, len(key_id))),
            key_id,
            uuid_bytes(push),
            *map(_varint, (offset, n, run, token.step)),
            token.expires_at.to_bytes(EXPIRY_BYTES, "big"),
        )
    )
    return (body + _mac(keys.callback_key(keys.first), body, repository)).hex()


def open_token(keys: KeyRing, text: str, repository: str) -> CallbackToken:
    """The opposite of `sign_token`; an expired token still opens. Raises TokenError."""
    if len(text) > MAX_TOKEN:
        raise TokenError("not a token")
    try:
        data = bytes.fromhex(text)
        if data.hex() != text:
            raise TokenError("not a token in the form we write")
        body, mac = data[:-MAC_BYTES], data[-MAC_BYTES:]
        key_id = body[2 : 2 + body[1]].decode()
        if (
            body[0] != VERSION
            or key_id not in keys
            or not hmac.compare_digest(mac, _mac(keys.callback_key(key_id), body, repository))
        ):
            raise TokenError("not signed by any of our keys")
        return _parse(body, 2 + body[1])
    except (ValueError, IndexError) as error:
        raise TokenError("not a token") from error


def callback_path(repository: str, token: str) -> str:
    """Path of the callback URL, quoted; official images (`library/<name>`) have Docker Hub's `/_/`."""
    owner, _, name = repository.partition("/")
    place = f"_/{name}" if owner == "library" and name and "/" not in name else f"u/{repository}"
    return f"/{quote(place)}/hook/{token}/"


def _parse(body: bytes, at: int) -> CallbackToken:
    push = uuid_text(body[at : at + 16])
    at += 16
    numbers = []
    for _ in range(4):
        number, at = _read_varint(body, at)
        numbers.append(number)
    offset, n, run, step = numbers
    expiry = body[at:]
    if len(expiry) != EXPIRY_BYTES:
        raise TokenError("not a token")
    return CallbackToken(ChainId(push, offset, n, run), step, int.from_bytes(expiry, "big"))


def _mac(key: bytes, body: bytes, repository: str) -> bytes:
    # With the body's length: else bytes could be moved from the repository's start to the body's end (a later expiry).
    return hmac.digest(key, len(body).to_bytes(2, "big") + body + repository.encode(), sha256)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number, at
