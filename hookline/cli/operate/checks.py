"""What `hookline doctor` looks at. Each check says what it found, and for what is wrong the remedy."""

import asyncio
import difflib
from collections.abc import AsyncIterator, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import aiohttp

from hookline.broker.java import find_java
from hookline.cli.installed import SAFE_PATH, service_command
from hookline.cli.local.ports import SERVICES, service_port
from hookline.cli.local.readiness import ask_ready, ready_url
from hookline.cli.operate.topics import unreachable
from hookline.errors import ConfigError, HooklineError, LogUnavailable, Undecodable
from hookline.kafka.fitness import fitness, narrow
from hookline.kafka.kafka_cluster import kafka_cluster
from hookline.kafka.topics import describe
from hookline.secret_bounds import password_fault, token_faults
from hookline.settings import Settings

__all__ = [
    "Finding",
    "Level",
    "check_console_fits",
    "check_database",
    "check_kafka",
    "check_names",
    "check_secrets",
    "check_services",
]

PREFIX = "HOOKLINE_"
CONSOLE_FILE = "console.sqlite3"
NOT_IN_SETTINGS = frozenset({"HOOKLINE_HOOK_SECRET", "HOOKLINE_CACHE_DIR"})
"""Read elsewhere: by `hookline receive`, by the embedded broker."""

CHAIN_ASIDE = "everything else continues; docs/operations.md, “A chain that is set aside”"
RECORD_ASIDE = "everything else continues; docs/operations.md, “A record that is set aside”"


class Level(StrEnum):
    GOOD = "ok"
    ODD = "note"
    BAD = "wrong"


class Finding(NamedTuple):
    """One thing that was looked at. `remedy`: what to do, "" if nothing."""

    level: Level
    what: str
    said: str
    remedy: str = ""


