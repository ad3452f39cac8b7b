"""What `hookline up` prints, word for word where scripts or people rely on it; and what it never prints."""

import io
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydantic import SecretStr
from rich.console import Console

from hookline.cli.local.local_secrets import ADMIN_PASSWORD, INGRESS_TOKENS, MASTER_KEYS, SecretFile
from hookline.cli.terminal import THEME
from hookline.cli.voice import PATIENCE_S, UpVoice
from hookline.settings import Settings
from hookline.testing.manual_clock import ManualClock

SECRETS = {MASTER_KEYS: "k1:masterkey", ADMIN_PASSWORD: "the-password", INGRESS_TOKENS: "the-token"}
UNIT = SimpleNamespace(name="ingress", last_lines=lambda: ["its last line"])


class Spoken:
    def __init__(
        self, folder: Path, made: frozenset[str], settings: Settings | None = None, *, own_broker: bool = True
    ) -> None:
        self.clock = ManualClock()
        self._file = io.StringIO()
        console = Console(file=self._file, theme=THEME, width=500, soft_wrap=True)
        self.voice = UpVoice(console, self.clock, settings or Settings(), folder, SECRETS, made, own_broker=own_broker)

    @property
    def text(self) -> str:
        return self._file.getvalue()


def test_ready_stands_alone_on_its_line(tmp_path: Path) -> None:
    spoken = Spoken(tmp_path, frozenset())
    spoken.voice.all_ready()
    assert "ready" in spoken.text.split("\n")


def test_what_was_made_now_is_printed_once(tmp_path: Path) -> None:
    first = Spoken(tmp_path, frozenset(SECRETS))
    first.voice.all_ready()
    assert "the-password" in first.text
    assert "Bearer the-token" in first.text
    assert "masterkey" not in first.text

    later = Spoken(tmp_path, frozenset())
    later.voice.all_ready()
    assert not [secret for secret in SECRETS.values() if secret in later.text]
    assert "secrets.env" in later.text


def test_what_was_given_is_never_printed(tmp_path: Path) -> None:
    given = Settings(admin_password=SecretStr("the-password"), ingress_tokens="the-token")  # type: ignore[arg-type]
    spoken = Spoken(tmp_path, frozenset({MASTER_KEYS}), given)
    spoken.voice.all_ready()
    assert not [secret for secret in SECRETS.values() if secret in spoken.text]
    assert "HOOKLINE_ADMIN_PASSWORD" in spoken.text


@pytest.mark.parametrize("folder", ["plain", "with space"])
def test_the_push_line_can_be_pasted(folder: str, tmp_path: Path) -> None:
    """In a shell where `curl` only says what it was given."""
    data = tmp_path / folder
    data.mkdir()
    SecretFile(data).complete({INGRESS_TOKENS: ""}, own_broker=True)
    spoken = Spoken(data, frozenset())
    spoken.voice.all_ready()
    line = next(line for line in spoken.text.split("\n") if "curl " in line)
    done = subprocess.run(
        ["bash", "-c", 'curl() { printf "%s\\n" "$@"; };' + line], capture_output=True, text=True, check=True
    )
    arguments = done.stdout.split("\n")
    assert f"Authorization: Bearer {SecretFile(data).read()[INGRESS_TOKENS]}" in arguments
    assert any('"repo_name": "acme/shop"' in argument for argument in arguments)
    assert "http://127.0.0.1:8081/events/dockerhub" in arguments


def test_a_flood_of_errors_is_one_line(tmp_path: Path) -> None:
    spoken = Spoken(tmp_path, frozenset())
    for number in range(50):
        spoken.voice.error_line("ingress", f"broken [{number}]")
    assert spoken.text.count("broken") == 1
    assert "broken [0]" in spoken.text
    assert "ingress.log" in spoken.text
    spoken.clock.advance(11)
    spoken.voice.error_line("ingress", "broken again")
    assert "broken again" in spoken.text


def test_who_takes_long_says_why_now_and_then(tmp_path: Path) -> None:
    spoken = Spoken(tmp_path, frozenset())
    spoken.voice.is_waiting(UNIT, "restoring 12 of 24", 1.0)
    assert spoken.text == ""
    spoken.voice.is_waiting(UNIT, "restoring 14 of 24", PATIENCE_S)
    spoken.voice.is_waiting(UNIT, "restoring 15 of 24", PATIENCE_S + 0.1)
    assert "14 of 24" in spoken.text
    assert "15 of 24" not in spoken.text


