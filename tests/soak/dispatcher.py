"""The dispatcher of `services.dispatcher`, but for one number: it takes snapshots often enough to matter here.

On SIGUSR1 it says what each of its tasks waits for: a soak asks one that does not stop.
"""

import asyncio
import faulthandler
import signal
import sys
from functools import partial

from hookline.web.service import run
from services.dispatcher.__main__ import build
from services.dispatcher.service import Pace

CHECKPOINT_EVENTS = 40
"""With the 10,000 of a real one no soak of minutes would ever see a snapshot, a commit or a restore from them."""


def say_where() -> None:
    """Every thread's stack, and every task's."""
    faulthandler.dump_traceback(sys.stderr)
    for task in asyncio.all_tasks():
        task.print_stack(file=sys.stderr)
    sys.stderr.flush()


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, lambda *_: say_where())
    run(partial(build, pace=Pace(checkpoint_events=CHECKPOINT_EVENTS)), lambda settings: settings.dispatcher_port)
