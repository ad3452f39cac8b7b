"""How each producer can prove who it is, and that nothing else opens a source."""

import hmac
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import encode_basic_auth
from multidict import CIMultiDict, MultiDict

from hookline.errors import ConfigError
from hookline.settings import Settings
from hookline.testing.manual_clock import ManualClock
from services.ingress.credentials import Credentials
from services.ingress.delivery import Delivery
from services.ingress.form import form_payload
from services.ingress.secret_file import read_credentials
from services.ingress.sources import discover
from tests.unit.ingress.conftest import BEARER, SECRETS, SOURCES, TOKEN, Ingress, running

BODY = b'{"some": "body"}'
TOKENED = sorted(name for name, source in SOURCES.items() if source.takes_tokens)


def signed(secret: str, body: bytes = BODY, algorithm: str = "sha256") -> str:
    return hmac.new(secret.encode(), body, algorithm).hexdigest()


# Tokens


@pytest.mark.parametrize("source", TOKENED)
async def test_ingress_tokens_serve_every_source_that_can_carry_one(ingress: Ingress, source: str) -> None:
    good = [({"Authorization": f"Bearer {TOKEN}"}, ""), ({}, f"?token={TOKEN}")]
    good.append(({"Authorization": encode_basic_auth("anyone", TOKEN)}, ""))
    for headers, query in good:
        assert (await ingress.post(source, BODY, headers, query)).status == 202
    for headers, query in [({}, ""), ({"Authorization": "Bearer wrong"}, ""), ({}, "?token=wrong")]:
        assert (await ingress.post(source, BODY, headers, query)).status == 401


async def test_which_sources_take_no_token(ingress: Ingress) -> None:
    assert set(SOURCES) - set(TOKENED) == {"github", "nexus"} == set(SECRETS)
    for source in SECRETS:
        for headers, query in ((BEARER, ""), ({}, f"?token={TOKEN}"), ({"X-Hub-Signature-256": TOKEN}, "")):
            assert (await ingress.post(source, BODY, headers, query)).status == 401


@pytest.mark.parametrize("source", ["acr", "cloudevents", "distribution", "gitea", "gitlab", "harbor", "zot"])
async def test_authorization_as_it_was_typed_in(ingress: Ingress, source: str) -> None:
    """Harbor, GitLab and others send the header's whole value as it was configured."""
    assert (await ingress.post(source, BODY, {"Authorization": TOKEN})).status == 202
    assert (await ingress.post(source, BODY, {"Authorization": TOKEN + "x"})).status == 401
    assert (await ingress.post(source, BODY, {"Authorization": ""})).status == 401


async def test_a_sources_own_secret_is_a_token_of_that_source_alone() -> None:
    async with running(tokens=(), secrets={"harbor": ("new", "old")}) as ingress:
        for secret in ("new", "old"):
            assert (await ingress.post("harbor", BODY, {"Authorization": f"Bearer {secret}"})).status == 202
        assert (await ingress.post("harbor", BODY, {"Authorization": f"Bearer {TOKEN}"})).status == 401
        assert (await ingress.post("quay", BODY, {}, "?token=new")).status == 404


# Signatures

SIGNATURES: list[tuple[str, str, Callable[[str], str]]] = [
    ("github", "X-Hub-Signature-256", lambda secret: "sha256=" + signed(secret)),
    ("gitea", "X-Gitea-Signature", signed),
    ("gitea", "X-Hub-Signature-256", lambda secret: "sha256=" + signed(secret)),
    ("forgejo", "X-Forgejo-Signature", signed),
    ("jfrog", "X-JFrog-Event-Auth", signed),
    ("jfrog", "X-JFrog-Event-Auth", lambda secret: secret),
    ("nexus", "X-Nexus-Webhook-Signature", lambda secret: signed(secret, algorithm="sha1")),
    ("cloudevents", "X-Hub-Signature-256", lambda secret: "sha256=" + signed(secret)),
    ("generic", "X-Hub-Signature-256", lambda secret: "sha256=" + signed(secret)),
]


