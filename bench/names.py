"""The dispatcher of `services.dispatcher`, but for the system's resolver: no name server ever answers for `silent-*` hosts."""

import socket
import time
from functools import partial

from hookline.web.service import run
from services.dispatcher.__main__ import build

SILENCE_S = 30.0
"""What the system's resolver takes to give up: two name servers, three times 5 s each."""


def addresses(host: str) -> list[str]:
    """Blocks. Raises socket.gaierror."""
    if host.startswith("silent-"):
        time.sleep(SILENCE_S)
        raise socket.gaierror(socket.EAI_AGAIN, "no name server answered")
    return ["127.0.0.1"]


if __name__ == "__main__":
    run(partial(build, get_addresses=addresses), lambda settings: settings.dispatcher_port)
