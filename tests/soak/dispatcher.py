"""The dispatcher as `services.dispatcher` composes it, but for one number: it takes snapshots often enough to matter here."""

from random import SystemRandom

from hookline.clock import Clock
from hookline.log.kafka import kafka_cluster
from hookline.log.topics import check_topics
from hookline.settings import Settings
from hookline.web.service import run
from services.dispatcher.guard import AddressGuard
from services.dispatcher.sender import Sender
from services.dispatcher.service import Dispatcher, Pace

CHECKPOINT_EVENTS = 40
"""With the 10,000 of a real one no soak of minutes would ever see a snapshot, a commit or a restore from them."""


def build(settings: Settings, clock: Clock) -> Dispatcher:
    cluster = kafka_cluster(settings, "dispatcher")
    keys, guard = settings.key_ring(), AddressGuard(settings.allow_private_addresses)
    return Dispatcher(
        settings,
        clock,
        cluster,
        SystemRandom(),
        check_log=lambda: check_topics(cluster),
        make_sender=lambda: Sender(keys, clock, guard),
        pace=Pace(checkpoint_events=CHECKPOINT_EVENTS),
    )


if __name__ == "__main__":
    run(build, lambda settings: settings.dispatcher_port)