@pytest.mark.parametrize(("source", "header", "sign"), SIGNATURES)
async def test_signatures(source: str, header: str, sign: Callable[[str], str]) -> None:
    async with running(tokens=(), secrets={source: ("new", "old")}) as ingress:
        for secret in ("new", "old"):
            assert (await ingress.post(source, BODY, {header: sign(secret)})).status == 202
        for wrong in (sign("other"), sign("new")[:-1], sign("new") + "0", "", "sha256=", signed(""), "ü" * 64):
            assert (await ingress.post(source, BODY, {header: wrong})).status == 401
        if sign("new") != "new":
            assert (await ingress.post(source, BODY + b" ", {header: sign("new")})).status == 401
            assert (
                await ingress.post(source, BODY, {header: sign("new").upper().replace("SHA256", "sha256")})
            ).status == 202


@pytest.mark.parametrize(
    ("source", "header", "value"),
    [
        ("github", "X-Hub-Signature-256", signed("new")),
        ("github", "X-Hub-Signature-256", "sha1=" + signed("new", algorithm="sha1")),
        ("github", "X-Hub-Signature", "sha1=" + signed("new", algorithm="sha1")),
        ("gitea", "X-Gitea-Signature", signed("new", algorithm="sha1")),
        ("nexus", "X-Nexus-Webhook-Signature", signed("new")),
        ("nexus", "X-Hub-Signature-256", "sha256=" + signed("new")),
        ("jfrog", "X-JFrog-Event-Auth", "sha256=" + signed("new")),
    ],
)
async def test_another_sources_way_of_signing_is_none(source: str, header: str, value: str) -> None:
    """SHA-1 is Nexus' alone; a prefix is part of the signature."""
    async with running(tokens=(), secrets={source: ("new",)}) as ingress:
        assert (await ingress.post(source, BODY, {header: value})).status == 401


async def test_tokens_are_no_keys_of_signatures() -> None:
    """INGRESS_TOKENS stand in URLs and headers of other registries: who reads one there must not sign with it."""
    async with running(secrets={"github": ("new",)}) as ingress:
        headers = {"X-Hub-Signature-256": "sha256=" + signed(TOKEN)}
        assert (await ingress.post("github", BODY, headers)).status == 401
        assert (await ingress.post("gitea", BODY, {"X-Gitea-Signature": signed(TOKEN)})).status == 401


async def test_gitea_signs_the_payload_of_a_form() -> None:
    from urllib.parse import urlencode

    payload = json.dumps({"action": "created", "text": "a&b=c é"})
    form = urlencode({"payload": payload})
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Gitea-Signature": signed("new", payload.encode()),
    }
    async with running(tokens=(), secrets={"gitea": ("new",), "github": ("new",)}) as ingress:
        assert (await ingress.post("gitea", form, headers)).status == 202
        assert (await ingress.post("gitea", form + "&x=1", headers | {"X-Gitea-Signature": signed("x")})).status == 401
        # GitHub signs the form itself.
        name = "X-Hub-Signature-256"
        assert (
            await ingress.post("github", form, headers | {name: "sha256=" + signed("new", form.encode())})
        ).status == 202
        assert (
            await ingress.post("github", form, headers | {name: "sha256=" + signed("new", payload.encode())})
        ).status == 401


