"""What is too easy to guess is refused at start, in words that do not repeat it."""

import pytest

from hookline.cli.local.local_secrets import ADMIN_PASSWORD, INGRESS_TOKENS, MASTER_KEYS, check_strength
from hookline.cli.operate.checks import Level, check_secrets
from hookline.errors import ConfigError
from hookline.secret_bounds import password_fault, token_faults
from hookline.settings import Settings
from hookline.testing.manual_clock import ManualClock
from services.console.administrator import Administrator
from services.ingress.secret_file import read_credentials
from services.ingress.sources import discover

KEY = "k1:QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY="
PASSWORD, TOKEN = "a password of ours", "a-token-of-sixteen"
GOOD = {MASTER_KEYS: KEY, ADMIN_PASSWORD: PASSWORD, INGRESS_TOKENS: TOKEN}
ZEROS = "k1:" + "A" * 43 + "="


@pytest.mark.parametrize(
    ("password", "said"),
    [
        ("", "is empty"),
        ("          ", "is empty"),
        ("\t\n \u3000        ", "is empty"),
        ("a", "too short"),
        ("x7!qP2z", "too short"),
        ("password", "10,000 most common"),
        ("Password", "10,000 most common"),
        ("12345678", "10,000 most common"),
        ("iloveyou", "10,000 most common"),
        ("SUNSHINE", "10,000 most common"),
    ],
)
def test_a_password_that_is_guessed(password: str, said: str) -> None:
    fault = password_fault(password)
    assert fault is not None
    assert said in fault
    assert fault.startswith("HOOKLINE_ADMIN_PASSWORD")
    with pytest.raises(ConfigError, match=said):
        Administrator(Settings(master_keys=(KEY,), admin_password=password))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=said):
        check_strength({**GOOD, ADMIN_PASSWORD: password})
    settings = Settings(master_keys=(KEY,), ingress_tokens=(TOKEN,), admin_password=password)  # type: ignore[arg-type]
    assert [f.level for f in check_secrets(settings)].count(Level.BAD) == 1


@pytest.mark.parametrize("password", ["x7!qP2zK", "correct horse battery staple", "# of no comment", "пароль длинный"])
def test_a_password_that_is_not(password: str) -> None:
    assert password_fault(password) is None


@pytest.mark.parametrize("tokens", [("a" * 15,), (TOKEN, "geheim")])
def test_a_token_that_is_too_short(tokens: tuple[str, ...]) -> None:
    (fault,) = token_faults(tokens)
    assert f"HOOKLINE_INGRESS_TOKENS entry {len(tokens)} is too short: at least 16 characters" in fault
    assert tokens[-1] not in fault
    settings = Settings(master_keys=(KEY,), ingress_tokens=tokens, admin_password=PASSWORD)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="too short"):
        read_credentials(settings, discover(settings), ManualClock())
    with pytest.raises(ConfigError, match="too short"):
        check_strength({**GOOD, INGRESS_TOKENS: ",".join(tokens)})
    assert [f.level for f in check_secrets(settings)].count(Level.BAD) == 1


@pytest.mark.parametrize("key", [ZEROS, "k2:" + "QUFB" * 10 + "QUE="])
def test_a_master_key_of_one_byte_repeated(key: str) -> None:
    with pytest.raises(ConfigError, match="HOOKLINE_MASTER_KEYS entry 2 is one byte repeated") as refused:
        Settings(master_keys=(KEY.replace("k1", "k0"), key)).key_ring()  # type: ignore[arg-type]
    assert key.partition(":")[2][:8] not in str(refused.value)
    with pytest.raises(ConfigError, match="one byte repeated"):
        check_strength({**GOOD, MASTER_KEYS: key})


def test_what_is_good_is_good_everywhere() -> None:
    check_strength(GOOD)
    settings = Settings(master_keys=(KEY,), ingress_tokens=(TOKEN,), admin_password=PASSWORD)  # type: ignore[arg-type]
    assert [f.level for f in check_secrets(settings)] == [Level.GOOD] * 3
    assert Administrator(settings).is_right("admin", PASSWORD)
    assert read_credentials(settings, discover(settings), ManualClock())
