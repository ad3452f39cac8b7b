"""`hookline audit`: replay, state, verify, export. They read and nothing else: nothing is produced, committed or sent (I12)."""

import asyncio
import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Annotated, NamedTuple, TypeAlias

import typer

from hookline.audit.bundle_file import BundleSource
from hookline.audit.export import export as write_bundle
from hookline.audit.findings import Finding
from hookline.audit.jobs import Jobs, jobs_for
from hookline.audit.lines import as_fields
from hookline.audit.replay import Left, Run
from hookline.audit.replay import replay as read_story
from hookline.audit.replay import stood as read_state
from hookline.audit.source import Source
from hookline.audit.verify import Figures
from hookline.audit.verify import verify as judge
from hookline.cli.audit.audit_log import collect_seldom, on_log, open_log, open_rows, origin_of, selection_of
from hookline.cli.audit.audit_view import AuditView, stood_fields
from hookline.cli.installed import push_reader
from hookline.errors import BundleBroken, ConfigError

__all__ = ["app"]

app = typer.Typer(
    help="""Replay the log, see every chain at any moment, and prove that no promise was broken.

    Reads only. Settings come from the environment, as everywhere; --input reads a
    file of `hookline audit export` instead, without Kafka.

    Examples:
        hookline audit verify
        hookline audit replay --repository acme/app --from -2h
        hookline audit state --at 2026-11-24T10:00:00Z
        hookline audit export log.hookline
        hookline audit verify --input log.hookline
    """,
    no_args_is_help=True,
)

Input: TypeAlias = Annotated[
    Path | None, typer.Option("--input", metavar="FILE", help="Read this file of `hookline audit export`, not Kafka.")
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="One JSON object a line, for machines.")]
Repository: TypeAlias = Annotated[str | None, typer.Option("--repository", metavar="R", help="Only this repository.")]
Chain: TypeAlias = Annotated[str | None, typer.Option("--chain", metavar="C", help="Only this chain, by its id.")]
Push: TypeAlias = Annotated[str | None, typer.Option("--push", metavar="P", help="Only this push, by its id.")]
TIME = "RFC 3339 (2026-11-24T10:00:00Z), a day, or back from now: -90s, -30m, -2h, -7d."


@app.command()
def replay(
    since: Annotated[str | None, typer.Option("--from", metavar="T", help=f"Show nothing earlier. {TIME}")] = None,
    until: Annotated[str | None, typer.Option("--to", metavar="T", help="Read nothing later.")] = None,
    repository: Repository = None,
    chain: Chain = None,
    push: Push = None,
    as_json: AsJson = False,
    source: Input = None,
) -> None:
    """Tell each chain's story, event by event: what it did, who decided it, on which record, and the state after it.

    A place such as pushes[3]@17 is topic, partition and offset. With --input,
    times count back from when the file was exported.

    Examples:
        hookline audit replay
        hookline audit replay --from -2h --repository acme/app
        hookline audit replay --chain 5b3c...-17-0-0 --json
    """

    async def tell(log: Source, view: AuditView) -> None:
        selection = selection_of(log, repository, chain, push, since, until)
        run = Run()
        async for told in read_story(log, selection, run, view.progress):
            if not as_json:
                view.story(told)
            elif not isinstance(told, Left):
                view.line(as_fields(told))
        view.close_run(run)

    on_log(source, tell)


@app.command()
def state(
    at: Annotated[str, typer.Option("--at", metavar="T", help=f"The moment. {TIME}")] = "now",
    only_open: Annotated[bool, typer.Option("--open", help="Only chains that were open.")] = False,
    repository: Repository = None,
    chain: Chain = None,
    push: Push = None,
    as_json: AsJson = False,
    source: Input = None,
) -> None:
    """Show every chain as it stood at a moment.

    Each log counts up to its first record that Kafka has a later time for.

    Examples:
        hookline audit state --at -1h
        hookline audit state --at 2026-11-24T10:00:00Z --open --json
    """

    async def show(log: Source, view: AuditView) -> None:
        selection = selection_of(log, repository, chain, push, None, at)
        run = Run()
        async for chains in read_state(log, selection, run, view.progress):
            wanted = [stood for stood in chains if not (only_open and stood.chain.ending)]
            if as_json:
                for stood in wanted:
                    view.line(stood_fields(stood))
            else:
                view.stood(wanted)
        view.stood([], last=True)
        view.close_run(run)

    on_log(source, show)