@pytest.mark.parametrize(
    ("body", "content_type", "payload"),
    [
        (b"payload=%7b%22a%22%3A+1%7D", "application/x-www-form-urlencoded", b'{"a": 1}'),
        (
            b"x=1&payload=a%2Bb%C3%A9&payload=2",
            "application/x-www-form-urlencoded; charset=utf-8",
            "a+b\u00e9".encode(),
        ),
        (b"payload=100%&x", "Application/X-WWW-Form-Urlencoded", b"100%"),
        (b"payload=%zz%4", "application/x-www-form-urlencoded", b"%zz%4"),
        (b"payload=", "application/x-www-form-urlencoded", b""),
        (b"xpayload=1&y", "application/x-www-form-urlencoded", None),
        (b"payload=1", "application/json", None),
        (b"payload=1", "", None),
    ],
)
def test_the_payload_of_a_form(body: bytes, content_type: str, payload: bytes | None) -> None:
    assert form_payload(Delivery(body, CIMultiDict({"Content-Type": content_type}), MultiDict())) == payload


async def test_nexus_signs_its_json_without_spaces() -> None:
    sent = b'{\n  "a b" : "c \\" d" ,\r\n\t"e": [ 1, 2 ] }'
    compact = b'{"a b":"c \\" d","e":[1,2]}'
    async with running(tokens=(), secrets={"nexus": ("new",)}) as ingress:
        for body, over in ((sent, compact), (sent, sent), (compact, compact)):
            headers = {"X-Nexus-Webhook-Signature": signed("new", over, "sha1")}
            assert (await ingress.post("nexus", body, headers)).status == 202
        headers = {"X-Nexus-Webhook-Signature": signed("new", compact.replace(b"a b", b"ab"), "sha1")}
        assert (await ingress.post("nexus", sent, headers)).status == 401


async def test_a_compressed_body_is_signed_as_it_was_sent() -> None:
    import gzip

    packed = gzip.compress(BODY)
    async with running(tokens=(), secrets={"github": ("new",)}) as ingress:
        for body, status in ((packed, 202), (BODY, 401)):
            headers = {"X-Hub-Signature-256": "sha256=" + signed("new", body), "Content-Encoding": "gzip"}
            assert (await ingress.post("github", packed, headers)).status == status


# Not configured


async def test_a_source_without_a_credential_to_check_stops_nothing_else(ingress: Ingress) -> None:
    async with running(secrets={}) as closed:
        answer = await closed.post("github", BODY, {"X-Hub-Signature-256": "sha256=" + signed("")})
        assert answer.status == 404
        assert (await answer.json())["detail"].startswith(
            'source not configured: set HOOKLINE_INGRESS_SECRETS_FILE to a TOML file with github = ["SECRET"]'
        )
        assert (await closed.post("dockerhub", BODY)).status == 202


@pytest.mark.parametrize("source", sorted(SOURCES))
async def test_without_any_credential_no_source_is_configured(source: str) -> None:
    async with running(tokens=(), secrets={}) as closed:
        answer = await closed.post(
            source, BODY, {"Authorization": "", "X-JFrog-Event-Auth": "", "X-Api-Key": ""}, "?token="
        )
        assert answer.status == 404
        assert (await answer.json())["detail"].startswith("source not configured: set HOOKLINE_INGRESS_")


async def test_generic_without_a_mapping_is_not_configured() -> None:
    async with running(settings=Settings()) as ingress:
        answer = await ingress.post("generic", BODY)
        assert answer.status == 404
        assert (await answer.json())["detail"].startswith("source not configured: set HOOKLINE_GENERIC_REPOSITORY ")


async def test_insecure_ingress_opens_what_has_nothing_to_check_and_nothing_else() -> None:
    async with running(tokens=(), secrets={"github": ("new",)}, settings=Settings(), is_open=True) as ingress:
        assert (await ingress.post("dockerhub", BODY, {})).status == 202
        assert (await ingress.post("nexus", BODY, {})).status == 202
        assert (await ingress.post("github", BODY, {})).status == 401
        assert (await ingress.post("generic", BODY, {})).status == 404


# The handshake of CloudEvents' webhooks


