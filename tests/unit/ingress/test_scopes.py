"""What a credential opens: its source alone, where that has one of its own, and the repositories that it names."""

import json
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from hookline.errors import ConfigError
from hookline.settings import Settings
from hookline.testing.manual_clock import ManualClock
from services.ingress.app import Door
from services.ingress.credentials import Credentials, id_of
from services.ingress.scope import EVERYTHING, MAX_GLOBS, Scope
from services.ingress.secret_file import read_credentials
from services.ingress.sources import discover
from tests.unit.ingress.conftest import MAPPING, NOW, SOURCES, distribution_request, running
from tests.unit.ingress.test_issuers import AUDIENCE, EMAIL, KEYS, token
from tests.unit.ingress.test_producers import FILES, STARTS

SHARED, OWN, NAMED = "shared-token-16-c", "its-own-secret-16", "named-token-16-ch"
TOKENED = sorted(name for name, source in SOURCES.items() if source.takes_tokens)
PUSH = '{"push_data":{"tag":"v1"},"repository":{"repo_name":"%s"}}'


def read(folder: Path, text: str, tokens: tuple[str, ...] = (SHARED,)) -> dict[str, Credentials]:
    file = folder / "secrets.toml"
    file.write_text(text)
    settings = MAPPING.model_copy(
        update=Settings(ingress_tokens=tokens, ingress_secrets_file=str(file)).model_dump(exclude_unset=True)
    )
    return read_credentials(settings, discover(settings), ManualClock(NOW))


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def refused(source: str) -> float:
    labels = {"source": source, "reason": "repository"}
    return REGISTRY.get_sample_value("hookline_ingress_refused_total", labels) or 0.0


# Sources


@pytest.mark.parametrize("source", TOKENED)
@pytest.mark.parametrize("own", ['{source} = ["{own}"]', '[[tokens]]\ntoken = "{own}"\nsources = ["{source}"]'])
async def test_a_credential_of_its_own_shuts_the_shared_token_out(tmp_path: Path, source: str, own: str) -> None:
    other = next(name for name in TOKENED if name != source)
    known = read(tmp_path, own.format(source=source, own=OWN))
    async with running(known=known) as ingress:
        for name, shown, status in ((source, SHARED, 401), (source, OWN, 202), (other, SHARED, 202), (other, OWN, 401)):
            assert (await ingress.post(name, "{}", bearer(shown))).status == status
            assert (await ingress.post(name, "{}", {}, f"?token={shown}")).status == status


async def test_an_issuer_shuts_the_shared_token_out(tmp_path: Path) -> None:
    known = read(tmp_path, f'gar = [{{audience = "{AUDIENCE}"}}]')
    async with running(known=known) as ingress:
        assert (await ingress.post("gar", "{}", bearer(SHARED))).status == 401
        assert (await ingress.post("quay", "{}", bearer(SHARED))).status == 202


async def test_an_empty_list_is_no_credential_of_its_own(tmp_path: Path) -> None:
    async with running(known=read(tmp_path, "harbor = []")) as ingress:
        assert (await ingress.post("harbor", "{}", bearer(SHARED))).status == 202


@pytest.mark.parametrize("source", TOKENED)
async def test_a_token_without_names_opens_what_a_shared_one_opens(tmp_path: Path, source: str) -> None:
    known = read(tmp_path, f'harbor = ["{OWN}"]\n[[tokens]]\ntoken = "{NAMED}"\n')
    async with running(known=known) as ingress:
        for shown in (SHARED, NAMED):
            assert (await ingress.post(source, "{}", bearer(shown))).status == (401 if source == "harbor" else 202)


async def test_a_token_that_names_a_source_is_no_key_of_its_signatures(tmp_path: Path) -> None:
    """It stands in URLs and headers: who reads it there must not sign with it."""
    known = read(tmp_path, f'[[tokens]]\ntoken = "{NAMED}"\nsources = ["gitea"]')
    secret = Credentials(secrets=(NAMED.encode(),))
    async with running(known=known) as ingress:
        assert (await ingress.post("gitea", "{}", SOURCES["gitea"].present(b"{}", secret))).status == 401
        assert (await ingress.post("gitea", "{}", bearer(NAMED))).status == 202


# Repositories


