"""`python -m services`: what it does with its arguments; the topics themselves are tested in tests/unit/kafka/test_topics_fitness.py."""

import subprocess
import sys

import pytest

import services.__main__ as entry

NOBODY = {"HOOKLINE_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9", "PATH": ""}


@pytest.mark.parametrize("arguments", [[], ["topics"], ["topics", "delete"], ["ingress", "console"], ["nobody"]])
def test_anything_else_is_told_the_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert entry.main(arguments) == 2
    assert "topics create" in capsys.readouterr().err


def test_topics_create_says_that_kafka_is_away(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOOKLINE_KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9")

    assert entry.main(["topics", "create"]) == 1
    assert "no broker answers" in capsys.readouterr().err


def test_topics_create_says_which_setting_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOOKLINE_KAFKA_SECURITY_PROTOCOL", "SASL_SSL")

    assert entry.main(["topics", "create"]) == 2
    assert "HOOKLINE_KAFKA_USERNAME" in capsys.readouterr().err


def test_topics_create_imports_nothing_that_the_image_lacks() -> None:
    """Neither Typer nor Rich is there: whoever needs one fails, and whoever can do without one (structlog) does."""
    code = (
        "import sys; lacking = dict.fromkeys(('typer', 'rich', 'hookline.cli')); sys.modules.update(lacking);"
        "import services.__main__ as m; m.main(['topics', 'create']); print('done')"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], env=NOBODY, capture_output=True, text=True, timeout=60, check=True
    )

    assert ran.stdout == "done\n", ran.stderr
