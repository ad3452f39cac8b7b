"""The source `generic` over HTTP: each mapping at its own URL, with its own credential, under its own name everywhere."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from multidict import CIMultiDict, MultiDict
from standardwebhooks.webhooks import Webhook

from hookline.errors import ConfigError
from hookline.settings import Settings
from hookline.testing.manual_clock import ManualClock
from services.ingress import metrics
from services.ingress.credentials import Credentials
from services.ingress.delivery import Delivery
from services.ingress.secret_file import read_credentials
from services.ingress.sources import discover
from services.ingress.standard_webhooks import MAX_SIGNATURES, StandardWebhooks
from tests.metric_values import value_of
from tests.unit.ingress.conftest import BEARER, LOG_ID, NOW, READER, TOKEN, running

BODY = json.dumps({"image": "quay.io/acme/app:1.0", "by": "ci"})
TWO = json.dumps({"image": "quay.io/acme/app", "tag": ["1.0", "latest"]})
KEY = base64.b64encode(b"k" * 24).decode()
SECRET = f"whsec_{KEY}"
FILE = """
[plain]
image = "image"
tag = "tag"
when = "!ping"

[other]
image = "image"
pusher = "by"

[signed]
image = "image"
signature = {header = "X-Sig"}

[sha1]
image = "image"
signature = {header = "X-Sig", prefix = "sha1=", algorithm = "sha1"}

[base64]
image = "image"
signature = {header = "X-Sig", algorithm = "sha512", encoding = "base64"}

[shown]
image = "image"
secret_header = "X-Buildkite-Token"