def test_a_death_comes_with_the_last_line(tmp_path: Path) -> None:
    spoken = Spoken(tmp_path, frozenset())
    spoken.voice.died(UNIT, "exit code 1", 0.2)
    assert "ingress     ended (exit code 1): started again in 0.2 s its last line" in spoken.text


FOREIGN = SimpleNamespace(
    name="console",
    last_lines=lambda: ["...", "hookline: ForeignLog: the topics are of log 2. Rebuild it: python -m ... --rebuild"],
)
BROKEN = SimpleNamespace(name="console", last_lines=lambda: ["hookline: HOOKLINE_DATABASE_URL is not a database URL"])


def test_a_console_of_another_log_comes_with_the_command_that_mends_it(tmp_path: Path) -> None:
    settings = Settings(kafka_bootstrap_servers=("127.0.0.1:9092",), topic_prefix="other.")
    spoken = Spoken(tmp_path / "with space", frozenset(), settings, own_broker=False)
    spoken.voice.given_up(FOREIGN, "exit code 1", 60)
    for said in (
        "! console     ended 5 times before it was ready (exit code 1)",
        "the topics are of log 2",
        "the rest keeps running without it: pushes come in, hooks are called, callbacks are accepted.",
        f"to do: HOOKLINE_KAFKA_BOOTSTRAP_SERVERS=127.0.0.1:9092 HOOKLINE_DATA_DIR='{tmp_path}/with space'"
        " HOOKLINE_TOPIC_PREFIX=other. hookline console --rebuild",
        "it is tried again every 60 s",
    ):
        assert said in spoken.text


def test_the_command_finds_a_broker_of_ours_by_its_folder(tmp_path: Path) -> None:
    settings = Settings(kafka_bootstrap_servers=("127.0.0.1:19092",), kafka_port=19092, kafka_username="hookline")
    spoken = Spoken(tmp_path, frozenset(), settings)
    spoken.voice.given_up(FOREIGN, "exit code 1", 60)
    assert f"to do: HOOKLINE_KAFKA_PORT=19092 HOOKLINE_DATA_DIR={tmp_path} hookline console --rebuild" in spoken.text
    assert "HOOKLINE_KAFKA_USERNAME" not in spoken.text


def test_another_console_that_cannot_stay_up_comes_with_its_last_words_and_where_to_look(tmp_path: Path) -> None:
    spoken = Spoken(tmp_path, frozenset())
    spoken.voice.given_up(BROKEN, "exit code 2", 60)
    for said in ("HOOKLINE_DATABASE_URL is not a database URL", "console.log", "`hookline doctor`"):
        assert said in spoken.text
    assert "console --rebuild" not in spoken.text


def test_without_the_console_it_is_not_said_that_all_is_ready(tmp_path: Path) -> None:
    """`ready` alone on its line is what scripts wait for."""
    spoken = Spoken(tmp_path, frozenset(SECRETS))
    spoken.voice.all_ready(["console"])
    lines = spoken.text.split("\n")
    assert "ready" not in lines
    assert "ready, without the console" in lines
    assert "the-password" not in spoken.text
    assert any("/events/dockerhub" in line for line in lines), "pushes are taken"


def test_what_that_command_needs_beside_its_line_is_named_and_not_shown(tmp_path: Path) -> None:
    given = Settings(
        database_url=SecretStr("postgresql://u:the-password@db/x"),
        kafka_bootstrap_servers=("kafka:9092",),
        kafka_security_protocol="SASL_SSL",
        kafka_password=SecretStr("the-password"),
    )
    spoken = Spoken(tmp_path, frozenset(), given, own_broker=False)
    spoken.voice.given_up(FOREIGN, "exit code 1", 60)
    named = "HOOKLINE_DATABASE_URL, HOOKLINE_KAFKA_SECURITY_PROTOCOL, HOOKLINE_KAFKA_PASSWORD"
    assert f"with {named} set as here; " in spoken.text
    assert "the-password" not in spoken.text
