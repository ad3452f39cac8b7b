"""`hookline sources`: every kind of registry, with URL, credential, state and what to paste; never a secret."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hookline.cli.local.local_secrets import SecretFile
from hookline.cli.main import app
from services.ingress.sources import discover

TOKEN, SECRET = "marked-token-0123", "marked-secret"


def run(*arguments: str, data: Path, **settings: str) -> str:
    names = (
        "HOOKLINE_INGRESS_TOKENS",
        "HOOKLINE_INGRESS_SECRETS_FILE",
        "HOOKLINE_GENERIC_REPOSITORY",
        "HOOKLINE_INSECURE_INGRESS",
    )
    environment: dict[str, str | None] = dict.fromkeys(names) | {"TERM": "dumb"} | dict(settings)
    result = CliRunner().invoke(app, ["sources", "--data", str(data), *arguments], env=environment)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


def listed(*arguments: str, data: Path, **settings: str) -> dict[str, dict[str, object]]:
    found = json.loads(run("--json", *arguments, data=data, **settings))
    return {one["name"]: one for one in found}


def test_json_has_every_source(tmp_path: Path) -> None:
    found = listed(data=tmp_path, HOOKLINE_INGRESS_TOKENS=TOKEN)
    assert list(found) == list(discover())
    for name, one in found.items():
        assert one["path"] == f"/events/{name}"
        assert one["url"] == f"http://127.0.0.1:8081/events/{name}"
        assert one["credential"]
        assert one["title"]
    assert found["github"]["credential"] == "hmac-sha256 in X-Hub-Signature-256"
    assert "hmac-sha1" in str(found["nexus"]["credential"])
    assert "OIDC JWT" in str(found["gar"]["credential"])
    assert [name for name, one in found.items() if one["preview"]] == ["acr", "ecr", "gar", "jfrog", "nexus"]
    assert [name for name, one in found.items() if not one["configured"]] == ["generic", "github", "nexus"]
    assert found["quay"]["missing"] is None
    assert "HOOKLINE_INGRESS_SECRETS_FILE" in str(found["github"]["missing"])
    assert "HOOKLINE_GENERIC_REPOSITORY" in str(found["generic"]["missing"])


def test_what_is_set_and_what_up_made_count(tmp_path: Path) -> None:
    assert not any(one["configured"] for one in listed(data=tmp_path).values())
    SecretFile(tmp_path).complete({}, own_broker=True)
    assert listed(data=tmp_path)["quay"]["configured"]
    (tmp_path / "s.toml").write_text(f'github = ["{SECRET}"]')
    secrets = listed(data=tmp_path / "none", HOOKLINE_INGRESS_SECRETS_FILE=str(tmp_path / "s.toml"))
    assert [name for name, one in secrets.items() if one["configured"]] == ["github"]
    opened = listed(data=tmp_path / "none", HOOKLINE_INSECURE_INGRESS="true")
    assert [name for name, one in opened.items() if not one["configured"]] == ["generic"]


def test_the_list_for_people(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(f'github = ["{SECRET}"]')
    said = run(
        "--url", "https://hooks.example.com/", data=tmp_path,
        HOOKLINE_INGRESS_TOKENS=TOKEN, HOOKLINE_INGRESS_SECRETS_FILE=str(tmp_path / "s.toml"),
    )  # fmt: skip
    assert "https://hooks.example.com/events/dockerhub?token=TOKEN" in said
    assert "headers: {Authorization: [Bearer TOKEN]}" in said
    assert "--actions push \\\n" in said
    assert "preview: built from documentation" in said
    assert "marked" not in said
    for source in discover().values():
        assert f"{source.name} {source.title}" in said


def test_some_only(tmp_path: Path) -> None:
    assert list(listed("quay", "zot", data=tmp_path)) == ["quay", "zot"]
    with pytest.raises(Exception, match="no such source: x; there are: acr, "):
        run("x", data=tmp_path)


@pytest.mark.parametrize("source", discover().values(), ids=lambda source: source.name)
def test_what_to_paste_names_our_url_and_a_credential(source: object, tmp_path: Path) -> None:
    from services.ingress.source import Source

    assert isinstance(source, Source)
    setup = source.setup.format(url="https://h/events/x", token="TOKEN", secret="SECRET")
    assert "https://h/events/x" in setup
    assert ("TOKEN" in setup) or ("SECRET" in setup) or source.takes_issuers
    assert "{{" not in setup
