"""`hookline keys`: what an operator is told of each key; over real Kafka: tests/integration/test_operations.py."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from hookline.chain.key_use import KeyUse, TokenUse
from hookline.cli.main import app
from hookline.cli.operate import keys
from hookline.cli.operate.keys import Use, removal

NONE, HELD = TokenUse(0, None), TokenUse(3, 1_700_000_000_000)
NEW = KeyUse("k2", True, True, 4, 2)
OLD = KeyUse("k1", True, False, 0, 0)


@pytest.mark.parametrize(
    ("key", "tokens", "said"),
    [
        (NEW, NONE, "signs: put a new key first"),
        (OLD._replace(hooks=1), NONE, "keep: hooks are signed with it"),
        (OLD._replace(open_hooks=1), NONE, "keep: hooks are signed with it"),
        (OLD, HELD, "keep until 2023-11-14T22:13:20.000Z"),
        (OLD, NONE, "may be removed"),
        (OLD._replace(here=False, hooks=1), NONE, "missing: these hooks cannot be signed"),
    ],
)
def test_when_a_key_may_go(key: KeyUse, tokens: TokenUse, said: str) -> None:
    assert removal(key, tokens).startswith(said)


def run(monkeypatch: pytest.MonkeyPatch, use: Use, *arguments: str) -> Any:
    async def look(*_: object) -> Use:
        return use

    monkeypatch.setattr(keys, "look", look)
    return CliRunner().invoke(app, ["keys", *arguments], env={"TERM": "dumb", "COLUMNS": "200"})


def test_it_is_shown_as_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    said = run(monkeypatch, Use([NEW, OLD], HELD))
    assert said.exit_code == 0
    assert [line.split()[:3] for line in said.output.splitlines()[1:3]] == [["k2", "4", "2"], ["k1", "0", "0"]]
    assert "callback URLs of 3 steps, the last good until 2023-11-14T22:13:20.000Z" in said.output
    assert "no receiver holds a callback URL" in run(monkeypatch, Use([NEW], NONE)).output


def test_it_is_given_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    found = json.loads(run(monkeypatch, Use([NEW, OLD], HELD), "--json").output)
    assert [(key["key"], key["signs"], key["hooks"], key["open_hooks"]) for key in found["keys"]] == [
        ("k2", True, 4, 2),
        ("k1", False, 0, 0),
    ]
    assert found["tokens"] == {"steps": 3, "last_expires_at": "2023-11-14T22:13:20.000Z"}


def test_a_key_that_is_missing_ends_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    said = run(monkeypatch, Use([NEW, OLD._replace(here=False, hooks=1)], NONE))
    assert said.exit_code == 1
    assert "missing" in said.output


def test_a_time_that_is_none_is_the_users_mistake() -> None:
    from hookline.errors import ConfigError

    said = CliRunner().invoke(app, ["keys", "--since", "soon"])
    assert isinstance(said.exception, ConfigError)
    assert "--since" in str(said.exception)
