"""Nothing that came from outside does anything on a terminal (CWE-150): each command on a pseudo-terminal, and all their source."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from rich.text import Text

import hookline.cli
from hookline.audit.findings import Finding
from hookline.chain.events import Quarantined
from hookline.chain.ids import ChainId
from hookline.chain.pipeline import LogId
from hookline.cli.audit.audit_view import AuditView
from hookline.cli.demo.demo_client import DemoFailed
from hookline.cli.demo.demo_receivers import Step, StepWitness, Timeline
from hookline.cli.demo.demo_story import Story
from hookline.cli.local.local_secrets import MASTER_KEYS
from hookline.cli.main import main
from hookline.cli.operate import quarantine
from hookline.cli.operate.checks import Finding as Checked
from hookline.cli.operate.checks import Level
from hookline.cli.operate.doctor import show_findings
from hookline.cli.operate.drain import drain_of, show_drain
from hookline.cli.operate.quarantine import Kept
from hookline.cli.operate.record_view import shown
from hookline.cli.receive.ask import TypedLines
from hookline.cli.receive.receive import Printer, Questions
from hookline.cli.receive.receiver import Hook
from hookline.cli.terminal import make_console, plain, plain_hanging, plain_lines
from hookline.cli.voice import UpVoice
from hookline.errors import LogUnavailable, Undecodable
from hookline.log.codec import encode_setting
from hookline.log.open_chains import OpenPartition
from hookline.log.records import Place, RawRecord, Topic
from hookline.settings import Settings
from hookline.testing.manual_clock import ManualClock
from tests.kit.events import START, plan, push
from tests.unit.audit.script import Script
from tests.unit.audit.test_bundle import LOG_ID, bundle
from tests.unit.cli.operate.test_drain import chain as open_chain
from tests.unit.cli.printing import unguarded
from tests.unit.cli.pty_output import HOSTILE, faults_of, on_terminal

HOOK = Hook(
    webhook_id=HOSTILE,
    body=b"{}",
    payload={
        "callback_url": f"http://127.0.0.1/{HOSTILE}",
        "repository": {"repo_name": HOSTILE},
        "push_data": {"tag": HOSTILE, "pusher": HOSTILE},
    },
    verified=False,
    problem=HOSTILE,
)
KEPT = Kept(0, Quarantined(source=HOSTILE, received_at=0, reason=HOSTILE, raw=HOSTILE, headers={"x": HOSTILE}))


def command(*arguments: str) -> Callable[[], None]:
    def run() -> None:
        with mock.patch.object(sys, "argv", ["hookline", *arguments]):
            main()

    return run


def receive() -> None:
    printer = Printer(make_console(), full=True)
    printer.hook_came(HOOK)
    printer.called_back(HOOK, {"state": HOSTILE}, 0, HOSTILE)
    printer.will_not_call_back(HOOK)


def receive_asks() -> None:
    answers = iter([b"n\n", b""])
    asyncio.run(Questions(make_console(), TypedLines(lambda: next(answers))).ask(HOOK))


def quarantine_list() -> None:
    with mock.patch.object(quarantine, "read_kept", return_value=[KEPT]):
        command("quarantine", "list")()
        command("quarantine", "list", "--json")()


def quarantine_show() -> None:
    with mock.patch.object(quarantine, "read_kept", return_value=[KEPT]):
        command("quarantine", "show", "0")()


def quarantine_retry() -> None:
    with mock.patch.object(quarantine, "read_kept", return_value=[KEPT]):
        command("quarantine", "retry", "0")()


def demo() -> None:
    console, clock = make_console(), ManualClock()
    witness = StepWitness(Step(1, "test", 0, lambda _: {}), Timeline(console, clock))
    witness.answered(HOOK, 200)
    witness.calls_back(HOOK, {"state": HOSTILE, "description": HOSTILE})
    witness.called_back(HOOK, {"state": "success"}, 400, HOSTILE)
    story = Story(SimpleNamespace(), console, clock)  # type: ignore[arg-type]
    story.show_history(
        [{"created": HOSTILE, "tag": HOSTILE, "status": HOSTILE, "step": HOSTILE, "description": HOSTILE}]
    )


def log_show() -> None:
    console = make_console()
    about = {"name": HOSTILE, "reason": HOSTILE}
    headers = {HOSTILE: HOSTILE.encode(), "ce_type": HOSTILE.encode()}
    raw = RawRecord(Place(Topic.PUSHES, 3), 17, START, HOSTILE.encode(), json.dumps(about).encode(), headers)
    for line in shown(raw):
        console.print(line)


def audit_finding() -> None:
    view = AuditView(1)
    view.finding(Finding("I2", "deliveries", 0, 2, HOSTILE, HOSTILE, HOSTILE))
    view.line({"said": HOSTILE})


def up() -> None:
    settings = Settings(kafka_bootstrap_servers=(HOSTILE,), topic_prefix=HOSTILE)
    unit: Any = SimpleNamespace(name="ingress", last_lines=lambda: [HOSTILE])
    voice = UpVoice(
        make_console(), ManualClock(), settings, Path("data"), {MASTER_KEYS: ""}, frozenset(), own_broker=True
    )
    voice.says("kafka", HOSTILE)
    voice.is_waiting(unit, HOSTILE, 60)
    voice.died(unit, "exit code 1", 1)
    voice.given_up(unit, HOSTILE, 1)
    voice.error_line("ingress", HOSTILE)
    voice.all_ready()


def up_rebuilds() -> None:
    unit: Any = SimpleNamespace(name="console", last_lines=lambda: [f"--rebuild {HOSTILE}"])
    settings = Settings(kafka_bootstrap_servers=(HOSTILE,), topic_prefix=HOSTILE)
    UpVoice(make_console(), ManualClock(), settings, Path("data"), {}, frozenset(), own_broker=True).given_up(
        unit, HOSTILE, 1
    )


def doctor() -> None:
    show_findings(make_console(), [Checked(Level.BAD, HOSTILE, HOSTILE, HOSTILE)])


def drain() -> None:
    found = drain_of([OpenPartition(0, (open_chain(repository=HOSTILE),), 0)], START)
    show_drain(make_console(), found, HOSTILE)


def an_error(error: Exception) -> Callable[[], None]:
    def run() -> None:
        with mock.patch.object(quarantine, "read_kept", mock.Mock(side_effect=error)):
            command("quarantine", "list")()

    return run


def logged(statement: str) -> Callable[[], None]:
    """What a service in the foreground logs; as a process, for how it logs is the whole process's."""
    script = (
        "import structlog; from hookline.web.logging import configure_logging; configure_logging('text', 'info');"
        f"from tests.unit.cli.pty_output import HOSTILE; log = structlog.get_logger()\n{statement}"
    )

    def run() -> None:
        subprocess.run([sys.executable, "-c", script], stdout=sys.stdout, stderr=sys.stderr, check=True, timeout=60)

    return run


