"""Master keys: what is derived from them, and what is said about one that cannot be used."""

import base64
import hmac
from hashlib import sha256

import pytest
from standardwebhooks import Webhook

from hookline.chain.keys import KeyRing
from hookline.errors import ConfigError, KeyMissing

KEY = bytes(range(32))
TEXT = base64.b64encode(KEY).decode()
KEYS = KeyRing({"k1": KEY, "k2": bytes(32)})


def hkdf(key: bytes, info: str, length: int) -> bytes:
    """RFC 5869 with SHA-256 and no salt, for one block."""
    extracted = hmac.digest(bytes(32), key, sha256)
    return hmac.digest(extracted, info.encode() + b"\x01", sha256)[:length]


def test_hook_secret_vectors() -> None:
    """A receiver holds them: they may never change."""
    assert KEYS.hook_secret("k1", "hook-1", 1) == "whsec_wkNMyflSCyUIRuc9vngyoL9C3CjHuIHz"
    assert KEYS.hook_secret("k1", "hook-1", 2) == "whsec_wvCy4f+abEDtEPngbQf8uUvK3eq/9DJy"
    assert KEYS.hook_secret("k2", "hook-1", 1) == "whsec_Cz/zaUYzr5tgyM5Az9d8nhXAScBvbwj9"


def test_what_is_derived_is_hkdf_of_the_key_for_its_purpose() -> None:
    secret = base64.b64decode(KEYS.hook_secret("k1", "hook-1", 1).removeprefix("whsec_"))
    assert secret == hkdf(KEY, "hookline hook secret\nhook-1\n1", 24)
    assert KEYS.callback_key("k1") == hkdf(KEY, "hookline callback token", 32)
    assert KEYS.session_key("k1") == hkdf(KEY, "hookline console session", 32)


def test_a_hook_secret_is_a_standard_webhooks_secret() -> None:
    assert Webhook(KEYS.hook_secret("k1", "hook-1", 1))


def test_a_new_first_key_changes_no_secret() -> None:
    more = KeyRing({"new": b"n" * 32, "k1": KEY})
    assert more.first == "new"
    assert more.hook_secret("k1", "hook-1", 1) == KEYS.hook_secret("k1", "hook-1", 1)


def test_a_key_that_is_not_here_is_missing() -> None:
    assert "k3" not in KEYS
    for derive in (KEYS.callback_key, KEYS.session_key, lambda key: KEYS.hook_secret(key, "hook-1", 1)):
        with pytest.raises(KeyMissing):
            derive("k3")


def test_parse() -> None:
    keys = KeyRing.parse([f"k1:{TEXT}", f" k2:{base64.b64encode(bytes(range(1, 33))).decode()} "])
    assert keys.ids == ("k1", "k2")
    assert keys.first == "k1"
    assert keys.hook_secret("k1", "h", 1) == KEYS.hook_secret("k1", "h", 1)


def test_repr_shows_ids_only() -> None:
    assert repr(KEYS) == "KeyRing(k1, k2)"


@pytest.mark.parametrize(
    "entry",
    [
        TEXT, f":{TEXT}", f"k 1:{TEXT}", f"k-1:{TEXT}", f"{'k' * 17}:{TEXT}", f"k1:{TEXT[:-4]}", f"k1:{TEXT}AAAA", f"k1:{TEXT}=",
        f"k1:*{TEXT[1:]}", "k1:", "k1", "", f"k1:{KEY.hex()}", f"k1:é{TEXT[1:]}", f"é:{TEXT}", f"k1:k2:{TEXT}",
    ],
)  # fmt: skip
def test_a_wrong_entry_is_said_in_words_that_do_not_repeat_it(entry: str) -> None:
    with pytest.raises(ConfigError) as error:
        KeyRing.parse([f"k0:{TEXT}", entry])
    said = str(error.value)
    assert "HOOKLINE_MASTER_KEYS entry 2 is not id:base64 of 32 bytes" in said
    for length in range(8, len(TEXT)):
        assert TEXT[:length] not in said
    assert KEY.hex()[:8] not in said


def test_two_keys_of_one_id() -> None:
    with pytest.raises(ConfigError, match="two keys with the id k1") as error:
        KeyRing.parse([f"k1:{TEXT}", f"k1:{TEXT}"])
    assert TEXT[:8] not in str(error.value)


def test_no_key_at_all() -> None:
    with pytest.raises(ConfigError, match="HOOKLINE_MASTER_KEYS is empty"):
        KeyRing.parse([])
