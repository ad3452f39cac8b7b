"""Asks a service's admin port whether it is ready."""

import aiohttp

from hookline.settings import ADMIN_OFFSET, Settings
from hookline.web.health import Status

__all__ = ["NO_ANSWER", "ask_ready", "console_url", "local_host", "ready_url"]

TIMEOUT_S = 2.0
NO_ANSWER = "does not answer"
WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def local_host(settings: Settings) -> str:
    """The host to reach services of this machine at, ready for a URL: a wildcard HOST is asked on loopback."""
    host = WILDCARDS.get(settings.host, settings.host)
    return f"[{host}]" if ":" in host else host


def console_url(settings: Settings) -> str:
    """Where this machine's console is, unless it is set; empty where it listens on all addresses, each of which may be asked for."""
    return "" if settings.host in WILDCARDS else f"http://{local_host(settings)}:{settings.console_port}"


def ready_url(settings: Settings, port: int) -> str:
    """`/readyz` of the service with that (public) port."""
    return f"http://{local_host(settings)}:{port + ADMIN_OFFSET}/readyz"


async def ask_ready(session: aiohttp.ClientSession, url: str) -> Status:
    """What it answers; not ok when nobody does. Never raises for what is wrong on the other side."""
    try:
        async with session.get(url, timeout=aiohttp.ClientTimeout(total=TIMEOUT_S)) as answer:
            body = await answer.json(content_type=None)
            said = body if isinstance(body, dict) else {}
            troubles = said.get("troubles", ())
            return Status(
                answer.status == 200,
                str(said.get("detail", "")),
                tuple(map(str, troubles)) if isinstance(troubles, list) else (),
            )
    except (TimeoutError, aiohttp.ClientError, ValueError):
        return Status(False, NO_ANSWER)
