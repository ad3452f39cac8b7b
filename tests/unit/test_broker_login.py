"""Where no Kafka is named, settings let one into the broker of `hookline up` on the data folder, and nowhere else."""

from pathlib import Path

import pytest

from hookline.broker_login import BrokerLogin
from hookline.cli.local.local_secrets import BROKER_MAKERS, SecretFile
from hookline.errors import ConfigError
from hookline.kafka.security import security_of
from hookline.settings import Settings, load_settings

KAFKA_PASSWORD = "HOOKLINE_KAFKA_PASSWORD"


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The password that `up` made in the data folder that the environment names."""
    for name in BROKER_MAKERS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOOKLINE_DATA_DIR", str(tmp_path))
    return SecretFile(tmp_path).complete({}, own_broker=True)[0][KAFKA_PASSWORD]


def reached(settings: Settings) -> tuple[str, str, str, str]:
    login = settings.kafka_username, settings.kafka_password.get_secret_value()
    return settings.kafka_security_protocol, settings.kafka_sasl_mechanism, *login


def test_the_broker_of_the_data_folder_is_reached_with_its_password(made: str) -> None:
    settings = load_settings()
    assert reached(settings) == ("SASL_PLAINTEXT", "PLAIN", "hookline", made)
    assert security_of(settings).password == made


def test_another_folder_is_another_broker(made: str, tmp_path: Path) -> None:
    assert reached(load_settings(data_dir=tmp_path / "other"))[0] == "PLAINTEXT"


@pytest.mark.parametrize(
    "given",
    [
        {"KAFKA_BOOTSTRAP_SERVERS": "kafka:9092"},
        {"KAFKA_SECURITY_PROTOCOL": "SSL"},
        {"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_USERNAME": "someone", "KAFKA_PASSWORD": "theirs"},
    ],
    ids=lambda given: ",".join(given),
)
def test_who_says_how_kafka_is_reached_is_believed(
    made: str, given: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(f"HOOKLINE_{name}", value)
    assert reached(load_settings()) == reached(Settings())
    assert made not in reached(load_settings())


def test_a_password_that_is_given_wins(made: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KAFKA_PASSWORD, "given")
    assert reached(load_settings()) == ("SASL_PLAINTEXT", "PLAIN", "hookline", "given")


def test_what_others_may_read_is_refused(made: str, tmp_path: Path) -> None:
    SecretFile(tmp_path).path.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        load_settings()


@pytest.mark.parametrize("password", ["two\nlines", "null\0", "é"])
def test_a_password_that_no_configuration_can_hold_is_refused(password: str) -> None:
    with pytest.raises(ConfigError, match="HOOKLINE_KAFKA_PASSWORD") as refused:
        BrokerLogin(password)
    assert password not in str(refused.value)


def test_a_login_shows_no_password() -> None:
    assert "secret" not in repr(BrokerLogin("secret"))
