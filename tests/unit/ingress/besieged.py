"""ingress in a process of its own, over an in-memory log and set up as the service is, for tests of its memory:
`python -m tests.unit.ingress.besieged`. It prints its port, and ends with its standard input."""

import asyncio
import sys

import uvloop

from hookline.clock import SystemClock
from hookline.web.logging import configure_logging
from hookline.web.process_memory import give_back, spare_the_collector
from tests.unit.ingress.conftest import running


async def serve() -> None:
    async with running(goes=SystemClock()) as ingress:
        give_back()
        sys.stdout.write(f"{ingress.address[1]}\n")
        sys.stdout.flush()
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    configure_logging("text", "error")
    spare_the_collector()
    uvloop.run(serve())