[standard]
image = "image"
tag = "tag"
standard_webhooks = true
"""
OWN = "own-secret-0123456789"
SECRETS = {f"generic/{name}": (OWN,) for name in ("signed", "sha1", "base64", "shown")} | {
    "generic/standard": (SECRET,)
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "mappings.toml").write_text(FILE)
    return Settings(generic_file=str(tmp_path / "mappings.toml"), generic_image="image")


async def test_each_mapping_has_its_url_and_pushes_have_its_name(settings: Settings) -> None:
    async with running(settings=settings) as ingress:
        for name in ("generic", "generic/plain", "generic/other"):
            answer = await ingress.post(name, BODY)
            assert (answer.status, (await answer.json())["accepted"]) == (202, 1), "one body is three events of three"
        assert [push.source for push in ingress.pushes()] != []
        by_source = {push.source: push for push in ingress.pushes()}
        assert set(by_source) == {"generic", "generic/plain", "generic/other"}
        assert by_source["generic/other"].pusher == "ci"
        assert by_source["generic/plain"].pusher is None
        for push in ingress.pushes():
            assert READER.read_again(push, LOG_ID) == push, "an audit knows no mapping, and its name is enough"
        assert ingress.wrong() == []


@pytest.mark.parametrize(
    "path", ["generic/none", "generic//", "generic/plain/x", "generic/PLAIN%00", "quay/plain", "generic%2Fnone"]
)
async def test_what_no_mapping_has_is_not_found(settings: Settings, path: str) -> None:
    async with running(settings=settings) as ingress:
        assert (await ingress.post(path, BODY)).status in (400, 404)
        assert not ingress.pushes()


@pytest.mark.parametrize("path", ["generic/plain/", "Generic/PLAIN", "GENERIC/plain/"])
async def test_a_mapping_too_is_found_however_its_url_is_spelt(settings: Settings, path: str) -> None:
    async with running(settings=settings) as ingress:
        assert (await ingress.post(path, BODY)).status == 202
        assert [push.source for push in ingress.pushes()] == ["generic/plain"]
        assert (await ingress.client.get(f"/events/{path}")).status == 405


async def test_two_tags_are_two_pushes_and_no_repeats_of_each_other(settings: Settings) -> None:
    async with running(settings=settings) as ingress:
        for counted in ("accepted", "duplicates"):
            answer = await (await ingress.post("generic/plain", TWO)).json()
            assert answer[counted] == 2
        assert sorted(str(push.tag) for push in ingress.pushes()) == ["1.0", "1.0", "latest", "latest"]
        for push in ingress.pushes():
            answer = await (await ingress.post("generic/plain", push.raw, BEARER | push.headers)).json()
            assert answer["duplicates"] == 1
        assert ingress.wrong() == []


async def test_what_it_counts_and_quarantines_has_the_mappings_name(settings: Settings) -> None:
    async with running(settings=settings) as ingress:
        refused = value_of(metrics.REFUSED.labels("generic/plain", "credential"))
        ignored = value_of(metrics.IGNORED.labels("generic/plain", "when"))
        assert (await ingress.post("generic/plain", BODY, {})).status == 401
        assert (await ingress.post("generic/plain", '{"ping": true}')).status == 202
        assert (await ingress.post("generic/plain", "{}")).status == 202
        assert value_of(metrics.REFUSED.labels("generic/plain", "credential")) == refused + 1
        assert value_of(metrics.IGNORED.labels("generic/plain", "when")) == ignored + 1
        (kept,) = ingress.quarantine()
        assert kept.source == "generic/plain"
        assert kept.reason == "no repository: `image` of the mapping plain finds none"


# Credentials


def signed(algorithm: str, body: str) -> bytes:
    return hmac.new(OWN.encode(), body.encode(), algorithm).digest()


GOOD: dict[str, list[Callable[[str], dict[str, str]]]] = {
    "signed": [
        lambda body: {"X-Sig": signed("sha256", body).hex()},
        lambda body: {"x-sig": signed("sha256", body).hex().upper()},
    ],
    "sha1": [
        lambda body: {"X-Sig": "sha1=" + signed("sha1", body).hex()},
        lambda body: {"X-Sig": signed("sha1", body).hex()},
    ],
    "base64": [
        lambda body: {"X-Sig": base64.b64encode(signed("sha512", body)).decode()},
        lambda body: {"X-Sig": base64.urlsafe_b64encode(signed("sha512", body)).decode().rstrip("=")},
    ],
    "shown": [lambda body: {"X-Buildkite-Token": OWN}],
}
BAD: dict[str, list[Callable[[str], dict[str, str]]]] = {
    "signed": [
        lambda body: {"X-Sig": signed("sha256", body + " ").hex()},
        lambda body: {"X-Hub-Signature-256": "sha256=" + signed("sha256", body).hex()},
        lambda body: {"X-Sig": "sha256=" + signed("sha256", body).hex()},
        lambda body: {"X-Sig": base64.b64encode(signed("sha256", body)).decode()},
    ],
    "sha1": [lambda body: {"X-Sig": "sha1=" + signed("sha256", body).hex()}],
    "base64": [
        lambda body: {"X-Sig": signed("sha512", body).hex()},
        lambda body: {"X-Sig": base64.b64encode(signed("sha512", body + " ")).decode()},
    ],
    "shown": [lambda body: {"X-Buildkite-Token": OWN + "x"}, lambda body: {"X-Buildkite-Token": ""}],
}
TOKENS = [BEARER, {"Authorization": f"Bearer {OWN}"}, {"Authorization": OWN}, {}]


@pytest.mark.parametrize("name", GOOD)
async def test_a_mappings_own_credential_opens_it_and_no_other_does(settings: Settings, name: str) -> None:
    async with running(settings=settings, secrets=SECRETS) as ingress:
        body = BODY
        for number, good in enumerate(GOOD[name]):
            body = json.dumps({"image": f"acme/app:{number}"})
            assert (await ingress.post(f"generic/{name}", body, good(body))).status == 202
        assert len(ingress.pushes()) == len(GOOD[name])
        for bad in BAD[name]:
            assert (await ingress.post(f"generic/{name}", body, bad(body))).status == 401
        for shown in TOKENS:
            answer = await ingress.post(f"generic/{name}", body, shown, f"?token={TOKEN}" if shown == {} else "")
            assert answer.status == 401, "it is told to look at its header alone"


@pytest.mark.parametrize("name", ["signed", "sha1", "base64", "shown", "standard"])
async def test_what_a_retry_shows_opens_it(settings: Settings, name: str) -> None:
    source = discover(settings, ManualClock(NOW))[f"generic/{name}"]
    known = Credentials(secrets=tuple(secret.encode() for secret in SECRETS[f"generic/{name}"]))
    async with running(settings=settings, secrets=SECRETS) as ingress:
        for counted in ("accepted", "duplicates"):
            answer = await ingress.post(f"generic/{name}", BODY, source.present(BODY.encode(), known))
            assert (await answer.json())[counted] == 1


async def test_without_its_secret_a_mapping_that_signs_is_not_configured(settings: Settings) -> None:
    async with running(settings=settings, secrets={}) as ingress:
        answer = await ingress.post("generic/signed", BODY)
        assert answer.status == 404
        assert '"generic/signed" = ["SECRET"]' in (await answer.json())["detail"]


# Standard Webhooks


def standard(body: str, message_id: str = "msg_1", secret: str = SECRET, *, age_s: int = 0) -> dict[str, str]:
    """By the specification's own library."""
    at = datetime.fromtimestamp(NOW // 1000 - age_s, UTC)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(message_id, at, body),
    }


