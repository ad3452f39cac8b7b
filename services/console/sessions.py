"""Who may use the console: the administrator's password, session tokens, and how often someone may guess.

A session is a JWT (HS256) signed with a key from the master keys, so it is good after restarts and on every replica.
"""

import hmac
from collections import OrderedDict
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import IPv6Address, ip_address
from typing import NamedTuple

import jwt
import structlog

from hookline.chain.keys import KeyRing
from hookline.clock import Clock
from hookline.errors import ConfigError
from hookline.secret_bounds import password_fault
from hookline.settings import Settings
from services.console.metrics import LOGIN_FAILURES

__all__ = ["SESSION_S", "LoginLimit", "Sessions", "SignedIn", "sign_in"]

log = structlog.get_logger()

SESSION_S = 86_400
ALGORITHM = "HS256"
GUESSES = 10
"""Wrong passwords that an address has before it must wait."""
GUESS_EVERY_S = 30.0
"""Then it has one more after so many seconds."""
ADDRESSES = 10_000
"""Addresses remembered; the one that failed longest ago is forgotten first."""


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


@dataclass
class _Guesses:
    left: float
    at: float


class LoginLimit:
    """A bucket of wrong passwords for each client address (each /64 of IPv6)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._guesses: OrderedDict[str, _Guesses] = OrderedDict()

    def wait_s(self, address: str) -> int:
        """Seconds until that address may try again; 0: now."""
        left = self._now(_network(address)).left
        return 0 if left >= 1 else max(1, round((1 - left) * GUESS_EVERY_S))

    def failed(self, address: str) -> None:
        """Count a wrong password."""
        network = _network(address)
        guesses = self._now(network)
        guesses.left = max(0.0, guesses.left - 1)
        self._guesses[network] = guesses
        self._guesses.move_to_end(network)
        if len(self._guesses) > ADDRESSES:
            self._guesses.popitem(last=False)

    def _now(self, network: str) -> _Guesses:
        now = self._clock.monotonic()
        known = self._guesses.get(network)
        if known is None:
            return _Guesses(GUESSES, now)
        return _Guesses(min(float(GUESSES), known.left + (now - known.at) / GUESS_EVERY_S), now)


def _network(address: str) -> str:
    try:
        ip = ip_address(address)
    except ValueError:
        return address
    return str(int(ip) >> 64) if isinstance(ip, IPv6Address) else str(ip)


class SignedIn(NamedTuple):
    """What came of a try. `token` null: refused; then `wait_s` is 0 for a wrong name or password, else the seconds to wait."""

    token: str | None
    wait_s: int = 0


def sign_in(sessions: Sessions, limit: LoginLimit, address: str, username: str, password: str) -> SignedIn:
    """A try from that address, counted."""
    if wait_s := limit.wait_s(address):
        LOGIN_FAILURES.labels("limited").inc()
        return SignedIn(None, wait_s)
    token = sessions.sign_in(username, password)
    if token is None:
        limit.failed(address)
        LOGIN_FAILURES.labels("wrong").inc()
        log.warning("login refused", address=address)
    return SignedIn(token)