PRINTERS: dict[str, Callable[[], object]] = {
    "receive": receive,
    "receive --ask": receive_asks,
    "quarantine list": quarantine_list,
    "quarantine show": quarantine_show,
    "quarantine retry": quarantine_retry,
    "demo": demo,
    "log show": log_show,
    "audit verify": audit_finding,
    "up": up,
    "up, a console to rebuild": up_rebuilds,
    "doctor": doctor,
    "topics drain": drain,
    "an error": an_error(LogUnavailable(HOSTILE)),
    "an error of the demo": an_error(DemoFailed(HOSTILE)),
    "a record that cannot be read": an_error(Undecodable("pushes", 0, 1, HOSTILE)),
    "a fault of ours": an_error(RuntimeError(HOSTILE)),
    "a log line": logged("log.info(HOSTILE, said=HOSTILE, listed=[HOSTILE])"),
    "a trace": logged("try: raise ValueError(HOSTILE)\nexcept ValueError: log.exception(HOSTILE)"),
}


@pytest.mark.parametrize("printer", PRINTERS.values(), ids=PRINTERS)
def test_on_a_terminal_it_shows_text_and_does_nothing_else(printer: Callable[[], object]) -> None:
    assert faults_of(on_terminal(printer)) == []


async def test_an_audit_of_a_hostile_log(tmp_path: Path) -> None:
    script = Script()
    hostile = plan().model_copy(update={"name": HOSTILE, "slug": HOSTILE})
    event = push(hostile, name=HOSTILE).model_copy(update={"repository": HOSTILE, "tag": HOSTILE, "pusher": HOSTILE})
    made = str(ChainId(event.push_id, script.records.append(event), 0, 0))
    script.plans[made] = hostile
    script.delivered(made)
    script.verdict(made, description=HOSTILE, context=HOSTILE, target_url=HOSTILE, remote_ip=HOSTILE)
    draft = encode_setting(LogId(log_id=LOG_ID), now_ms=0)
    script.records.pipelines = [RawRecord(draft.place, 0, 0, draft.key, draft.value, draft.headers)]
    await bundle(script.records, tmp_path / "b")
    for name in ("replay", "state"):
        output = await asyncio.to_thread(on_terminal, command("audit", name, "--input", str(tmp_path / "b")))
        assert faults_of(output) == []


