"""The log that a command of `hookline audit` reads, Kafka's or a file's, and the part of it that it was asked for."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from hookline.audit.bundle_file import BundleSource
from hookline.audit.cluster_source import open_cluster
from hookline.audit.source import Origin, Source
from hookline.audit.story import Selection
from hookline.chain.ids import ChainId
from hookline.cli.audit.audit_view import AuditView
from hookline.cli.operate.topics import unreachable
from hookline.clock import SystemClock
from hookline.errors import ConfigError, LogUnavailable
from hookline.kafka.kafka_cluster import kafka_cluster
from hookline.settings import load_settings
from hookline.times import parse_time

if TYPE_CHECKING:
    from hookline.audit.console import ConsoleRows

__all__ = ["collect_seldom", "on_log", "open_log", "open_rows", "origin_of", "selection_of"]


def on_log(path: Path | None, work: Callable[[Source, AuditView], Awaitable[None]]) -> None:
    """Open it, do the work, close it."""
    collect_seldom()
    asyncio.run(_work(path, work))


def collect_seldom() -> None:
    """A log is millions of small objects that come and go by themselves: the collector would only look at what stays."""
    gc.freeze()
    gc.set_threshold(200_000, 20, 1_000)


async def _work(path: Path | None, work: Callable[[Source, AuditView], Awaitable[None]]) -> None:
    log = await open_log(path)
    try:
        with AuditView(len(log.origin)) as view:
            await work(log, view)
    finally:
        await log.close()


async def origin_of(path: Path | None) -> Origin:
    """Where it comes from, and how much it is. Raises as `open_log`."""
    log = await open_log(path)
    await log.close()
    return log.origin


async def open_log(path: Path | None) -> Source:
    """Raises ConfigError, BundleBroken, LogUnavailable, TopicsUnfit."""
    if path is not None:
        return BundleSource(path)
    settings = load_settings()
    try:
        return await open_cluster(kafka_cluster(settings, "audit"), settings.topic_prefix, SystemClock())
    except LogUnavailable as error:
        raise LogUnavailable(unreachable(settings, error)) from None


def open_rows(url: str | None) -> "AbstractContextManager[ConsoleRows | None]":
    """Raises ConfigError, Unavailable."""
    if url is None:
        return nullcontext()
    try:
        from hookline.audit.console import open_console
    except ModuleNotFoundError:
        raise ConfigError("--console needs SQLAlchemy: install hookline[console]") from None
    return open_console(url)


def selection_of(
    log: Source, repository: str | None, chain: str | None, push: str | None, since: str | None, until: str | None
) -> Selection:
    """Raises ConfigError for what is no time or no chain's id."""
    now = log.origin.taken_at
    try:
        if chain is not None:
            ChainId.parse(chain)
        if push is not None:
            ChainId.parse(f"{push}-0-0-0")
    except ValueError:
        raise ConfigError(f"{chain or push} is no id of a {'chain' if chain else 'push'}") from None
    try:
        times = [None if text is None else parse_time(text, now) for text in (since, until)]
    except ValueError as error:
        raise ConfigError(str(error)) from None
    return Selection(chain, push, repository, *times)
