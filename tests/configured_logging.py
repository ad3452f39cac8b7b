"""Logging as a service sets it up, within a test's own process, and all as it was afterwards."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from hookline.web.logging import configure_logging

__all__ = ["configured_logging"]


@contextmanager
def configured_logging(style: str, level: str) -> Iterator[None]:
    """As `configure_logging`, but loggers that are used meanwhile are not bound to it for good: later tests capture theirs."""
    root = logging.getLogger()
    handlers, before = root.handlers[:], root.level
    configure_logging(style, level)
    structlog.configure(cache_logger_on_first_use=False)
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(before)
        logging.getLogger("aiohttp.server").filters.clear()
        structlog.reset_defaults()