class Judged(NamedTuple):
    """The last that a job says. `seal`: of the bundle, "" without one."""

    figures: Figures
    seal: str


Said: TypeAlias = Finding | Judged | int
"""A finding, the end, or how many records were just judged."""


@app.command()
def verify(
    settled: Annotated[
        bool, typer.Option("--settled", help="Nothing is under way: a chain that is due counts as stuck.")
    ] = False,
    console: Annotated[
        str | None,
        typer.Option("--console", metavar="URL", help="Also compare the rows of this database of the console."),
    ] = None,
    seal: Annotated[
        str | None, typer.Option("--seal", metavar="HASH", help="With --input: the seal that its export printed.")
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", metavar="N", min=1, help="Processes. Default on a long log: one for each processor."),
    ] = None,
    as_json: AsJson = False,
    source: Input = None,
) -> None:
    """Check every promise that the log can prove: I1 to I14, each decision derived again and compared.

    Exit code 0 only when nothing was found, 1 with findings, 2 when used wrong.

    Examples:
        hookline audit verify
        hookline audit verify --console sqlite:///hookline-data/console.sqlite3
        hookline audit verify --input log.hookline --json
    """
    if seal is not None and source is None:
        raise ConfigError("--seal is the seal of a file: give it with --input")
    origin = asyncio.run(origin_of(source))
    count = jobs or jobs_for(origin)
    all_figures, seals = Figures(), set[str]()

    def work(job: int, say: Callable[[Said], None]) -> None:
        only = None if count == 1 else range(job, origin.partitions, count)
        asyncio.run(_judge(source, console, only, say, settled=settled))

    with Jobs(count, work) as running, AuditView(len(origin)) as view:

        def hear(said: Said) -> None:
            match said:
                case Finding() if as_json:
                    view.line({"finding": said._asdict()})
                case Finding():
                    view.finding(said)
                case Judged(figures, seal_there):
                    all_figures.add(figures)
                    seals.add(seal_there)
                case int():
                    view.progress(said)

        running.hear(hear)
        if seal is not None and seals != {seal}:
            raise BundleBroken(f"{source} is whole, and another file: its seal is {seals.pop()}")
        if as_json:
            view.line({"figures": all_figures.as_fields()})
        else:
            view.figures(all_figures, origin, seals.pop())
        view.close_with(all_figures.records)
    if all_figures.findings:
        raise typer.Exit(1)


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="Where to write the bundle; readable by you only.")],
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
    source: Input = None,
) -> None:
    """Write everything that an audit reads into one file, in which nothing can be changed unnoticed.

    It holds what the topics hold, payloads and whole hook URLs too: keep it as
    you keep them. Note the seal that is printed: it stands for the whole file.

    Examples:
        hookline audit export log.hookline
        hookline audit verify --input log.hookline
    """
    if file.exists() and not force:
        raise ConfigError(f"{file} already exists: choose another name, or --force")
    part = file.with_name(f"{file.name}.part")

    async def write(log: Source, view: AuditView) -> None:
        try:
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
                last, hash_of_last = await write_bundle(log, out, view.progress)
                out.flush()
                os.fsync(out.fileno())
            part.replace(file)
        except OSError as error:
            raise ConfigError(f"cannot write {part}: {error.strerror}") from None
        finally:
            part.unlink(missing_ok=True)
        view.exported(file, last, hash_of_last)
        view.close_with(last.records)

    on_log(source, write)


async def _judge(
    path: Path | None, console: str | None, only: Collection[int] | None, say: Callable[[Said], None], *, settled: bool
) -> None:
    """One job's share."""
    collect_seldom()
    # Before the log's ends are taken: what the database has read lies below them.
    with open_rows(console) as rows:
        log = await open_log(path)
        try:
            figures = await judge(
                log, say, console=rows, settled=settled, only=only, pushes=push_reader(), progress=say
            )
        finally:
            await log.close()
    say(Judged(figures, log.seal if isinstance(log, BundleSource) else ""))
