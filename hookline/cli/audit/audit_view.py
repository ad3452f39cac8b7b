"""What `hookline audit` prints: stories and states as tables, findings, figures, a bar while it reads."""

import sys
import time
from pathlib import Path
from types import TracebackType
from typing import TypeAlias

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from hookline.audit.bundle import LastLine
from hookline.audit.chain_standing import standing, words
from hookline.audit.findings import Finding
from hookline.audit.lines import hooks_of, what
from hookline.audit.replay import Left, Run, Stood
from hookline.audit.source import Origin
from hookline.audit.story import Entry
from hookline.audit.verify import Figures
from hookline.chain.events import SkipRequested, written_at
from hookline.chain.state import Chain
from hookline.cli.terminal import error_console, make_console, plain_masked, print_json
from hookline.times import show_time
from hookline.web.masking import mask_tokens

__all__ = ["AuditView", "stood_fields"]

Row: TypeAlias = tuple[str, str, str, str, str, str]
SHOWN_AT_ONCE = 2_000
"""Records after which the bar moves."""
ROWS = 500
"""Of one table of chains."""


class AuditView:
    """A context manager: the bar goes with it. total: records that there are to read."""

    def __init__(self, total: int) -> None:
        self._console = make_console()
        self._errors = error_console()
        self._started = time.monotonic()
        # On a terminal both go through one console, so that the bar stays below what is printed.
        self._bar = Progress(
            TextColumn("[quiet]reading[/]"), BarColumn(), TaskProgressColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
            console=self._console if sys.stdout.isatty() else self._errors,
            disable=not sys.stderr.isatty(),
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )  # fmt: skip
        self._task = self._bar.add_task("reading", total=total)
        self._unshown = 0
        self._rows: dict[str, list[Row]] = {}
        self._stood: list[Stood] = []

    def __enter__(self) -> "AuditView":
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def progress(self, records: int) -> None:
        self._unshown += records
        if self._unshown >= SHOWN_AT_ONCE:
            self._bar.update(self._task, advance=self._unshown)
            self._unshown = 0

    def line(self, value: object) -> None:
        """One JSON object a line, for machines."""
        print_json(value, indent=None)

    # ---- replay

    def story(self, told: Entry | Left) -> None:
        """Entries are kept until nothing more is told of their chain, then shown together."""
        if isinstance(told, Left):
            self._chain(told.chain, self._rows.pop(told.chain.id))
        elif isinstance(told.record.event, SkipRequested):
            record = told.record
            place = f"{record.topic}[{record.partition}]@{record.offset}"
            self._console.print(f"\n[warn]skipped[/] [name]{plain_masked(place)}[/]  {plain_masked(what(told))}")
        elif told.chain is not None:
            self._rows.setdefault(told.chain.id, []).append(_row(told))

    def _chain(self, chain: Chain, rows: list[Row]) -> None:
        self._console.print(
            f"\n[name]{plain_masked(chain.id)}[/]  {plain_masked(chain.repository)}, pipeline {plain_masked(chain.plan.name)}: {_ended(chain)}"
        )
        for step, hook in enumerate(hooks_of(chain.plan), 1):
            self._console.print(f"  [quiet]{step}[/] {plain_masked(hook)}")
        table = _table("time", "place", "event", "who", "rests on", "after it")
        for row in rows:
            table.add_row(*row)
        self._console.print(table)

    # ---- state

    def stood(self, chains: list[Stood], last: bool = False) -> None:
        """Shown a table at a time; last: the rest of them."""
        self._stood += chains
        if not self._stood or (len(self._stood) < ROWS and not last):
            return
        table = _table("chain", "repository", "pipeline", "stood at")
        for stood in self._stood:
            chain, note = stood.chain, "" if stood.whole else " [warn](the log begins later than it)[/]"
            table.add_row(
                plain_masked(chain.id),
                plain_masked(chain.repository),
                plain_masked(chain.plan.name),
                f"{_ended(chain)}{note}",
            )
        self._stood.clear()
        self._console.print(table)

    # ---- verify

    def finding(self, finding: Finding) -> None:
        place = f"{finding.topic}[{finding.partition}]@{finding.offset}"
        about = " ".join(filter(None, (finding.event, finding.chain_id)))
        self._console.print(
            f"[bad]{plain_masked(finding.invariant):<3}[/] [name]{plain_masked(place)}[/] {plain_masked(about)}\n    {plain_masked(finding.said)}"
        )

    def figures(self, figures: Figures, origin: Origin, seal: str) -> None:
        """seal: of a bundle, "" without one."""
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
        passed = figures.passed
        table.add_row("log", f"{plain_masked(origin.log_id or 'without an id')}, {origin.partitions:d} partitions")
        table.add_row("records", f"{figures.records:d}: {_counted(figures.events)}" if figures.records else "0")
        table.add_row("chains", f"{figures.started:d}: {figures.open:d} open, {_counted(figures.ended) or '0 over'}")
        table.add_row(
            "void", f"{passed['void']:d} decisions of fenced workers, {passed['later']:d} later verdicts of a step"
        )
        if passed["unjudged"]:
            table.add_row(
                "not judged",
                f"{passed['unjudged']:d} records of chains that began before the log, or ended long before",
            )
        if passed["unread"]:
            table.add_row("not compared", f"{passed['unread']:d} pushes of sources that this Hookline does not have")
        if passed["skipped"]:
            table.add_row(
                "skipped", f"{passed['skipped']:d} records that cannot be read: `hookline audit replay` says by whom"
            )
        table.add_row("checkpoints", f"{figures.checkpoints:d} compared")
        if figures.rows:
            table.add_row("console", f"{figures.rows:d} chains compared")
        if seal:
            table.add_row("seal", plain_masked(seal))
        self._console.print(table)
        if figures.findings:
            self._console.print(f"[bad]{figures.findings:d} finding{'s' if figures.findings > 1 else ''}[/]")
        else:
            self._console.print("[good]clean: nothing found[/]")

    # ---- export

    def exported(self, file: Path, last: LastLine, seal: str) -> None:
        table = _table("section", "hash of its last line")
        for section, hash_of_line in last.last.items():
            table.add_row(plain_masked(section), plain_masked(hash_of_line))
        self._console.print(table)
        self._console.print(f"{plain_masked(file)}: {last.records:d} records, {file.stat().st_size:,} bytes")
        self._console.print(f"[good]seal {plain_masked(seal)}[/]")

    # ---- the end

    def close_run(self, run: Run) -> None:
        """What was not told, and the figure."""
        for number, (stop, left) in run.stops.items():
            self._errors.print(
                f"[warn]{_place(stop.topic, number, stop.offset)}: every reader stops here: {plain_masked(stop.said)};"
                f" {left:d} records of the partition are not read[/]"
            )
        if run.passed:
            self._errors.print(
                f"[quiet]{run.passed:d} records are about chains that began before the log, or ended long before[/]"
            )
        self.close_with(run.records)

    def close_with(self, records: int) -> None:
        self._bar.stop()
        seconds = time.monotonic() - self._started
        rate = records / seconds if seconds else 0
        self._errors.print(f"[quiet]{records:,} events in {seconds:.1f} s, {rate:,.0f} events/s[/]")


