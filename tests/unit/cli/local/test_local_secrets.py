"""Secrets of `up`: made once, for their owner only, and never over what the environment gives."""

import base64
import stat
from pathlib import Path

import pytest

from hookline.broker_login import KAFKA_PASSWORD
from hookline.chain.keys import KeyRing
from hookline.cli.local.local_secrets import ADMIN_PASSWORD, INGRESS_TOKENS, MASTER_KEYS, SecretFile
from hookline.errors import ConfigError


def test_made_once_and_kept(tmp_path: Path) -> None:
    first, made = SecretFile(tmp_path).complete({}, own_broker=False)
    assert made == {MASTER_KEYS, ADMIN_PASSWORD, INGRESS_TOKENS}
    again, made_again = SecretFile(tmp_path).complete({}, own_broker=False)
    assert again == first
    assert made_again == frozenset()


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    SecretFile(tmp_path).complete({}, own_broker=False)
    assert stat.S_IMODE(SecretFile(tmp_path).path.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["secrets.env"]


def test_a_master_key_is_one_that_services_take(tmp_path: Path) -> None:
    values, _ = SecretFile(tmp_path).complete({}, own_broker=False)
    assert KeyRing.parse([values[MASTER_KEYS]]).first == "k1"
    assert len(base64.b64decode(values[MASTER_KEYS].partition(":")[2])) == 32


def test_what_is_given_wins_and_is_not_written(tmp_path: Path) -> None:
    values, made = SecretFile(tmp_path).complete({ADMIN_PASSWORD: "given", INGRESS_TOKENS: ""}, own_broker=False)
    assert values[ADMIN_PASSWORD] == "given"
    assert made == {MASTER_KEYS, INGRESS_TOKENS}
    assert "given" not in SecretFile(tmp_path).path.read_text()


def test_what_was_missing_is_added_later(tmp_path: Path) -> None:
    first, _ = SecretFile(tmp_path).complete({ADMIN_PASSWORD: "given"}, own_broker=False)
    later, made = SecretFile(tmp_path).complete({}, own_broker=False)
    assert made == {ADMIN_PASSWORD}
    assert later[MASTER_KEYS] == first[MASTER_KEYS]


def test_the_password_of_a_broker_is_made_where_the_broker_is_ours(tmp_path: Path) -> None:
    without, _ = SecretFile(tmp_path).complete({}, own_broker=False)
    first, made = SecretFile(tmp_path).complete({}, own_broker=True)
    assert made == {KAFKA_PASSWORD} == first.keys() - without.keys()
    assert KAFKA_PASSWORD not in SecretFile(tmp_path).complete({}, own_broker=False)[0]
    assert SecretFile(tmp_path).complete({}, own_broker=True) == (first, frozenset())


def test_others_may_read_it(tmp_path: Path) -> None:
    SecretFile(tmp_path).complete({}, own_broker=False)
    SecretFile(tmp_path).path.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        SecretFile(tmp_path).complete({}, own_broker=False)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot write"):
        SecretFile(tmp_path / "is not there").complete({}, own_broker=False)
