"""JWTs as a credential: signed by the issuer, for us, for that account, valid now; its keys from a file or a URL."""

import asyncio
import base64
import hmac
import json
from pathlib import Path
from typing import Any

import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from hookline.errors import ConfigError, Unavailable
from hookline.testing.manual_clock import ManualClock
from services.ingress.issuers import (
    FRESH_S,
    GOOGLE,
    MAX_KEYS_BYTES,
    PAUSE_S,
    FetchedKeys,
    Issuer,
    fetch_keys,
    key_source,
    parse_keys,
)
from tests.unit.ingress.conftest import BEARER, NOW, running

AUDIENCE = "https://hooks.example.com/events/gar"
EMAIL = "push@project.iam.gserviceaccount.com"
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())


def jwk(key_id: str, key: Any = RSA) -> dict[str, Any]:
    algorithm = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
    return {**algorithm.to_jwk(key.public_key(), as_dict=True), "kid": key_id, "use": "sig"}


def key_set(*keys: dict[str, Any]) -> bytes:
    return json.dumps({"keys": list(keys)}).encode()


def forged(key_id: str, secret: bytes, algorithm: object = "HS256") -> str:
    """Signed with HMAC, the secret being what anyone can read."""
    header: dict[str, object] = {"kid": key_id} | ({} if algorithm is None else {"alg": algorithm})
    claims = {"iss": GOOGLE, "aud": AUDIENCE, "exp": 9_999_999_999}
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims)]
    signature = base64.urlsafe_b64encode(hmac.digest(secret, b".".join(parts), "sha256")).rstrip(b"=")
    return b".".join([*parts, signature]).decode()


RSA_PEM = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
SHARED = base64.urlsafe_b64encode(b"a secret that a key set should never have held").decode()
KEYS = key_set(jwk("k1"), jwk("k2", EC), {"kty": "oct", "k": SHARED, "kid": "shared"}, {"kty": "new"}, {"kid": "x"})


def token(key: Any = RSA, key_id: str | None = "k1", algorithm: str = "RS256", **changed: Any) -> str:
    claims = {
        "iss": GOOGLE,
        "aud": AUDIENCE,
        "email": EMAIL,
        "email_verified": True,
        "iat": NOW // 1000 - 10,
        "exp": NOW // 1000 + 3600,
        **changed,
    }
    kept = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(kept, key, algorithm, headers={"kid": key_id} if key_id else {})


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    (tmp_path / "keys.json").write_bytes(KEYS)
    clock = ManualClock(NOW)
    return Issuer(GOOGLE, AUDIENCE, EMAIL, key_source(str(tmp_path / "keys.json"), clock), clock)


