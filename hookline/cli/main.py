"""The command `hookline`: its parts, and what a user sees when something is wrong (one sentence; a trace only for a fault of ours)."""

import logging
import sys
from traceback import format_exc
from typing import Annotated

import typer

from hookline import __version__
from hookline.cli import service
from hookline.cli.audit import audit
from hookline.cli.demo import demo
from hookline.cli.local import up
from hookline.cli.operate import doctor, keys, log, quarantine, source_trial, sources, topics
from hookline.cli.receive import receive
from hookline.cli.terminal import error_console, plain_hanging, plain_lines
from hookline.errors import ConfigError, HooklineError

__all__ = ["app", "main"]

EXIT_FAILED = 1
EXIT_CONFIG = 2

app = typer.Typer(
    name="hookline",
    help="Webhook chains for container registries, on Kafka.",
    epilog="Start here: hookline demo",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
LOCAL, SERVICES, OPERATE = "On this machine", "One service in the foreground", "Operate"
sources_app = typer.Typer(
    cls=sources.SourcesGroup,
    help="""The kinds of registries whose events ingress accepts, and what it makes of a body.

    Without a command it lists them: `hookline sources` takes the names and options of `list`.

    Examples:
        hookline sources
        hookline sources harbor --url https://hooks.example.com
        hookline sources test generic/ci < body.json
    """,
)
sources_app.command(name="list")(sources.list_sources)
sources_app.command(name="test")(source_trial.try_body)
app.command(rich_help_panel=LOCAL)(demo.demo)
app.command(rich_help_panel=LOCAL)(up.up)
app.command(rich_help_panel=LOCAL)(receive.receive)
app.command(rich_help_panel=SERVICES)(service.ingress)
app.command(rich_help_panel=SERVICES)(service.dispatcher)
app.command(rich_help_panel=SERVICES)(service.callbacks)
app.command(rich_help_panel=SERVICES)(service.console)
app.command(rich_help_panel=OPERATE)(doctor.doctor)
app.add_typer(sources_app, name="sources", rich_help_panel=OPERATE)
app.command(rich_help_panel=OPERATE)(keys.keys)
app.add_typer(quarantine.app, name="quarantine", rich_help_panel=OPERATE)
app.add_typer(topics.app, name="topics", rich_help_panel=OPERATE)
app.add_typer(log.app, name="log", rich_help_panel=OPERATE)
app.add_typer(audit.app, name="audit", rich_help_panel=OPERATE)


def _show_version(asked: bool) -> None:
    if asked:
        print(f"hookline {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Webhook chains for container registries, on Kafka."""


def main() -> None:
    """Entry point. Exit code 2 for a wrong setting or option, 1 for anything else that failed."""
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())  # our errors say what it has to say
    logging.getLogger("aiokafka").propagate = False
    try:
        app()
    except HooklineError as error:
        error_console().print(f"[bad]hookline:[/] {plain_hanging(error)}")
        sys.exit(EXIT_CONFIG if isinstance(error, ConfigError) else EXIT_FAILED)
    except Exception:  # noqa: BLE001 - a fault of ours: Python's own trace would print what it quotes as it is
        error_console().print(f"[bad]hookline:[/] this is a bug in Hookline\n{plain_lines(format_exc().strip())}")
        sys.exit(EXIT_FAILED)
