"""Composition root of ingress: `python -m services.ingress`."""

from hookline.clock import Clock
from hookline.kafka.check import LogCheck
from hookline.kafka.kafka_cluster import kafka_cluster
from hookline.log.records import Topic
from hookline.settings import Settings
from hookline.web.service import run
from services.ingress.service import Ingress


def build(settings: Settings, clock: Clock) -> Ingress:
    cluster = kafka_cluster(settings, "ingress")
    return Ingress(settings, clock, cluster, check_log=LogCheck(cluster, writes=(Topic.PUSHES, Topic.QUARANTINE)))


if __name__ == "__main__":
    run(build, lambda settings: settings.ingress_port)