def names(source: str, repositories: str) -> str:
    """A file in which that source's secret is good for these alone."""
    return f'{source} = [{{secret = "{OWN}", repositories = {repositories}}}]'


@pytest.mark.parametrize("name", STARTS)
async def test_a_push_that_its_credential_does_not_name_leaves_nothing(tmp_path: Path, name: str) -> None:
    file, repository = FILES[name], STARTS[name].repository
    source, body = file["source"], json.dumps(file["body"])
    shown = SOURCES[source].present(body.encode(), Credentials(secrets=(OWN.encode(),)))
    headers = {"Content-Type": "application/json", **shown, **file["headers"]}
    before = refused(source)
    async with running(known=read(tmp_path, names(source, '["some/other", "foreign/*"]'))) as ingress:
        answer = await ingress.post(source, body, headers)
        assert answer.status == 403
        said = f"the credential is good, but not for the repository {repository}"
        assert await answer.json() == {"detail": said}
        assert ingress.everything() == b""
        assert refused(source) == before + 1
    for good in (repository, repository.upper(), f"{repository[:3]}*", "*"):
        async with running(known=read(tmp_path, names(source, f'["some/other", "{good}"]'))) as ingress:
            assert (await ingress.post(source, body, headers)).status == 202
            assert len(ingress.pushes()) == 1
    assert refused(source) == before + 1


@pytest.mark.parametrize("first", [True, False])
async def test_an_envelope_with_one_foreign_push_is_refused_as_a_whole(tmp_path: Path, first: bool) -> None:
    """Else a registry that hears 202 believes that all of it was taken."""
    event = json.loads(distribution_request("v2.8.2-push-manifest-tag-v1")[0])["events"][-1]

    def push(repository: str) -> dict[str, object]:
        return {**event, "id": repository, "target": {**event["target"], "repository": repository}}

    events = [push("acme/app"), push("foreign/app")]
    before = refused("distribution")
    async with running(known=read(tmp_path, names("distribution", '["acme/*"]'))) as ingress:
        body = json.dumps({"events": events if first else events[::-1]})
        assert (await ingress.post("distribution", body, bearer(OWN))).status == 403
        assert ingress.everything() == b""
        assert refused("distribution") == before + 1
        assert (await ingress.post("distribution", json.dumps({"events": events[:1]}), bearer(OWN))).status == 202


async def test_tokens_name_repositories_too(tmp_path: Path) -> None:
    text = f'[[tokens]]\ntoken = "{NAMED}"\nrepositories = ["acme/*"]\n'
    async with running(known=read(tmp_path, text)) as ingress:
        for shown, repository, status in (
            (NAMED, "acme/app", 202),
            (NAMED, "acme/team/app", 202),
            (NAMED, "ACME/App", 202),
            (NAMED, "acme", 403),
            (NAMED, "acmee/app", 403),
            (SHARED, "foreign/app", 202),
        ):
            assert (await ingress.post("dockerhub", PUSH % repository, bearer(shown))).status == status


async def test_events_that_start_nothing_are_not_refused(tmp_path: Path) -> None:
    """A registry's blobs and pulls are of every repository; nothing is kept of them."""
    file = FILES["harbor-pull"]
    async with running(known=read(tmp_path, names("harbor", '["some/other"]'))) as ingress:
        answer = await ingress.post("harbor", json.dumps(file["body"]), bearer(OWN))
        assert (answer.status, await answer.json()) == (
            202,
            {"accepted": 0, "duplicates": 0, "ignored": 1, "quarantined": 0},
        )