@pytest.mark.parametrize(
    "good",
    [
        token(),
        token(EC, "k2", "ES256"),
        token(iss="accounts.google.com"),
        token(aud=[AUDIENCE, "other"]),
        token(exp=NOW // 1000 - 30),
        token(iat=NOW // 1000 + 30),
        token(iat=None),
    ],
)
async def test_good_tokens(issuer: Issuer, good: str) -> None:
    assert await issuer.accepts(good)


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "x",
        "a.b.c",
        "e30.e30.",
        "é",
        token()[:-4],
        token(OTHER_RSA),
        token(key_id="other"),
        token(key_id=None),
        token(EC, "k1", "ES256"),
        forged("k1", RSA_PEM),
        forged("k1", RSA_PEM, None),
        forged("k1", RSA_PEM, ["RS256"]),
        forged("k1", RSA_PEM, "RS256"),
        forged("shared", b"a secret that a key set should never have held"),
        jwt.encode({"iss": GOOGLE, "aud": AUDIENCE, "exp": 9e9}, None, "none", headers={"kid": "k1"}),
        token(aud="https://other.example.com"),
        token(aud=None),
        token(iss="https://evil.example.com"),
        token(iss=None),
        token(exp=None),
        token(exp=NOW // 1000 - 61),
        token(exp="soon"),
        token(nbf=NOW // 1000 + 61),
        token(email="other@project.iam.gserviceaccount.com"),
        token(email=None),
        token(email_verified=False),
        token(email_verified=None),
        token(email_verified="true"),
    ],
)
async def test_bad_tokens(issuer: Issuer, bad: str) -> None:
    assert not await issuer.accepts(bad)


async def test_any_account_where_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_bytes(KEYS)
    clock = ManualClock(NOW)
    it = Issuer(GOOGLE, AUDIENCE, None, key_source(str(tmp_path / "keys.json"), clock), clock)
    assert await it.accepts(token(email=None, email_verified=None))


async def test_over_http(issuer: Issuer) -> None:
    """The source `gar`; INGRESS_TOKENS serve it too, since the endpoint of a subscription can carry one."""
    async with running(issuers=(issuer,)) as ingress:
        assert (await ingress.post("gar", "{}", {"Authorization": f"Bearer {token()}"})).status == 202
        assert (await ingress.post("gar", "{}", {"Authorization": f"bearer {token()}"})).status == 202
        assert (await ingress.post("gar", "{}", {"Authorization": token()})).status == 401
        assert (await ingress.post("gar", "{}", {"Authorization": f"Bearer {token(aud='other')}"})).status == 401
        assert (await ingress.post("gar", "{}", {})).status == 401
        assert (await ingress.post("gar", "{}", BEARER)).status == 202
        assert token().encode() not in ingress.everything()


class Place:
    """Where keys are fetched from, in a test's hands."""

    def __init__(self) -> None:
        self.answer: bytes | Exception = KEYS
        self.asked = 0

    async def fetch(self, url: str) -> bytes:
        self.asked += 1
        await asyncio.sleep(0)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


async def test_keys_are_fetched_once_for_all_who_ask() -> None:
    place, clock = Place(), ManualClock(NOW)
    keys = FetchedKeys("https://i.example.com", clock, place.fetch)
    found = await asyncio.gather(*(keys.key("k1") for _ in range(20)))
    assert all(found)
    assert place.asked == 1


async def test_a_key_that_is_not_known_is_looked_for_but_not_for_everyone_who_names_one() -> None:
    place, clock = Place(), ManualClock(NOW)
    keys = FetchedKeys("https://i.example.com", clock, place.fetch)
    await keys.key("k1")
    place.answer = key_set(jwk("k3", OTHER_RSA))
    for n in range(10):
        assert await keys.key(f"made-up-{n}") is None
    assert place.asked == 1
    clock.advance(PAUSE_S)
    assert await keys.key("k3") is not None
    assert await keys.key("k1") is None  # the issuer took it back
    assert place.asked == 2


async def test_old_keys_are_fetched_again_and_stay_good_while_that_fails() -> None:
    place, clock = Place(), ManualClock(NOW)
    keys = FetchedKeys("https://i.example.com", clock, place.fetch)
    await keys.key("k1")
    clock.advance(FRESH_S)
    for broken in (TimeoutError(), b"{", b"[]", b'{"keys": 7}', key_set()):
        place.answer = broken
        assert await keys.key("k1") is not None
        clock.advance(PAUSE_S)
    assert place.asked == 6
    place.answer = key_set(jwk("k9"))
    assert await keys.key("k1") is None


async def test_without_ever_having_keys_it_is_503() -> None:
    place, clock = Place(), ManualClock(NOW)
    place.answer = TimeoutError()
    it = Issuer(GOOGLE, AUDIENCE, EMAIL, FetchedKeys("https://i.example.com", clock, place.fetch), clock)
    with pytest.raises(Unavailable):
        await it.accepts(token())
    async with running(issuers=(it,)) as ingress:
        answer = await ingress.post("gar", "{}", {"Authorization": f"Bearer {token()}"})
        assert (answer.status, answer.headers["Retry-After"]) == (503, str(PAUSE_S))
        assert place.asked == 1
        clock.advance(PAUSE_S)
        place.answer = KEYS
        assert (await ingress.post("gar", "{}", {"Authorization": f"Bearer {token()}"})).status == 202


async def test_fetching_over_real_http() -> None:
    async def answer(request: web.Request) -> web.Response:
        match request.path:
            case "/keys":
                return web.Response(body=KEYS)
            case "/large":
                return web.Response(body=b" " * (MAX_KEYS_BYTES + 1))
            case "/elsewhere":
                raise web.HTTPFound("/keys")
        raise web.HTTPInternalServerError

    app = web.Application()
    app.router.add_get("/{name}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        assert await fetch_keys(f"{base}/keys") == KEYS
        clock = ManualClock(NOW)
        assert await key_source(f"{base}/keys", clock).key("k1") is not None
        for path in ("large", "elsewhere", "broken"):
            with pytest.raises(Unavailable):
                await key_source(f"{base}/{path}", clock).key("k1")
    finally:
        await runner.cleanup()


def test_only_keys_that_verify_are_taken() -> None:
    assert set(parse_keys(KEYS)) == {"k1", "k2"}


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"keys": []}', '{"keys": [{"kid": "x"}]}'])
def test_a_file_without_keys_is_said_in_words(tmp_path: Path, text: str) -> None:
    (tmp_path / "keys.json").write_text(text)
    with pytest.raises(ConfigError, match=r"keys.json is not a JSON Web Key Set"):
        key_source(str(tmp_path / "keys.json"), ManualClock())
