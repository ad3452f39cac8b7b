"""The design's floor keeps the paces of what it is compared with; it names them itself, to load nothing that it does not use."""

from bench import design
from hookline.kafka import group as kafka_group
from services.callbacks import replica
from services.console.readmodel import projector


def test_it_reads_as_often_as_the_services() -> None:
    assert design.DISPATCHER_GATHER_MS == kafka_group.GATHER_MS
    assert design.CALLBACKS_GATHER_MS == replica.GATHER_MS
    assert design.READMODEL_GATHER_MS == projector.GATHER_MS
