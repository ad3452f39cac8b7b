"""The services as the command line reaches them: started, and asked what ingress makes of a body. No other module of it does.

They are imported where they are needed, so that every other command runs without them, and begins sooner.
"""

import dataclasses
import runpy
import sys
from typing import TYPE_CHECKING, NamedTuple

from multidict import CIMultiDict, MultiDict

from hookline.chain.registry_names import RegistryNames
from hookline.clock import SystemClock
from hookline.errors import Unreadable
from hookline.settings import Settings
from hookline.web.body import inflate

if TYPE_CHECKING:
    from hookline.audit.pushes import PushReader
    from services.ingress.contents import Contents
    from services.ingress.credentials import Credentials
    from services.ingress.delivery import Push
    from services.ingress.source import Source

__all__ = [
    "SAFE_PATH",
    "Contents",
    "Listed",
    "Push",
    "Source",
    "contents_of_body",
    "listed_sources",
    "most_of_a_body",
    "push_reader",
    "run_service",
    "service_command",
]

SAFE_PATH = {"PYTHONSAFEPATH": "1"}
"""For the environment of what `service_command` starts: the folder that it runs in may have packages of our names."""


def run_service(name: str, *arguments: str) -> None:
    """Become that service."""
    sys.argv[1:] = arguments
    runpy.run_module(f"services.{name}", run_name="__main__", alter_sys=True)


def service_command(name: str, *arguments: str) -> list[str]:
    """What starts that service as a process of its own."""
    return [sys.executable, "-m", f"services.{name}", *arguments]


class Listed(NamedTuple):
    """A source as it is set up here. `missing`: what must be set before it takes anything, "" for nothing."""

    source: "Source"
    credentials: "Credentials"
    missing: str

    @property
    def path(self) -> str:
        return f"/events/{self.source.name}"

    @property
    def credential(self) -> str:
        """The ways in which its producers can prove who they are."""
        return " or ".join(check.name for check in self.source.checks)


def listed_sources(settings: Settings) -> list[Listed]:
    """Every source in the order of their names. Raises ConfigError."""
    from services.ingress.app import Door
    from services.ingress.secret_file import read_credentials
    from services.ingress.sources import discover

    found = discover(settings)
    credentials = read_credentials(settings, found, SystemClock())
    doors = [Door(source, credentials[name], settings.insecure_ingress) for name, source in found.items()]
    return [Listed(door.source, door.credentials, door.unset()) for door in doors]


def most_of_a_body() -> int:
    """Bytes of the largest that ingress takes."""
    from services.ingress.app import MAX_BODY

    return MAX_BODY


def contents_of_body(
    source: "Source", body: bytes, headers: CIMultiDict[str], query: MultiDict[str], names: RegistryNames
) -> "Contents":
    """What is in a body, as ingress sees it."""
    from services.ingress.contents import Contents, Unread, contents_of
    from services.ingress.delivery import Delivery

    delivery = Delivery(body, headers, query)
    try:
        plain_body = inflate(body, headers.get("Content-Encoding", ""), most_of_a_body())
    except Unreadable as error:
        return Contents(unread=[Unread(body, str(error))])
    return contents_of(source, dataclasses.replace(delivery, body=plain_body), names)


def push_reader() -> "PushReader":
    """For `hookline audit verify`: reads the raw bodies of pushes again."""
    from services.ingress.rereading import Rereader

    return Rereader()