def stood_fields(stood: Stood) -> dict[str, object]:
    """A JSON object."""
    chain = stood.chain
    return {
        "chain_id": chain.id,
        "push_id": chain.push_id,
        "repository": mask_tokens(chain.repository),
        "pipeline": mask_tokens(chain.plan.slug),
        "partition": stood.partition,
        "whole": stood.whole,
        "first_step": chain.first_step,
        "hooks": hooks_of(chain.plan),
        "state": standing(chain),
    }


def _row(entry: Entry) -> Row:
    record = entry.record
    partition = record.partition
    void = f" [warn](void: {plain_masked(entry.void)})[/]" if entry.void else ""
    said = what(entry)
    return (
        plain_masked(show_time(written_at(record.event))),
        _place(record.topic, partition, record.offset),
        f"{plain_masked(type(record.event).__name__)}{' ' if said else ''}{plain_masked(said)}{void}",
        plain_masked(entry.who),
        ", ".join(_place(topic, partition, offset) for topic, offset in entry.inputs),
        "" if entry.chain is None else _ended(entry.chain),
    )


def _place(topic: str, partition: int, offset: int) -> str:
    return plain_masked(f"{topic}[{partition}]@{offset}")


def _ended(chain: Chain) -> str:
    style = "quiet" if chain.ending is None else "good" if chain.ending.reason is None else "bad"
    return f"[{style}]{plain_masked(words(chain))}[/]"


def _counted(counts: "dict[str, int]") -> str:
    return ", ".join(
        f"{count:d} {plain_masked(name)}" for name, count in sorted(counts.items(), key=lambda one: -one[1])
    )


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="quiet", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