def check_names(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Variables that look like ours and are none: a misspelt setting is ignored silently by everything else."""
    known = NOT_IN_SETTINGS | {PREFIX + name.upper() for name in Settings.model_fields}
    for name in sorted(environment):
        if name.startswith(PREFIX) and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            remedy = f"did you mean {near[0]}?" if near else "docs/settings.md lists them all"
            yield Finding(Level.BAD, name, "there is no such setting: it has no effect", remedy)


def check_secrets(settings: Settings) -> Iterator[Finding]:
    """What services refuse to start without, or refuse to answer without."""
    try:
        keys = settings.key_ring()
        yield Finding(Level.GOOD, "master keys", f"{len(keys.ids)}, {keys.first} signs")
    except ConfigError as error:
        remedy = "`hookline up` makes one; or: echo k1:$(head -c 32 /dev/urandom | base64)"
        yield Finding(Level.BAD, "master keys", str(error), remedy)
    password = settings.admin_password.get_secret_value()
    yield _given("console's password", bool(password), password_fault(password), "HOOKLINE_ADMIN_PASSWORD")
    can_check = bool(settings.ingress_tokens or settings.ingress_secrets_file or settings.insecure_ingress)
    fault = "; ".join(token_faults(tuple(token.get_secret_value() for token in settings.ingress_tokens)))
    yield _given("ingress tokens", can_check, fault, "HOOKLINE_INGRESS_TOKENS")


def _given(what: str, given: bool, fault: str | None, setting: str) -> Finding:
    if given and fault:
        return Finding(Level.BAD, what, fault, "services refuse to start with it")
    if given:
        return Finding(Level.GOOD, what, "set")
    return Finding(Level.BAD, what, "not set", f"set {setting}; `hookline up` makes one")


async def check_services(settings: Settings) -> AsyncIterator[Finding]:
    """`/readyz` of each, on this machine."""
    async with aiohttp.ClientSession() as session:
        urls = {name: ready_url(settings, service_port(settings, name)) for name in SERVICES}
        answers = await asyncio.gather(*(ask_ready(session, url) for url in urls.values()))
        for (name, url), status in zip(urls.items(), answers, strict=True):
            if status.ok:
                yield Finding(Level.GOOD, name, f"ready at {url}")
            else:
                remedy = f"start it with `hookline {name}`, or everything with `hookline up`"
                yield Finding(Level.BAD, name, f"{status.detail or 'not ready'} ({url})", remedy)
            for trouble in status.troubles:
                yield Finding(Level.BAD, name, trouble, RECORD_ASIDE if name == "console" else CHAIN_ASIDE)


async def check_kafka(settings: Settings) -> list[Finding]:
    """Does Kafka answer, and do the topics fit?"""
    cluster = kafka_cluster(settings, "doctor")
    try:
        found = await describe(cluster)
    except LogUnavailable as error:
        return [Finding(Level.BAD, "kafka", *unreachable(settings, error).split(": ", 1))]
    except Undecodable as error:
        return [Finding(Level.BAD, "topics", str(error), "is a newer version of Hookline writing there?")]
    servers = ",".join(cluster.connection.bootstrap_servers)
    answers = Finding(Level.GOOD, "kafka", f"{servers} answers, {found.brokers} broker(s)")
    wrong = fitness(found, cluster.connection.name) + narrow(found.states)
    if not wrong:
        return [answers, Finding(Level.GOOD, "topics", f"all seven fit, log_id {found.log_id}")]
    return [answers, *(Finding(Level.BAD, "topics", *(sentence.split(": ", 1))) for sentence in wrong)]


async def check_console_fits(settings: Settings, environment: Mapping[str, str]) -> Finding | None:
    """Does the console's database fit the log? Asked of the console itself; None where there is no database yet.

    environment: what the console would be started with.
    """
    if not settings.database_url.get_secret_value() and not (settings.data_dir / CONSOLE_FILE).exists():
        return None
    asked = await asyncio.create_subprocess_exec(
        *service_command("console", "--check"),
        env=dict(environment) | SAFE_PATH,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, wrong = (text.decode(errors="replace").strip().split("\n")[-1] for text in await asked.communicate())
    if asked.returncode == 0:
        if "set aside: " in out:
            return Finding(Level.ODD, "console's database", out, RECORD_ASIDE)
        return Finding(Level.GOOD, "console's database", out)
    if "No module named" in wrong:
        return Finding(Level.ODD, "console's database", "not looked at: the console is not installed here")
    said, _, remedy = wrong.removeprefix("hookline: ").partition(" Rebuild it: ")
    return Finding(Level.BAD, "console's database", said, remedy and "`hookline console --rebuild`: nothing is lost")


def check_java() -> Finding:
    """Only the embedded broker needs one."""
    try:
        return Finding(Level.GOOD, "java", f"{find_java()}")
    except HooklineError as error:
        return Finding(Level.BAD, "java", str(error))


def check_database(settings: Settings) -> Finding:
    """Can the console's database be opened? What is in it can always be built anew."""
    url = settings.database_url.get_secret_value()
    if not url or url.startswith("sqlite"):
        return _check_folder(settings.data_dir)
    try:
        from sqlalchemy import create_engine, make_url, text
        from sqlalchemy.exc import SQLAlchemyError
    except ModuleNotFoundError:
        return Finding(
            Level.ODD, "database", "not looked at: SQLAlchemy is not installed here", "install hookline[console]"
        )
    try:
        target = make_url(url)
        if target.drivername in ("postgresql", "postgres"):
            target = target.set(drivername="postgresql+psycopg")
        engine = create_engine(target, hide_parameters=True, connect_args={"connect_timeout": 5})
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
        engine.dispose()
    except ModuleNotFoundError as error:
        return Finding(Level.BAD, "database", f"the package {error.name} is missing", "install hookline[postgres]")
    except (SQLAlchemyError, ValueError) as error:
        said = str(getattr(error, "orig", None) or type(error).__name__).strip().split("\n")[0]
        return Finding(
            Level.BAD, "database", f"does not answer: {said}", "is HOOKLINE_DATABASE_URL right, and the server up?"
        )
    return Finding(Level.GOOD, "database", f"{target.host}:{target.port or 5432}/{target.database} answers")


def _check_folder(data_dir: Path) -> Finding:
    where = f"SQLite in {data_dir}"
    if not data_dir.exists():
        return Finding(Level.ODD, "database", f"{where}: the folder does not exist yet", "the first start makes it")
    probe = data_dir / ".doctor"
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        return Finding(
            Level.BAD, "database", f"{where}: cannot write there ({error.strerror})", "set HOOKLINE_DATA_DIR"
        )
    return Finding(Level.GOOD, "database", where)
