"""Callback tokens: what they carry, and every way in which one must not open."""

import hmac
import re
from hashlib import sha256
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.chain.callback_tokens import CallbackToken, callback_path, open_token, sign_token
from hookline.chain.ids import ChainId
from hookline.chain.keys import KeyRing
from hookline.errors import TokenError
from tests.kit.events import START
from tests.unit.chain.test_ids import chain_ids

PUSH = "6b8f3a52-1111-5222-8333-444455556666"
KEYS = KeyRing({"k1": bytes(range(32))})
TOKEN = CallbackToken(ChainId(PUSH, 300, 1, 0), 2, START + 60_000)
GOLDEN = "01026b316b8f3a52111152228333444455556666ac02010002018bcfe652604ea0df4fce04966dc0da19680eba45791616f6c6c7fb7fabbf0d945d497a7596"

tokens = st.builds(CallbackToken, chain_ids, st.integers(1, 20), st.integers(0, 2**48 - 1))
repositories = st.from_regex(r"[a-z0-9._-]{1,20}(/[a-z0-9._-]{1,20}){0,3}", fullmatch=True)


def as_bytes(text: str) -> bytes:
    return bytes.fromhex(text)


def as_text(data: bytes) -> str:
    return data.hex()


@given(tokens, repositories)
def test_round_trip(token: CallbackToken, repository: str) -> None:
    text = sign_token(KEYS, token, repository)
    assert open_token(KEYS, text, repository) == token
    assert re.fullmatch("[a-z0-9]+", text), "letters and digits only"


def test_golden_vector() -> None:
    """A token that is out there must open after every upgrade."""
    assert sign_token(KEYS, TOKEN, "acme/app") == GOLDEN
    assert open_token(KEYS, GOLDEN, "acme/app") == TOKEN


def test_layout() -> None:
    body, mac = as_bytes(GOLDEN)[:-32], as_bytes(GOLDEN)[-32:]
    expiry = (START + 60_000).to_bytes(6, "big")
    assert body == b"\x01\x02k1" + UUID(PUSH).bytes + b"\xac\x02" + b"\x01" + b"\x00" + b"\x02" + expiry
    signed = len(body).to_bytes(2, "big") + body + b"acme/app"
    assert mac == hmac.digest(KEYS.callback_key("k1"), signed, sha256)


def test_an_expired_token_still_opens() -> None:
    """Its row in the table comes after others; the service looks at the time, not the signature."""
    old = TOKEN._replace(expires_at=1)
    assert open_token(KEYS, sign_token(KEYS, old, "acme/app"), "acme/app").expires_at == 1


@pytest.mark.parametrize(
    "repository", ["acme/other", "acme", "app", "acme/app/", "acme/app/x", "", "ACME/app", "acme/app\0"]
)
def test_a_token_under_another_repository_does_not_open(repository: str) -> None:
    with pytest.raises(TokenError):
        open_token(KEYS, GOLDEN, repository)


def test_bytes_cannot_move_between_repository_and_token() -> None:
    """Else a receiver could give its own token a later expiry: 'acme/' at its end, under the repository 'app'."""
    data = as_bytes(GOLDEN)
    body, mac = data[:-32], data[-32:]
    for moved, repository in ((body + b"acme/", "app"), (body + b"acme/app", ""), (body[:-1], "\x00acme/app")):
        with pytest.raises(TokenError):
            open_token(KEYS, as_text(moved + mac), repository)


def test_any_other_character_anywhere_does_not_open() -> None:
    for at in range(len(GOLDEN)):
        for other in "abcdefgz0123456789":
            if other != GOLDEN[at]:
                with pytest.raises(TokenError):
                    open_token(KEYS, GOLDEN[:at] + other + GOLDEN[at + 1 :], "acme/app")


@pytest.mark.parametrize(
    "text",
    [
        "", "a", "aa", "=", GOLDEN.upper(), GOLDEN[:-1], GOLDEN[1:], GOLDEN + "a", GOLDEN + "=", GOLDEN + " ", " " + GOLDEN,
        GOLDEN + "\n", GOLDEN.replace("e", "é"), "a" * 401, "\ud800", as_text(b"\x01"), as_text(b"\x01\xff" + bytes(32)), as_text(bytes(80)),
    ],
)  # fmt: skip
def test_no_other_text_opens(text: str) -> None:
    with pytest.raises(TokenError):
        open_token(KEYS, text, "acme/app")


@given(st.text(max_size=450))
def test_any_text_is_answered_with_a_token_error(text: str) -> None:
    with pytest.raises(TokenError):
        open_token(KEYS, text, "acme/app")


@given(st.binary(max_size=200))
def test_any_bytes_are_answered_with_a_token_error(data: bytes) -> None:
    with pytest.raises(TokenError):
        open_token(KEYS, as_text(data), "acme/app")


def test_a_repository_that_is_no_text_is_a_token_error() -> None:
    with pytest.raises(TokenError):
        open_token(KEYS, GOLDEN, "acme/\ud800")


def test_an_old_key_still_opens_and_the_first_one_signs() -> None:
    both = KeyRing({"k2": bytes(32), "k1": bytes(range(32))})
    assert open_token(both, GOLDEN, "acme/app") == TOKEN
    new = sign_token(both, TOKEN, "acme/app")
    assert new != GOLDEN
    assert open_token(KeyRing({"k2": bytes(32)}), new, "acme/app") == TOKEN


def test_a_token_of_a_key_that_is_not_here_does_not_open() -> None:
    with pytest.raises(TokenError):
        open_token(KeyRing({"k2": bytes(range(32))}), GOLDEN, "acme/app")
    with pytest.raises(TokenError):
        open_token(KeyRing({"k1": bytes(32)}), GOLDEN, "acme/app")


def test_the_longest_token_is_short_enough() -> None:
    keys = KeyRing({"k" * 16: bytes(32)})
    longest = CallbackToken(ChainId(PUSH, 2**63 - 1, 2**31, 2**63 - 1), 20, 2**48 - 1)
    text = sign_token(keys, longest, "acme/app")
    assert open_token(keys, text, "acme/app") == longest
    assert len(text) < 250


@pytest.mark.parametrize(
    ("repository", "path"),
    [
        ("acme/app", "/u/acme/app/hook/t/"),
        ("app", "/u/app/hook/t/"),
        ("a/b/c/d", "/u/a/b/c/d/hook/t/"),
        ("library/nginx", "/_/nginx/hook/t/"),
        ("library", "/u/library/hook/t/"),
        ("library/a/b", "/u/library/a/b/hook/t/"),
        ("acme/a b?c#d%2f", "/u/acme/a%20b%3Fc%23d%252f/hook/t/"),
    ],
)
def test_callback_path(repository: str, path: str) -> None:
    assert callback_path(repository, "t") == path
