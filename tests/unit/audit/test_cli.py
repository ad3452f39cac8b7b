"""`hookline audit` as a user meets it, on recorded histories: words, exit codes, lines for machines."""

import json
import stat
from pathlib import Path

import pytest

from hookline.chain.pipeline import LogId
from hookline.log.codec import encode_setting
from hookline.log.records import RawRecord
from tests.kit.events import plan, push
from tests.unit.audit.record import FOLDER
from tests.unit.audit.script import Script
from tests.unit.audit.sources import Records
from tests.unit.audit.test_bundle import LOG_ID, bundle, change, lines, write
from tests.unit.cli import inprocess
from tests.unit.cli.inprocess import Done

HISTORY = FOLDER / "real-run-1.hookline"
RUN = "2986e5db-0e79-5dec-875e-5d97a97b0618-0-0-1"


def hookline(*arguments: str | Path, cwd: Path = FOLDER, **settings: str) -> Done:
    return inprocess.hookline("audit", *arguments, cwd=cwd, settings=settings)


def fields(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_verify_says_what_was_judged_and_that_it_is_clean() -> None:
    done = hookline("verify", "--input", HISTORY)

    assert done.returncode == 0, done.stderr
    assert "clean: nothing found" in done.stdout
    assert "41: 24 Fence" in done.stdout
    assert "12 compared" in done.stdout
    assert "events/s" in done.stderr, "the figure"
    assert "Traceback" not in done.stderr


async def test_verify_names_what_it_finds_and_ends_with_1(tmp_path: Path) -> None:
    script = Script()
    made = script.push(2)
    script.delivered(made)
    script.delivered(made, 2)
    draft = encode_setting(LogId(log_id=LOG_ID), now_ms=0)
    script.records.pipelines = [RawRecord(draft.place, 0, 0, draft.key, draft.value, draft.headers)]
    await bundle(script.records, tmp_path / "b")
    for_people = hookline("verify", "--input", tmp_path / "b")
    for_machines = hookline("verify", "--input", tmp_path / "b", "--json")

    assert for_people.returncode == for_machines.returncode == 1
    assert "I2  deliveries[0]@2 HookDelivered" in for_people.stdout
    assert "1 finding\n" in for_people.stdout
    assert "Traceback" not in for_people.stderr + for_machines.stderr
    finding, figures = fields(for_machines.stdout)
    assert finding["finding"] == {
        "invariant": "I2", "topic": "deliveries", "partition": 0, "offset": 2, "event": "HookDelivered", "chain_id": made,
        "said": "step 2 was POSTed, and no success of step 1 lies below its read_to of 0 in callbacks",
    }  # fmt: skip
    assert figures["figures"]["findings"] == 1  # type: ignore[index]


def test_a_chain_that_is_due_is_stuck_once_all_is_settled() -> None:
    """Its next attempt is due five minutes after the bundle was made."""
    assert hookline("verify", "--input", HISTORY, "--settled").returncode == 0


def test_a_changed_bundle_is_refused_by_every_command(tmp_path: Path) -> None:
    changed = lines(HISTORY)
    change(changed, 5)
    path = write(tmp_path / "b", changed)
    for command in (["verify"], ["replay"], ["state"], ["export", "other"]):
        done = hookline(*command, "--input", path, cwd=tmp_path)
        assert done.returncode == 1
        assert "line 7" in done.stderr or "line 6" in done.stderr
        assert "Traceback" not in done.stderr
    assert not (tmp_path / "other").exists()
    assert not list(tmp_path.glob("*.part"))


def test_the_seal_tells_whether_it_is_that_bundle(tmp_path: Path) -> None:
    exported = hookline("export", "b", "--input", HISTORY, cwd=tmp_path)
    assert exported.returncode == 0, exported.stderr
    seal = next(line for line in exported.stdout.splitlines() if line.startswith("seal ")).split()[1]

    assert hookline("verify", "--input", "b", "--seal", seal, cwd=tmp_path).returncode == 0
    other = hookline("verify", "--input", "b", "--seal", "0" * 64, cwd=tmp_path)
    assert other.returncode == 1
    assert seal in other.stderr
    assert stat.S_IMODE((tmp_path / "b").stat().st_mode) == 0o600, "it holds what the topics hold"
    assert lines(tmp_path / "b") == lines(HISTORY), "the same log gives the same bundle"


def test_export_replaces_nothing_unasked(tmp_path: Path) -> None:
    (tmp_path / "b").write_text("precious")
    refused = hookline("export", "b", "--input", HISTORY, cwd=tmp_path)
    assert refused.returncode == 2
    assert "--force" in refused.stderr
    assert (tmp_path / "b").read_text() == "precious"
    assert hookline("export", "b", "--input", HISTORY, "--force", cwd=tmp_path).returncode == 0
    assert hookline("export", "no/such/b", "--input", HISTORY, cwd=tmp_path).returncode == 2


def test_replay_tells_each_chains_story() -> None:
    done = hookline("replay", "--input", HISTORY)

    assert done.returncode == 0, done.stderr
    assert done.stdout.count("pipeline release") == 3
    assert "halted at step 2 of 3: callback_failure" in done.stdout
    assert "deliveries[0]@3" in done.stdout
    assert "run again from step 3" in done.stdout


def test_replay_tells_one_chain_as_lines_for_machines() -> None:
    done = hookline("replay", "--input", HISTORY, "--chain", RUN, "--json")
    told = fields(done.stdout)

    assert [one["event"] for one in told] == ["RedeliveryRequested", "HookAttemptFailed", "HookAttemptFailed"]
    assert {one["chain_id"] for one in told} == {RUN}
    assert told[2]["rests_on"] == [{"topic": "deliveries", "partition": 11, "offset": 5}]
    assert told[2]["state"]["steps"][2]["failed"] == 2  # type: ignore[index]


def test_state_shows_every_chain_at_a_moment() -> None:
    then = hookline("state", "--at", "2026-11-30T04:44:42Z", "--input", HISTORY, "--json")
    (first,) = fields(then.stdout)
    assert first["state"]["status"] == "running"  # type: ignore[index]

    late = hookline("state", "--at", "now", "--input", HISTORY, "--json", "--open")
    assert [one["chain_id"] for one in fields(late.stdout)] == [RUN]
    back = hookline("state", "--at", "-1d", "--input", HISTORY)
    assert back.returncode == 0, "back from when it was exported"
    assert back.stdout == ""
    assert hookline("state", "--input", HISTORY).stdout.count("acme/shop") == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["verify", "--input", "/no/such/file"], "cannot read /no/such/file"),
        (["verify", "--seal", "00"], "--input"),
        (["verify", "--input", HISTORY, "--console", "sqlite:////no/such/db"], "no console database"),
        (["state", "--at", "yesterday", "--input", HISTORY], "not a time"),
        (["replay", "--from", "2026", "--input", HISTORY], "not a time"),
        (["replay", "--chain", "x", "--input", HISTORY], "x is no id of a chain"),
        (["replay", "--push", "x", "--input", HISTORY], "x is no id of a push"),
        (["replay", "--nonsense"], "No such option"),
    ],
)
def test_a_users_mistake_is_said_and_ends_with_2(arguments: list[str | Path], said: str) -> None:
    done = hookline(*arguments)

    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_kafka_that_does_not_answer_is_said(tmp_path: Path) -> None:
    done = hookline("verify", cwd=tmp_path, HOOKLINE_KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")

    assert done.returncode == 1
    assert "127.0.0.1:1" in done.stderr
    assert "Traceback" not in done.stderr


async def test_what_producers_and_receivers_wrote_cannot_move_the_terminal(tmp_path: Path) -> None:
    script = Script()
    made = script.push()
    script.delivered(made)
    script.verdict(made, description="\x1b[2Jgone [bold]markup[/bold]\u202e")
    script.completed(made)
    await bundle(script.records, tmp_path / "b")
    done = hookline("replay", "--input", tmp_path / "b")

    assert "\x1b" not in done.stdout
    assert "\u202e" not in done.stdout
    assert "[bold]markup[/bold]" in done.stdout


async def test_no_secret_of_a_hooks_url_is_shown(tmp_path: Path) -> None:
    """I11."""
    url = "https://user:pass@ci.test/hook/AbcDefGhiJklMnoPqrStu1?key=S3CRET"
    made = plan(1)
    made = made.model_copy(update={"hooks": (made.hooks[0].model_copy(update={"url": url}),)})
    records = Records({}, 1)
    records.append(push(made))
    await bundle(records, tmp_path / "b")
    for arguments in (["replay"], ["replay", "--json"], ["state"], ["state", "--json"], ["verify", "--settled"]):
        done = hookline(*arguments, "--input", tmp_path / "b")
        for secret in ("user", "pass", "S3CRET", "AbcDefGhiJklMnoPqrStu1"):
            assert secret not in done.stdout + done.stderr