async def test_accounts_of_one_issuer_name_repositories_of_their_own(tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    keys.write_bytes(KEYS)
    entry = '{{audience = "{}", email = "{}", jwks = "{}", repositories = ["{}"]}}'
    entries = (
        entry.format(AUDIENCE, email, keys, glob) for email, glob in ((EMAIL, "my-project/*"), ("b@x.test", "b/*"))
    )
    body = json.dumps(FILES["gar-insert-tag"]["body"])
    async with running(known=read(tmp_path, f"gar = [{', '.join(entries)}]")) as ingress:
        for email, status in ((EMAIL, 202), ("b@x.test", 403), ("c@x.test", 401)):
            assert (await ingress.post("gar", body, bearer(token(email=email)))).status == status


def test_a_credential_listed_twice_is_good_for_what_either_says(tmp_path: Path) -> None:
    one = f'{{secret = "{OWN}", repositories = ["a/*"]}}'
    other = f'{{secret = "{OWN}", repositories = ["b/*"]}}'
    found = read(tmp_path, f"harbor = [{one}, {other}]")["harbor"]
    assert found.scope_of(id_of(OWN.encode())) == Scope(("a/*", "b/*"))
    found = read(tmp_path, f'harbor = [{one}, "{OWN}"]')["harbor"]
    assert found.scope_of(id_of(OWN.encode())) == EVERYTHING


def test_what_a_command_presents_is_good_for_every_repository_where_one_is(tmp_path: Path) -> None:
    """`hookline quarantine retry` delivers what lies there, whatever its repository."""
    known = read(tmp_path, f'harbor = [{{secret = "{OWN}", repositories = ["a/*"]}}, "second-own-secret"]')
    assert SOURCES["harbor"].present(b"{}", known["harbor"]) == bearer("second-own-secret")
    assert SOURCES["harbor"].present(b"{}", read(tmp_path, names("harbor", '["a/*"]'))["harbor"]) == bearer(OWN)


# The file


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('tokens = "x"', "tokens: must be a list of tables"),
        ('tokens = ["x"]', "tokens: entry 1: must be a table with a token"),
        ('[[tokens]]\nsources = ["harbor"]', "tokens: entry 1: must be a table with a token"),
        ('[[tokens]]\ntoken = "marked-short"', "tokens: entry 1: too short: at least 16 characters"),
        (f'[[tokens]]\ntoken = "{SHARED}"', "tokens: entry 1: stands in HOOKLINE_INGRESS_TOKENS, too"),
        ('[[tokens]]\ntoken = "{t}"\nsource = ["harbor"]', "tokens: entry 1: a token has no source; it has repositories"),
        ('[[tokens]]\ntoken = "{t}"\n[[tokens]]\ntoken = "{t}"\nsources = ["x"]', "tokens: entry 2: x: no such source"),
        ('[[tokens]]\ntoken = "{t}"\nsources = ["github"]', "tokens: entry 1: github takes no token"),
        ('[[tokens]]\ntoken = "{t}"\nsources = []', "tokens: entry 1: sources must be a list of 1 to 100 texts"),
        ('[[tokens]]\ntoken = "{t}"\nrepositories = "a/*"', "tokens: entry 1: repositories must be a list of 1"),
        ('[[tokens]]\ntoken = "{t}"\nrepositories = [""]', "tokens: entry 1: repositories must be a list of 1"),
        ('harbor = [{secret = "marked", repositories = []}]', "harbor: repositories must be a list of 1 to 100 texts"),
        ('harbor = [{secret = "marked", repositories = [7]}]', "harbor: repositories must be a list of 1"),
        ('harbor = [{secret = "marked", repository = ["a"]}]', "harbor: a secret has no repository; it may have"),
        ('harbor = [{secret = ""}]', "harbor: each entry must be non-empty text"),
        ('gar = [{audience = "x", repositories = 7}]', "gar: repositories must be a list of 1"),
    ],
)  # fmt: skip
def test_a_wrong_entry_is_said_in_words(tmp_path: Path, text: str, said: str) -> None:
    text = text.replace("{t}", "marked-token-16-c")
    with pytest.raises(ConfigError) as raised:
        read(tmp_path, text)
    assert f"HOOKLINE_INGRESS_SECRETS_FILE: {said}" in str(raised.value)
    assert "marked" not in str(raised.value)


def test_bounds_of_what_an_entry_names(tmp_path: Path) -> None:
    read(tmp_path, names("harbor", json.dumps(["g" * 255] * MAX_GLOBS)))
    for globs in (["g"] * (MAX_GLOBS + 1), ["g" * 256]):
        with pytest.raises(ConfigError, match="repositories must be"):
            read(tmp_path, names("harbor", json.dumps(globs)))


def test_a_source_with_named_credentials_only_is_configured(tmp_path: Path) -> None:
    known = read(tmp_path, f'[[tokens]]\ntoken = "{NAMED}"\nsources = ["quay"]', tokens=())
    unset = {name: Door(source, known[name]).unset() for name, source in SOURCES.items()}
    assert [name for name, missing in unset.items() if not missing] == ["quay"]
