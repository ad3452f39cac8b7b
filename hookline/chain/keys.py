"""Master keys and what is derived from them with HKDF-SHA256: callback signatures, hook secrets, console sessions.

`MASTER_KEYS` is a list of `id:base64 of 32 bytes`; the first signs, all verify. A hook's secret depends on the key id
and version in its record, so a new first key never changes what a receiver holds.
"""

import base64
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from hookline.errors import ConfigError, KeyMissing

__all__ = ["KeyRing"]

KEY_BYTES = 32
SECRET_BYTES = 24  # Standard Webhooks: between 24 and 64 bytes
_KEY_ID = re.compile(r"[A-Za-z0-9]{1,16}")


class KeyRing:
    """The master keys. Never printed: `repr` shows the ids only."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        if not keys:
            raise ConfigError("HOOKLINE_MASTER_KEYS is empty: set it to id:base64 of 32 random bytes")
        self._keys = dict(keys)
        self.first = next(iter(self._keys))
        """Id of the key that signs."""
        self._derive = lru_cache(maxsize=10_000)(self._derive_now)

    def __repr__(self) -> str:
        return f"KeyRing({', '.join(self._keys)})"

    def __contains__(self, key_id: str) -> bool:
        return key_id in self._keys

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(self._keys)

    @classmethod
    def parse(cls, entries: Iterable[str]) -> "KeyRing":
        """From `id:base64` texts. Raises ConfigError without repeating the key."""
        keys: dict[str, bytes] = {}
        for number, entry in enumerate(entries, 1):
            key_id, _, text = entry.strip().partition(":")
            try:
                key = base64.b64decode(text, validate=True)
            except ValueError:  # not base64, or not even ASCII
                key = b""
            if not _KEY_ID.fullmatch(key_id) or len(key) != KEY_BYTES:
                raise ConfigError(
                    f"HOOKLINE_MASTER_KEYS entry {number} is not id:base64 of {KEY_BYTES} bytes (id: 1 to 16 letters or digits)"
                )
            if len(set(key)) == 1:
                raise ConfigError(
                    f"HOOKLINE_MASTER_KEYS entry {number} is one byte repeated, which anyone can guess. Make one of random"
                    " bytes: echo k1:$(head -c 32 /dev/urandom | base64)"
                )
            if key_id in keys:
                raise ConfigError(f"HOOKLINE_MASTER_KEYS has two keys with the id {key_id}")
            keys[key_id] = key
        return cls(keys)

    def _derive_now(self, key_id: str, purpose: str, length: int) -> bytes:
        if key_id not in self._keys:
            raise KeyMissing(key_id)
        return HKDF(algorithm=SHA256(), length=length, salt=None, info=purpose.encode()).derive(self._keys[key_id])

    def callback_key(self, key_id: str) -> bytes:
        """Signs callback tokens. Raises KeyMissing for a key id that is not here."""
        return self._derive(key_id, "hookline callback token", KEY_BYTES)

    def hook_secret(self, key_id: str, hook_id: str, version: int) -> str:
        """A hook's Standard Webhooks secret, `whsec_...`. Raises KeyMissing for a key id that is not here."""
        secret = self._derive(key_id, f"hookline hook secret\n{hook_id}\n{version}", SECRET_BYTES)
        return "whsec_" + base64.b64encode(secret).decode()

    def session_key(self, key_id: str) -> bytes:
        """Signs the console's session tokens. Raises KeyMissing for a key id that is not here."""
        return self._derive(key_id, "hookline console session", KEY_BYTES)
