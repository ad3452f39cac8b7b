"""structlog, as lines for people or as JSON. Log lines hold routes, ids and offsets; never URLs as given, headers or bodies (I11)."""

import logging
import sys
from textwrap import indent

import structlog
from aiohttp.http_exceptions import HttpProcessingError

from hookline.visible import visible
from hookline.web.masking import mask_tokens

__all__ = ["TRAIL", "configure_logging"]

TRAIL = "hookline.trail"
"""Name of the logger whose lines are written whatever the level: who did what (`services.console.trail`)."""

TRACES = frozenset({"exception", "stack"})


def configure_logging(style: str, level: str) -> None:
    """style: "text" or "json"; level: debug, info, warning or error. To standard error, both ours and the libraries'."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _without_tokens,
    ]
    renderers: list[structlog.typing.Processor] = (
        [structlog.processors.JSONRenderer()]
        if style == "json"
        else [_plainly, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.getLogger(TRAIL).setLevel(logging.INFO)
    # aiokafka logs every lost connection as an error, many a second, where our own readiness says it once; and at the
    # level of debug it logs raw answers, records and all (I11).
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    logging.getLogger("aiohttp.access").disabled = True
    logging.getLogger("aiohttp.server").addFilter(_without_request_text)


def _without_tokens(_: object, __: str, line: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Of ours and of the libraries', and of traces: the last resort behind not putting them there."""
    return {name: mask_tokens(value) if isinstance(value, str) else value for name, value in line.items()}


def _plainly(
    _: structlog.typing.WrappedLogger, __: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """No value moves a terminal's cursor or makes a line of its own; a trace's lines are indented. JSON needs none of it."""
    return {name: _shown(name, value) for name, value in event.items()}


def _shown(name: str, value: object) -> object:
    if name in TRACES:
        return indent(visible(str(value), lines=True), "  ")
    return value if isinstance(value, int | float) else visible(str(value))


def _without_request_text(record: logging.LogRecord) -> bool:
    """aiohttp logs what is no HTTP with a trace and its text, which may hold a token (I11): leave the kind of error."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, HttpProcessingError):
        record.msg, record.args = "refused what is not an HTTP request: %s", (type(error).__name__,)
        record.exc_info = record.exc_text = None
        record.levelno, record.levelname = logging.WARNING, "WARNING"
    return True