@pytest.mark.parametrize("source", sorted(name for name, source in SOURCES.items() if source.handshake))
async def test_options(ingress: Ingress, source: str) -> None:
    headers = {"WebHook-Request-Origin": "eventgrid.azure.net", "WebHook-Request-Rate": "120"}
    answer = await ingress.client.options(f"/events/{source}?token={TOKEN}", headers=headers)
    assert answer.status == 200
    assert answer.headers["WebHook-Allowed-Origin"] == "eventgrid.azure.net"
    assert answer.headers["WebHook-Allowed-Rate"] == "*"
    assert (await ingress.client.options(f"/events/{source}", headers=headers)).status == 401


# The file


def read(path: Path, text: str, tokens: tuple[str, ...] = ()) -> dict[str, Credentials]:
    path.write_text(text)
    settings = Settings(ingress_tokens=tokens, ingress_secrets_file=str(path))
    return read_credentials(settings, discover(), ManualClock())


TOKENS = (b"token-of-all-no-1", b"token-of-all-no-2")


def test_the_secrets_file(tmp_path: Path) -> None:
    found = read(
        tmp_path / "s.toml", 'github = ["new", "old"]\nharbor = ["x"]\n', ("token-of-all-no-1", "token-of-all-no-2")
    )
    assert set(found) == set(SOURCES)
    assert found["github"] == Credentials((), (b"new", b"old"))
    assert found["harbor"] == Credentials((), (b"x",))
    assert found["quay"] == Credentials(TOKENS)
    assert "new" not in repr(found["github"])


def test_an_issuer_in_the_secrets_file(tmp_path: Path) -> None:
    text = '[[gar]]\naudience = "https://hooks.example.com"\nemail = "p@example.iam.gserviceaccount.com"\n'
    assert len(read(tmp_path / "s.toml", text)["gar"].issuers) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("github = [", "s.toml is not TOML: "),
        ('githob = ["x"]', "githob: no such source; there are: acr, "),
        ('github = "x"', 'github: must be a list, newest first, such as ["new secret", "old secret"]'),
        ("github = [7]", "github: each entry must be non-empty text"),
        ('github = [""]', "github: each entry must be non-empty text"),
        ('github = [{audience = "x"}]', "github: sends no JWTs"),
        ("gar = [{}]", "gar: an issuer needs its audience"),
        ("gar = [{audience = 7}]", "gar: an issuer's values must be non-empty text"),
        ('gar = [{audience = "x", secret = "marked"}]', "gar: a secret has no audience; it may have repositories"),
        ('gar = [{audience = "x", secrets = "marked"}]', "gar: an issuer has no secrets; it has audience, email, issuer, jwks, repositories"),
        ('gar = [{audience = "x", issuer = "https://i.example.com"}]', "gar: an issuer that is not Google needs jwks"),
        ('gar = [{audience = "x", jwks = "/nowhere/keys.json"}]', "cannot read the keys /nowhere/keys.json"),
    ],
)  # fmt: skip
def test_a_wrong_secrets_file_is_said_in_words(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        read(tmp_path / "s.toml", text)
    assert said in str(raised.value)
    assert "marked" not in str(raised.value)


def test_a_secrets_file_that_is_not_there(tmp_path: Path) -> None:
    settings = Settings(ingress_secrets_file=str(tmp_path / "none"))
    with pytest.raises(ConfigError, match=r"HOOKLINE_INGRESS_SECRETS_FILE: cannot read .*none: No such file"):
        read_credentials(settings, discover(), ManualClock())
    (tmp_path / "none").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="is not UTF-8"):
        read_credentials(settings, discover(), ManualClock())


@pytest.mark.parametrize(
    ("expression", "said"),
    [("a.[", "is not JMESPath: "), ("nothing(a)", "is not JMESPath"), ("a..b", "is not JMESPath")],
)
def test_a_mapping_that_is_no_jmespath_is_said_in_words(expression: str, said: str) -> None:
    with pytest.raises(ConfigError, match=rf"HOOKLINE_GENERIC_TAG {said}"):
        discover(Settings(generic_tag=expression))