async def test_a_standard_webhook_is_known_again_by_its_id(settings: Settings) -> None:
    async with running(settings=settings, secrets=SECRETS) as ingress:
        assert (await (await ingress.post("generic/standard", TWO, standard(TWO))).json())["accepted"] == 2
        assert [push.producer_id for push in sorted(ingress.pushes(), key=lambda push: str(push.tag))] == [
            "msg_1/1",
            "msg_1/2",
        ]
        assert {push.dedupe_window_s for push in ingress.pushes()} == {24 * 3600}
        assert {push.headers["webhook-id"] for push in ingress.pushes()} == {"msg_1"}, (
            "a retry from quarantine needs it"
        )
        ingress.clock.advance(200)
        assert (await (await ingress.post("generic/standard", TWO, standard(TWO, age_s=-150))).json())[
            "duplicates"
        ] == 2
        assert (await (await ingress.post("generic/standard", TWO, standard(TWO, "msg_2", age_s=-200))).json())[
            "accepted"
        ] == 2
        assert ingress.wrong() == []


@pytest.mark.parametrize("age_s", [300, -300, 299, 0])
async def test_a_standard_webhook_within_five_minutes_is_taken(settings: Settings, age_s: int) -> None:
    async with running(settings=settings, secrets=SECRETS) as ingress:
        assert (await ingress.post("generic/standard", BODY, standard(BODY, age_s=age_s))).status == 202


