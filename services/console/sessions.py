"""Who may use the console: the administrator's password, and session tokens.

A session is a JWT (HS256) signed with a key from the master keys, so it is good after restarts and on every replica.
"""

import hmac
from hashlib import sha256

import jwt

from hookline.chain.keys import KeyRing
from hookline.clock import Clock
from hookline.errors import ConfigError
from hookline.secret_bounds import password_fault
from hookline.settings import Settings

__all__ = ["SESSION_S", "Sessions"]

SESSION_S = 86_400
ALGORITHM = "HS256"


class Sessions:
    """Signs sessions in and opens their tokens."""

    def __init__(self, settings: Settings, keys: KeyRing, clock: Clock) -> None:
        """Raises ConfigError without an administrator's name, and a password that is not to be guessed."""
        self._username, self._password = settings.admin_username, settings.admin_password.get_secret_value()
        if not self._username:
            raise ConfigError("HOOKLINE_ADMIN_USERNAME is empty: set it to the name that the console asks for")
        if (fault := password_fault(self._password)) is not None:
            raise ConfigError(fault)
        self._keys = keys
        self._clock = clock

    def sign_in(self, username: str, password: str) -> str | None:
        """A session's token; None for a wrong name or password. Takes the same time either way."""
        right_name, right_password = _same(username, self._username), _same(password, self._password)
        if not (right_name and right_password):
            return None
        now_s = self._clock.now_ms() // 1000
        key_id = self._keys.first
        claims = {"sub": self._username, "iat": now_s, "exp": now_s + SESSION_S, "pwd": self._fingerprint(key_id)}
        return jwt.encode(claims, self._keys.session_key(key_id), ALGORITHM, headers={"kid": key_id})

    def user_of(self, token: str) -> str | None:
        """The name of the signed-in user; None for a token that is not ours, is over, or is of an earlier password."""
        if not token.isascii():  # PyJWT would fail on it
            return None
        try:
            key_id = str(jwt.get_unverified_header(token).get("kid"))
            if key_id not in self._keys:
                return None
            # The time is judged below, by our own clock.
            claims = jwt.decode(
                token,
                self._keys.session_key(key_id),
                algorithms=[ALGORITHM],
                options={
                    "require": ["sub", "exp", "pwd"],
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
        except jwt.InvalidTokenError:
            return None
        if claims["exp"] * 1000 <= self._clock.now_ms() or not _same(str(claims["pwd"]), self._fingerprint(key_id)):
            return None
        return str(claims["sub"])

    def _fingerprint(self, key_id: str) -> str:
        """Of name and password, under the session key: another password ends all sessions of the one before."""
        key = self._keys.session_key(key_id)
        return hmac.digest(key, f"{self._username}\n{self._password}".encode(), sha256).hex()[:32]


def _same(given: str, right: str) -> bool:
    """In a time that says nothing about how much of it is right."""
    digests = (sha256(text.encode("utf-8", "surrogatepass")).digest() for text in (given, right))
    return hmac.compare_digest(*digests)
