"""The dispatcher as `services.dispatcher` composes it, but for the resolver: no name server ever answers for `silent-*` hosts."""

import socket
import time
from random import SystemRandom

from hookline.clock import Clock
from hookline.log.kafka import kafka_cluster
from hookline.log.topics import check_topics
from hookline.settings import Settings
from hookline.web.service import run
from services.dispatcher.certificates import client_context
from services.dispatcher.dialer import Dialer
from services.dispatcher.guard import AddressGuard
from services.dispatcher.resolver import Resolver
from services.dispatcher.sender import Sender
from services.dispatcher.service import Dispatcher

SILENCE_S = 30.0
"""What the system's resolver takes to give up: two name servers, three times 5 s each."""


def addresses(host: str) -> list[str]:
    """Blocks. Raises socket.gaierror."""
    if host.startswith("silent-"):
        time.sleep(SILENCE_S)
        raise socket.gaierror(socket.EAI_AGAIN, "no name server answered")
    return ["127.0.0.1"]


def build(settings: Settings, clock: Clock) -> Dispatcher:
    cluster = kafka_cluster(settings, "dispatcher")
    keys, guard = settings.key_ring(), AddressGuard(settings.allow_private_addresses)
    dialer = Dialer(Resolver(settings.max_posts, addresses), guard, client_context())
    return Dispatcher(
        settings,
        clock,
        cluster,
        SystemRandom(),
        check_log=lambda: check_topics(cluster),
        make_sender=lambda: Sender(keys, clock, guard, places=settings.max_posts, dial=dialer),
    )


if __name__ == "__main__":
    run(build, lambda settings: settings.dispatcher_port)
