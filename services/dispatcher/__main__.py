"""Composition root of the dispatcher: `python -m services.dispatcher`."""

from random import SystemRandom

from hookline.clock import Clock
from hookline.kafka.check import LogCheck
from hookline.kafka.kafka_cluster import kafka_cluster
from hookline.log.records import Topic
from hookline.settings import Settings
from hookline.web.hook_rules import HookRules
from hookline.web.service import run
from services.dispatcher.address_guard import AddressGuard
from services.dispatcher.resolver import GetAddresses, system_addresses
from services.dispatcher.sender import Sender
from services.dispatcher.service import Dispatcher, Pace

PACE = Pace()


def build(
    settings: Settings, clock: Clock, pace: Pace = PACE, get_addresses: GetAddresses = system_addresses
) -> Dispatcher:
    cluster = kafka_cluster(settings, "dispatcher")
    keys, guard, rules = settings.key_ring(), AddressGuard(settings.allow_private_addresses), HookRules.of(settings)
    proxy = settings.outgoing_proxy()
    return Dispatcher(
        settings,
        clock,
        cluster,
        SystemRandom(),
        check_log=LogCheck(cluster, writes=(Topic.DELIVERIES, Topic.CALLBACKS, Topic.SNAPSHOTS)),
        make_sender=lambda: Sender(
            keys, clock, guard, rules=rules, proxy=proxy, places=settings.max_posts, get_addresses=get_addresses
        ),
        pace=pace,
    )


if __name__ == "__main__":
    run(build, lambda settings: settings.dispatcher_port)
