"""`hookline quarantine`: what lies there is listed, shown and delivered again, with the credential that its source takes."""

import base64
import json
from collections.abc import AsyncIterator, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from hookline.chain.events import Quarantined
from hookline.cli.installed import Listed
from hookline.cli.main import app
from hookline.cli.operate import quarantine
from hookline.cli.operate.quarantine import Kept, retry_all, verdict_of
from hookline.cli.terminal import THEME
from services.ingress.kept_once import WINDOW_S
from tests.unit.ingress.conftest import NOW, SECRETS, SOURCES, TOKEN, Ingress, credentials, running

BODIES = [
    Kept(0, Quarantined(source="generic", received_at=NOW, reason="no repository", raw='{"x": "[bold]"}')),
    Kept(4, Quarantined(source="harbor", received_at=NOW, reason="not JSON", raw=base64.b64encode(b"\xff\x00").decode(), raw_encoding="base64", headers={"content-type": "text/plain"})),
]  # fmt: skip


@pytest.fixture
async def ingress() -> AsyncIterator[Ingress]:
    async with running() as it:
        yield it


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Sequence[Kept]:
    monkeypatch.setattr(quarantine, "read_kept", lambda settings: list(BODIES))
    return BODIES


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["quarantine", *arguments], env={"TERM": "dumb"})


def test_list(kept: Sequence[Kept]) -> None:
    lines = run("list").output.splitlines()
    assert [line.split()[0] for line in lines] == ["offset", "0", "4"]
    assert lines[2].split() == ["4", "2026-11-24", "03:51:03", "harbor", "2", "not", "JSON"]
    assert run("list", "--source", "harbor").output.count("\n") == 2
    limited = run("list", "--limit", "1").output
    assert "harbor" in limited
    assert "and 1 older ones" in limited
    found = json.loads(run("list", "--json").output)
    assert [(one["offset"], one["source"], one["bytes"]) for one in found] == [(0, "generic", 15), (4, "harbor", 2)]
    assert "nothing" in run("list", "--source", "quay").output


def test_show(kept: Sequence[Kept]) -> None:
    said = run("show", "0").output
    assert "no repository" in said
    assert '{"x": "[bold]"}' in said
    assert "content-type: text/plain" in run("show", "4").output
    assert run("show", "4", "--raw").stdout_bytes == b"\xff\x00"
    missing = run("show", "3")
    assert "there is nothing in quarantine at 3" in str(missing.exception)


def test_show_has_the_address_that_sns_wants_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "https://sns.us-west-2.amazonaws.com/?Action=ConfirmSubscription&TopicArn=arn:aws:sns:us-west-2:1:t&Token=2336412f37"
    raw = json.dumps({"Type": "SubscriptionConfirmation", "SubscribeURL": url})
    confirmation = Kept(0, Quarantined(source="ecr", received_at=NOW, reason="SNS asks", raw=raw))
    monkeypatch.setattr(quarantine, "read_kept", lambda settings: [confirmation])
    assert url in run("show", "0").output
    assert json.loads(run("show", "0", "--raw").stdout_bytes)["SubscribeURL"] == url


def test_retry_wants_to_be_told_what(kept: Sequence[Kept]) -> None:
    for arguments in ([], ["0", "--all"]):
        assert "name the offsets" in str(run("retry", *arguments).exception)


def test_retry_without_an_ingress_says_so(kept: Sequence[Kept], tmp_path: Path) -> None:
    result = run("retry", "0", "--url", "http://127.0.0.1:1", "--data", str(tmp_path))
    assert result.exit_code == 1
    assert "ingress does not answer at http://127.0.0.1:1" in result.output


async def retried(ingress: Ingress, *bodies: Kept, tokens: tuple[str, ...] = (TOKEN,)) -> tuple[bool, str]:
    host, port = ingress.address
    listed = {name: Listed(source, credentials(name, tokens, SECRETS), "") for name, source in SOURCES.items()}
    console = Console(file=StringIO(), theme=THEME, width=200)
    taken = await retry_all(console, bodies, listed, f"http://{host}:{port}")
    assert isinstance(console.file, StringIO)
    return taken, console.file.getvalue()


@pytest.mark.parametrize("name", ["harbor-push", "github-package", "gitea-created", "nexus-created", "gar-insert-tag", "zot-updated", "jfrog-pushed", "ecr-sns", "ecr-sns-raw-detail", "gar-unwrapped", "acr-grid-pushed"])  # fmt: skip
async def test_every_way_of_proving(ingress: Ingress, name: str) -> None:
    file = json.loads((Path(__file__).parents[3] / "data" / "producers" / f"{name}.json").read_text())
    headers = {key.lower(): value for key, value in file["headers"].items()}
    kept = Kept(
        7, Quarantined(source=file["source"], received_at=1, reason="x", raw=json.dumps(file["body"]), headers=headers)
    )
    assert await retried(ingress, kept) == (True, f"7 {file['source']}: taken\n")
    assert await retried(ingress, kept) == (True, f"7 {file['source']}: taken before\n")


async def test_what_ingress_quarantined_comes_back_as_it_was(ingress: Ingress) -> None:
    """A body that could not be inflated keeps its Content-Encoding, so a retry is as the delivery was."""
    for body, headers in ((b"{", {}), (b"no gzip", {"Content-Encoding": "gzip"}), (b"\xff\x00", {})):
        await ingress.deliver("dockerhub", body, headers)
    before = ingress.quarantine()
    ingress.clock.advance(WINDOW_S)
    taken, said = await retried(ingress, *(Kept(n, event) for n, event in enumerate(before)))
    assert not taken
    assert said.count("still cannot be read") == 3
    after = ingress.quarantine()[3:]
    assert [(e.reason, e.raw, e.headers) for e in after] == [
        (e.reason, e.raw, {**e.headers, "user-agent": after[0].headers["user-agent"]}) for e in before
    ]


async def test_a_credential_that_ingress_does_not_know(ingress: Ingress) -> None:
    taken, said = await retried(ingress, BODIES[1], tokens=("other",))
    assert not taken
    assert "401 the credential is missing or wrong: are HOOKLINE_INGRESS_TOKENS" in said


async def test_sources_that_are_gone_or_not_set_up() -> None:
    async with running(tokens=()) as ingress:
        gone = BODIES[1].event.model_copy(update={"source": "gone"})
        taken, said = await retried(ingress, Kept(1, gone), BODIES[1])
        assert not taken
        assert "there is no such source" in said
        assert "404 source not configured: set HOOKLINE_INGRESS_TOKENS" in said


@pytest.mark.parametrize(
    ("status", "answer", "verdict"),
    [
        (202, {"accepted": 1, "duplicates": 0, "ignored": 0}, (True, "taken")),
        (202, {"accepted": 0, "duplicates": 0, "ignored": 2}, (True, "read, and starts nothing")),
        (200, {"ignored": 1}, (True, "read, and starts nothing")),
        (202, {"accepted": 0, "duplicates": 0, "ignored": 0}, (False, "still cannot be read")),
        (503, {"detail": "not acknowledged by Kafka"}, (False, "503 not acknowledged by Kafka")),
    ],
)
def test_verdicts(status: int, answer: dict[str, Any], verdict: tuple[bool, str]) -> None:
    assert verdict_of(status, answer) == verdict
