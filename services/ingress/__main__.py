"""Composition root of ingress: `python -m services.ingress`."""

from hookline.clock import Clock
from hookline.log.kafka import kafka_cluster
from hookline.log.topics import check_topics
from hookline.settings import Settings
from hookline.web.service import run
from services.ingress.service import Ingress


def build(settings: Settings, clock: Clock) -> Ingress:
    cluster = kafka_cluster(settings, "ingress")
    return Ingress(settings, clock, cluster, check_log=lambda: check_topics(cluster))


if __name__ == "__main__":
    run(build, lambda settings: settings.ingress_port)