OTHER = standard(BODY)["webhook-signature"]
WRONG_HEADERS = [
    {"webhook-id": "msg_2"},
    {"webhook-id": ""},
    {"webhook-timestamp": str(NOW // 1000 + 1)},
    {"webhook-timestamp": "now"},
    {"webhook-timestamp": ""},
    {"webhook-timestamp": "9" * 400},
    {"webhook-timestamp": "-1"},
    {"webhook-signature": OTHER.replace("v1,", "v1a,")},
    {"webhook-signature": OTHER.removeprefix("v1,")},
    {"webhook-signature": "v1," + base64.b64encode(bytes(32)).decode()},
    {"webhook-signature": ""},
    {"webhook-signature": " ".join(["v1," + base64.b64encode(bytes(32)).decode()] * MAX_SIGNATURES + [OTHER])},
]


@pytest.mark.parametrize("wrong", WRONG_HEADERS)
async def test_a_standard_webhook_with_one_thing_changed_is_refused(settings: Settings, wrong: dict[str, str]) -> None:
    async with running(settings=settings, secrets=SECRETS) as ingress:
        assert (await ingress.post("generic/standard", BODY, standard(BODY) | wrong)).status == 401
        assert not ingress.pushes()


@pytest.mark.parametrize("age_s", [302, -302, 100_000])
async def test_an_old_standard_webhook_is_refused_before_its_body_is_read(settings: Settings, age_s: int) -> None:
    source = discover(settings, ManualClock(NOW))["generic/standard"]
    (check,) = source.checks
    assert isinstance(check, StandardWebhooks)
    assert not check.claims(Delivery(b"", CIMultiDict(standard(BODY, age_s=age_s)), MultiDict()))
    assert check.claims(Delivery(b"", CIMultiDict(standard(BODY)), MultiDict()))
    async with running(settings=settings, secrets=SECRETS) as ingress:
        assert (await ingress.post("generic/standard", BODY, standard(BODY, age_s=age_s))).status == 401


async def test_of_several_signatures_one_is_enough(settings: Settings) -> None:
    async with running(settings=settings, secrets=SECRETS) as ingress:
        headers = standard(BODY)
        stranger = base64.b64encode(b"s" * 24).decode()
        several = " ".join(
            [standard(BODY, secret=stranger)["webhook-signature"], "v1a,x", headers["webhook-signature"]]
        )
        assert (await ingress.post("generic/standard", BODY, headers | {"webhook-signature": several})).status == 202


async def test_a_retry_keeps_the_id_that_the_body_came_with(settings: Settings) -> None:
    source = discover(settings, ManualClock(NOW))["generic/standard"]
    known = Credentials(secrets=(SECRET.encode(),))
    shown = source.present(BODY.encode(), known, {"webhook-id": "msg_7"})
    assert shown["webhook-id"] == "msg_7"
    async with running(settings=settings, secrets=SECRETS) as ingress:
        assert (await ingress.post("generic/standard", BODY, shown)).status == 202
        assert [push.producer_id for push in ingress.pushes()] == ["msg_7"]


# The file of secrets


def read(tmp_path: Path, settings: Settings, text: str, *tokens: str) -> dict[str, Credentials]:
    (tmp_path / "s.toml").write_text(text)
    both = settings.model_copy(
        update={
            "ingress_secrets_file": str(tmp_path / "s.toml"),
            "ingress_tokens": Settings(ingress_tokens=tokens).ingress_tokens,
        }
    )
    return read_credentials(both, discover(both), ManualClock(NOW))


def test_secrets_stand_under_the_whole_name(tmp_path: Path, settings: Settings) -> None:
    text = f'"generic/signed" = ["a", "b"]\n"generic/standard" = ["{SECRET}", "{KEY}"]\ngeneric = ["c"]\n'
    text += f'[[tokens]]\ntoken = "{OWN}"\nsources = ["generic/plain"]\n'
    found = read(tmp_path, settings, text, TOKEN)
    assert found["generic/signed"].secrets == (b"a", b"b")
    assert found["generic"] == Credentials((), (b"c",))
    assert found["generic/plain"].tokens == (OWN.encode(),), "those that serve all open it no more"
    assert found["generic/other"].tokens == (TOKEN.encode(),)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('"generic/none" = ["x"]', "generic/none: no such source"),
        ('"generic/standard" = ["whsec_"]', "generic/standard: a secret of Standard Webhooks has a key behind whsec_"),
        (
            '"generic/standard" = ["whsec_marked!"]',
            "generic/standard: a secret of Standard Webhooks is whsec_ and base64",
        ),
        ('[[tokens]]\ntoken = "marked-0123456789"\nsources = ["generic/signed"]', "generic/signed takes no token"),
    ],
)
def test_a_wrong_secret_is_said_in_words(tmp_path: Path, settings: Settings, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        read(tmp_path, settings, text)
    assert said in str(raised.value)
    assert "marked" not in str(raised.value)


def test_the_library_and_we_sign_alike() -> None:
    signed_by_us = StandardWebhooks(ManualClock(NOW)).present(BODY.encode(), SECRET.encode(), {"webhook-id": "msg_1"})
    assert signed_by_us == standard(BODY)
    assert (
        hashlib.sha256(BODY.encode()).hexdigest()[:32]
        in StandardWebhooks(ManualClock(NOW)).present(BODY.encode(), SECRET.encode())["webhook-id"]
    )
