"""Composition root of callbacks: `python -m services.callbacks`."""

from hookline.clock import Clock
from hookline.kafka.check import LogCheck
from hookline.kafka.kafka_cluster import kafka_cluster
from hookline.log.records import Topic
from hookline.settings import Settings
from hookline.web.service import run
from services.callbacks.service import CallbacksService


def build(settings: Settings, clock: Clock) -> CallbacksService:
    """Raises ConfigError."""
    cluster = kafka_cluster(settings, "callbacks")
    check_log = LogCheck(cluster, writes=(Topic.CALLBACKS,))
    return CallbacksService(
        settings.key_ring(), clock, cluster, check_log, settings.max_clock_skew, settings.trusted_proxies
    )


if __name__ == "__main__":
    run(build, lambda settings: settings.callbacks_port)
