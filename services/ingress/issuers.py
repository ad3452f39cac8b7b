"""OpenID issuers whose JWTs are a credential, and the keys that these are signed with: from a URL or a file."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Protocol, TypeAlias

import aiohttp
import jwt
import structlog

from hookline.clock import Clock
from hookline.errors import ConfigError, Unavailable
from hookline.web.body import without_bom

__all__ = ["GOOGLE", "GOOGLE_KEYS", "Issuer", "KeySource", "fetch_keys", "key_source", "parse_keys"]

log = structlog.get_logger()

GOOGLE = "https://accounts.google.com"
GOOGLE_KEYS = "https://www.googleapis.com/oauth2/v3/certs"

ALGORITHMS = ("RS256", "RS384", "RS512", "ES256", "ES384", "EdDSA")
"""Signatures by a private key only: with an HMAC, or with none, whoever reads the public keys could sign."""
LEEWAY_S = 60
FRESH_S = 3600
"""Keys that are older are fetched again, though they know the token's."""
PAUSE_S = 30
"""Between two fetches at least, whatever tokens come in: who cannot sign one must not make us ask."""
FETCH_S = 2.0
MAX_KEYS_BYTES = 256 * 1024

Keys: TypeAlias = Mapping[str, jwt.PyJWK]
"""By their id."""


class KeySource(Protocol):
    """Where an issuer's keys come from."""

    async def key(self, key_id: str) -> jwt.PyJWK | None:
        """None for a key that the issuer does not have. Raises Unavailable where it cannot be asked and never could."""


class KeptKeys:
    """Keys of a file, read once."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    async def key(self, key_id: str) -> jwt.PyJWK | None:
        return self._keys.get(key_id)


class FetchedKeys:
    """Keys of a URL: fetched when one is unknown, or they are old; never oftener than every PAUSE_S."""

    def __init__(self, url: str, clock: Clock, fetch: Callable[[str], Awaitable[bytes]]) -> None:
        self._url, self._clock, self._fetch = url, clock, fetch
        self._keys: Keys = {}
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._turn = asyncio.Lock()

    async def key(self, key_id: str) -> jwt.PyJWK | None:
        async with self._turn:
            if key_id not in self._keys or self._older(self._fetched_at, FRESH_S):
                await self._refresh()
        if self._fetched_at is None:
            raise Unavailable("the keys of the JWT's issuer could not be fetched", retry_after_s=PAUSE_S)
        return self._keys.get(key_id)

    async def _refresh(self) -> None:
        if not self._older(self._tried_at, PAUSE_S):
            return
        self._tried_at = self._clock.monotonic()
        try:
            self._keys = parse_keys(await self._fetch(self._url))
            self._fetched_at = self._tried_at
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            # Known keys stay good meanwhile.
            log.warning("the keys of an issuer could not be fetched", error=type(error).__name__)

    def _older(self, at: float | None, seconds: float) -> bool:
        return at is None or self._clock.monotonic() - at >= seconds


class Issuer:
    """One who vouches for a producer. `audience`: what the token must be for; `email`: of the account it must speak for."""

    def __init__(self, issuer: str, audience: str, email: str | None, keys: KeySource, clock: Clock) -> None:
        self._issuer, self._audience, self._email = issuer, audience, email
        self._keys, self._clock = keys, clock

    async def accepts(self, token: str) -> bool:
        """Did the issuer sign this token, for us and for that account, and is it valid now? Raises Unavailable."""
        try:
            header = jwt.get_unverified_header(token)
            key_id = header.get("kid")
            key = await self._keys.key(key_id) if isinstance(key_id, str) and header.get("alg") in ALGORITHMS else None
            if key is None:
                return False
            claims = jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                audience=self._audience,
                issuer=self._issuers(),
                # Times are compared with our own clock, below.
                options={
                    "require": ["exp", "aud", "iss"],
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
        except (jwt.PyJWTError, TypeError, ValueError):
            return False
        return self._is_valid_now(claims) and self._is_account(claims)

    @property
    def name(self) -> str:
        """What tells it from every other: who signs, for whom, and for which account."""
        return "\n".join((self._issuer, self._audience, self._email or ""))

    def _issuers(self) -> list[str]:
        """Google's tokens may leave out the scheme, as its documentation says."""
        return [self._issuer, self._issuer.removeprefix("https://")]

    def _is_valid_now(self, claims: Mapping[str, object]) -> bool:
        now_s = self._clock.now_ms() / 1000
        until, since = claims.get("exp"), claims.get("nbf", claims.get("iat", 0))
        return (
            isinstance(until, int | float)
            and isinstance(since, int | float)
            and since - LEEWAY_S <= now_s < until + LEEWAY_S
        )

    def _is_account(self, claims: Mapping[str, object]) -> bool:
        if self._email is None:
            return True
        return claims.get("email") == self._email and claims.get("email_verified") is True


def key_source(place: str, clock: Clock) -> KeySource:
    """The keys at a URL, or in a file. Raises ConfigError for a file that holds none."""
    if place.startswith(("http://", "https://")):
        return FetchedKeys(place, clock, fetch_keys)
    try:
        return KeptKeys(parse_keys(Path(place).read_bytes()))
    except OSError as error:
        raise ConfigError(f"cannot read the keys {place}: {error.strerror}") from None
    except ValueError as error:
        raise ConfigError(f"{place} is not a JSON Web Key Set: {error}") from None


def parse_keys(text: bytes) -> Keys:
    """A JSON Web Key Set, the keys by their id; those without, and those we cannot use, are left out. Raises ValueError."""
    found = json.loads(without_bom(text))
    sets = found.get("keys") if isinstance(found, dict) else None
    if not isinstance(sets, list):
        raise ValueError('no list "keys"')
    keys: dict[str, jwt.PyJWK] = {}
    for one in sets:
        if not isinstance(one, dict) or not isinstance(key_id := one.get("kid"), str):
            continue
        with contextlib.suppress(jwt.PyJWTError, ValueError, TypeError, KeyError):
            key = jwt.PyJWK(one)
            if key.algorithm_name in ALGORITHMS:
                keys[key_id] = key
    if not keys:
        raise ValueError("no usable key")
    return keys


async def fetch_keys(url: str) -> bytes:
    """Raises aiohttp.ClientError, TimeoutError, ValueError for a body that is too large."""
    timeout = aiohttp.ClientTimeout(total=FETCH_S)
    async with (
        aiohttp.ClientSession(timeout=timeout, raise_for_status=True) as session,
        session.get(url, allow_redirects=False) as answer,
    ):
        body = await answer.content.read(MAX_KEYS_BYTES + 1)
        while len(body) <= MAX_KEYS_BYTES and (more := await answer.content.read(MAX_KEYS_BYTES + 1 - len(body))):
            body += more
    if len(body) > MAX_KEYS_BYTES:
        raise ValueError("too large")
    return body
