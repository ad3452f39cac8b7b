"""The dispatcher as `services.dispatcher` composes it, but for one number: it takes snapshots often enough to matter here.

On SIGUSR1 it says what each of its tasks waits for: a soak asks one that does not stop.
"""

import asyncio
import faulthandler
import signal
import sys
from random import SystemRandom

from hookline.clock import Clock
from hookline.log.check import LogCheck
from hookline.log.kafka import kafka_cluster
from hookline.log.records import Topic
from hookline.settings import Settings
from hookline.web.service import run
from services.dispatcher.guard import AddressGuard
from services.dispatcher.sender import Sender
from services.dispatcher.service import Dispatcher, Pace

CHECKPOINT_EVENTS = 40
"""With the 10,000 of a real one no soak of minutes would ever see a snapshot, a commit or a restore from them."""


def build(settings: Settings, clock: Clock) -> Dispatcher:
    signal.signal(signal.SIGUSR1, lambda *_: say_where())
    cluster = kafka_cluster(settings, "dispatcher")
    keys, guard = settings.key_ring(), AddressGuard(settings.allow_private_addresses)
    return Dispatcher(
        settings,
        clock,
        cluster,
        SystemRandom(),
        check_log=LogCheck(cluster, writes=(Topic.DELIVERIES, Topic.SNAPSHOTS)),
        make_sender=lambda: Sender(keys, clock, guard),
        pace=Pace(checkpoint_events=CHECKPOINT_EVENTS),
    )


def say_where() -> None:
    """Every thread's stack, and every task's."""
    faulthandler.dump_traceback(sys.stderr)
    for task in asyncio.all_tasks():
        task.print_stack(file=sys.stderr)
    sys.stderr.flush()


if __name__ == "__main__":
    run(build, lambda settings: settings.dispatcher_port)
