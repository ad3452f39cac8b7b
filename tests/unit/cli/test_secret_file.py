"""Secrets of `up`: made once, for their owner only, and never over what the environment gives."""

import base64
import stat
from pathlib import Path

import pytest

from hookline.chain.keys import KeyRing
from hookline.cli.secret_file import ADMIN_PASSWORD, INGRESS_TOKENS, MASTER_KEYS, SecretFile
from hookline.errors import ConfigError


def test_made_once_and_kept(tmp_path: Path) -> None:
    first, made = SecretFile(tmp_path).complete({})
    assert made == {MASTER_KEYS, ADMIN_PASSWORD, INGRESS_TOKENS}
    again, made_again = SecretFile(tmp_path).complete({})
    assert again == first
    assert made_again == frozenset()


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    SecretFile(tmp_path).complete({})
    assert stat.S_IMODE(SecretFile(tmp_path).path.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["secrets.env"]


def test_a_master_key_is_one_that_services_take(tmp_path: Path) -> None:
    values, _ = SecretFile(tmp_path).complete({})
    assert KeyRing.parse([values[MASTER_KEYS]]).first == "k1"
    assert len(base64.b64decode(values[MASTER_KEYS].partition(":")[2])) == 32


def test_what_is_given_wins_and_is_not_written(tmp_path: Path) -> None:
    values, made = SecretFile(tmp_path).complete({ADMIN_PASSWORD: "given", INGRESS_TOKENS: ""})
    assert values[ADMIN_PASSWORD] == "given"
    assert made == {MASTER_KEYS, INGRESS_TOKENS}
    assert "given" not in SecretFile(tmp_path).path.read_text()


def test_what_was_missing_is_added_later(tmp_path: Path) -> None:
    first, _ = SecretFile(tmp_path).complete({ADMIN_PASSWORD: "given"})
    later, made = SecretFile(tmp_path).complete({})
    assert made == {ADMIN_PASSWORD}
    assert later[MASTER_KEYS] == first[MASTER_KEYS]


def test_others_may_read_it(tmp_path: Path) -> None:
    SecretFile(tmp_path).complete({})
    SecretFile(tmp_path).path.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        SecretFile(tmp_path).complete({})


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot write"):
        SecretFile(tmp_path / "is not there").complete({})
