"""`hookline sources test`: what comes out of a body, with the exit code that a script needs."""

import gzip
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from hookline.cli.main import app
from hookline.errors import ConfigError
from services.ingress.app import MAX_BODY

PUSH = {"repository": "acme/app", "docker_url": "quay.io/acme/app", "updated_tags": ["1.0", "latest"]}


def trial(data: Path, body: bytes | str, *arguments: str, **settings: str) -> Result:
    environment: dict[str, str | None] = {"TERM": "dumb", "COLUMNS": "200", "HOOKLINE_GENERIC_IMAGE": None, **settings}
    result = CliRunner().invoke(
        app,
        ["sources", "test", "--data", str(data), *arguments],
        input=body if isinstance(body, bytes) else body.encode(),
        env=environment,
    )
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_pushes_with_their_fields(tmp_path: Path) -> None:
    result = trial(tmp_path, json.dumps(PUSH), "quay")
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        "push",
        "  repository     acme/app",
        "  registry       quay.io",
        "  tag            1.0",
        "push",
        "  repository     acme/app",
        "  registry       quay.io",
        "  tag            latest",
    ]


def test_what_is_ignored_is_no_failure(tmp_path: Path) -> None:
    result = trial(tmp_path, json.dumps(PUSH | {"updated_tags": []}), "quay")
    assert (result.exit_code, result.output) == (0, "ignored: untagged\n")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("{", "not JSON"),
        ('{"updated_tags": ["1"]}', "no repository"),
        (json.dumps(PUSH | {"updated_tags": ["a b"]}), "tag: "),
    ],
)
def test_what_would_go_to_quarantine_is_a_failure(tmp_path: Path, body: str, said: str) -> None:
    result = trial(tmp_path, body, "quay")
    assert result.exit_code == 1
    assert result.output.startswith(f"quarantine: {said}")


def test_json(tmp_path: Path) -> None:
    result = trial(
        tmp_path, json.dumps(PUSH | {"updated_tags": ["1.0", "a b", "sha256-" + "a" * 64]}), "quay", "--json"
    )
    assert result.exit_code == 1
    assert json.loads(result.output) == {
        "pushes": [{"repository": "acme/app", "registry": "quay.io", "tag": "1.0"}],
        "ignored": ["referrer"],
        "quarantined": ["tag: not one that the OCI distribution-spec allows"],
    }


def test_headers_are_read(tmp_path: Path) -> None:
    body = gzip.compress(json.dumps(PUSH).encode())
    assert trial(tmp_path, body, "quay", "--header", "content-encoding: gzip").exit_code == 0
    assert trial(tmp_path, body, "quay").exit_code == 1
    ping = trial(tmp_path, "{}", "github", "-H", "X-GitHub-Event: ping", "-H", "X-GitHub-Delivery: 1")
    assert (ping.exit_code, ping.output) == (0, "ignored: ping\n")


@pytest.mark.parametrize("header", ["nothing", ": x", ""])
def test_a_header_without_a_name_is_said(tmp_path: Path, header: str) -> None:
    with pytest.raises(ConfigError, match="--header must be 'Name: value'"):
        trial(tmp_path, "{}", "quay", "--header", header)


def test_a_mapping_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "m.toml").write_text('[ci]\nimage = "image"\npushed_at = "at"\n')
    body = json.dumps({"image": "acme/app:1", "at": 1_795_492_263.5})
    result = trial(tmp_path, body, "generic/ci", HOOKLINE_GENERIC_FILE=str(tmp_path / "m.toml"))
    assert result.exit_code == 0
    assert "pushed_at      2026-11-24 03:51:03.500+00:00" in result.output


def test_a_source_that_is_not_there_or_not_told_what_to_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such source: generic/none; there are: acr, "):
        trial(tmp_path, "{}", "generic/none")
    with pytest.raises(ConfigError, match="generic is not configured: set HOOKLINE_GENERIC_REPOSITORY"):
        trial(tmp_path, "{}", "generic")


def test_a_body_that_ingress_refuses(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="larger than 1 MiB: ingress answers 413"):
        trial(tmp_path, b"x" * (MAX_BODY + 1), "quay")


def test_the_list_is_what_it_was(tmp_path: Path) -> None:
    listed = CliRunner().invoke(app, ["sources", "--data", str(tmp_path), "quay"], env={"TERM": "dumb"})
    same = CliRunner().invoke(app, ["sources", "list", "--data", str(tmp_path), "quay"], env={"TERM": "dumb"})
    assert listed.exit_code == 0
    assert listed.output == same.output != ""