# ---- what is put into a line


def test_text_stays_as_it_is_also_where_it_looks_like_markup() -> None:
    said = r"[bold]x[/] \[y] :skull: C:\dir" + "\\"
    assert Text.from_markup(f"<{plain(said)}[bold]>[/]", emoji=False).plain == f"<{said}>"
    for put in (plain_lines, plain_hanging):
        assert [line.strip() for line in Text.from_markup(put(f"{said}\n{said}"), emoji=False).plain.split("\n")] == [
            said,
            said,
        ]


def test_only_the_first_line_of_several_stands_at_the_left() -> None:
    assert plain_lines("a\n  b\r\nc") == "  a\n    b\n  c"
    assert plain_hanging("a\n  b\r\nc") == "a\n  b\n  c"


def test_what_comes_round_it_still_does_nothing() -> None:
    def careless() -> None:
        make_console().print(HOSTILE, markup=False)

    assert {fault for fault in faults_of(on_terminal(careless)) if not fault.startswith("FORGED")} == set()


def test_the_tests_see_what_is_wrong() -> None:
    faults = faults_of(on_terminal(lambda: print(HOSTILE)))
    assert repr("\x1b") in faults
    assert repr("\u202e") in faults
    assert "FORGED by a newline" in " ".join(faults)
    assert faults_of("nothing") == ["it does not show it", "it takes it for markup"]


# ---- every printer


ALLOWED = {
    "terminal.py": ["rich.markup: `plain` does it", "print(json.dumps(value, indent=indent), flush=False)"],
    "main.py": ["print(f'hookline {__version__}')"],  # ours
    "quarantine.py": ["typer.get_binary_stream"],  # --raw: byte for byte, as asked
    "source_trial.py": ["typer.get_binary_stream"],  # standard input
    "audit_view.py": ["*row"],  # made by `_row`, kept until their chain is over
    "demo_receivers.py": ["line"],  # came through `_print`, held back until the push is answered
    "log.py": ["line"],  # of `record_view`
}


@pytest.mark.parametrize("module", sorted(Path(hookline.cli.__file__).parent.rglob("*.py")), ids=lambda path: path.name)
def test_every_printer_goes_through_plain(module: Path) -> None:
    assert [what for _, what in unguarded(module.read_text())] == ALLOWED.get(module.name, [])


@pytest.mark.parametrize(
    "statement",
    [
        "print(x)",
        "console.print(x)",
        "console.print(f'{x}')",
        "console.print(f'[bad]{plain(x)}[/] {x}')",
        "console.print('a ' + x)",
        "console.print(x.name if x else 'none')",
        "console.print(', '.join(x))",
        "table.add_row(plain(x), x)",
        "table.add_row(*x)",
        "console.print(other(x))",
        "y = x.y; console.print(y)",
        "for y in x: console.print(y)",
        "show(x)",
        "sys.stderr.write(x)",
        "typer.echo(x)",
        "Console().line()",
        "from rich.markup import escape",
    ],
)
def test_a_printer_that_goes_round_it_is_found(statement: str) -> None:
    assert list(unguarded(f"def one(x: str) -> None:\n    {statement}\ndef other(x: str) -> str:\n    return x"))


@pytest.mark.parametrize(
    "statement",
    [
        "console.print('all', plain(x))",
        "console.print(f'{plain(x):<9} {len(x)} {x.size:,} {x.seconds:.1f}')",
        "y = plain(x) if x else 'none'; console.print(f'[bad]{y}[/]')",
        "table.add_row(*map(plain, x))",
        "console.print(other(x))",
        "y = Table(); console.print(y)",
    ],
)
def test_a_printer_that_goes_through_it_is_not(statement: str) -> None:
    source = f"def one(x: str) -> None:\n    {statement}\ndef other(x: str) -> str:\n    return f'<{{plain(x)}}>'"
    assert list(unguarded(source)) == []
