"""`python -m hookline.broker`."""

from collections.abc import Callable

import pytest

from hookline.broker import __main__ as program
from hookline.errors import BrokerError


def test_fetch_says_where_the_jars_are(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("HOOKLINE_CACHE_DIR", "/some/cache")
    monkeypatch.setattr(program, "fetch", lambda say: say("all 2 jars are there"))
    assert program.main(["fetch"]) == 0
    assert capsys.readouterr().err == "all 2 jars are there\nthe broker's jars are in /some/cache\n"


def test_a_failure_is_its_sentence_and_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(say: Callable[[str], None]) -> None:
        raise BrokerError("cannot download x. Is this machine online?")

    monkeypatch.setattr(program, "fetch", fail)
    assert program.main(["fetch"]) == 1
    assert capsys.readouterr().err == "cannot download x. Is this machine online?\n"


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        program.main(["--help"])
    assert "HOOKLINE_CACHE_DIR=" in capsys.readouterr().out
