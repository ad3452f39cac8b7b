"""`hookline doctor`: what is set, what is reachable, what is missing, in words."""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table

from hookline.cli.local.local_secrets import SecretFile, local_settings
from hookline.cli.operate.checks import (
    Finding,
    Level,
    check_console_fits,
    check_database,
    check_java,
    check_kafka,
    check_names,
    check_secrets,
    check_services,
)
from hookline.cli.terminal import make_console, plain
from hookline.errors import ConfigError
from hookline.settings import Settings, settings_of_environment

__all__ = ["doctor", "show_findings", "shown_value"]

STYLES: Mapping[Level, str] = {Level.GOOD: "good", Level.ODD: "warn", Level.BAD: "bad"}


def doctor(
    data: Annotated[
        Path,
        typer.Option(
            "--data", help="Data folder of `hookline up`; its secrets count as set.", envvar="HOOKLINE_DATA_DIR"
        ),
    ] = Path("hookline-data"),
    everything: Annotated[bool, typer.Option("--all", help="Also show settings that have their default.")] = False,
) -> None:
    """What is set (secrets starred), what is reachable, what is missing, and what to do about it.

    Exit code 1 if something is wrong. What `hookline up` made in its data folder
    counts as set.

    Examples:
        hookline doctor
        hookline doctor --all                # every setting there is
        HOOKLINE_KAFKA_BOOTSTRAP_SERVERS=kafka:9092 hookline doctor
    """
    console = make_console()
    findings = list(check_names(os.environ))
    settings = settings_of_environment(data_dir=data.absolute())
    from_file: dict[str, str] = {}
    try:
        from_file = SecretFile(data).completing(os.environ)
        settings = local_settings(data)
    except ConfigError as error:
        findings.append(Finding(Level.BAD, "secrets.env", str(error)))
    _show_settings(console, settings, SecretFile(data).path, everything=everything)
    data_dir = {"HOOKLINE_DATA_DIR": str(settings.data_dir)}
    findings += asyncio.run(_look(settings, {**os.environ, **from_file, **data_dir}))
    show_findings(console, findings)
    if any(finding.level is Level.BAD for finding in findings):
        raise typer.Exit(1)


async def _look(settings: Settings, environment: Mapping[str, str]) -> list[Finding]:
    """environment: ours, completed as `hookline up` does it for the console."""
    findings = list(check_secrets(settings))
    if not settings.kafka_bootstrap_servers and settings.kafka != "docker":
        findings.append(await asyncio.to_thread(check_java))
    kafka = await check_kafka(settings)
    findings += kafka
    findings += [finding async for finding in check_services(settings)]
    findings.append(await asyncio.to_thread(check_database, settings))
    if kafka[0].level is Level.GOOD and (fits := await check_console_fits(settings, environment)) is not None:
        findings.append(fits)
    return findings


def _show_settings(console: Console, settings: Settings, secret_file: Path, *, everything: bool) -> None:
    given = settings_of_environment(data_dir=settings.data_dir)
    table = _table("setting", "value", "from")
    for field in Settings.model_fields:
        name = f"HOOKLINE_{field.upper()}"
        if name in os.environ:
            source = "environment"
        elif getattr(settings, field) != getattr(given, field):
            source = str(secret_file)
        elif everything:
            source = "default"
        else:
            continue
        table.add_row(plain(name), plain(shown_value(getattr(settings, field))), f"[quiet]{plain(source)}[/]")
    if table.row_count:
        console.print(table)
    else:
        console.print("[quiet]every setting has its default (--all shows them)[/]")
    console.print()


def shown_value(value: object) -> str:
    """A setting's value, secrets as stars."""
    if isinstance(value, tuple):
        return ",".join(shown_value(one) for one in value) or "none"
    if isinstance(value, SecretStr):
        return "***" if value.get_secret_value() else "none"
    return "none" if value in ("", None) else str(value)


def show_findings(console: Console, findings: list[Finding]) -> None:
    for finding in findings:
        level = f"[{STYLES[finding.level]}]{plain(finding.level.value):<6}[/]"
        console.print(f"{level} [name]{plain(finding.what):<20}[/] {plain(finding.said)}")
        if finding.remedy:
            console.print(f"{'':<28}[quiet]→ {plain(finding.remedy)}[/]")


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="quiet", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column)
    return table
