"""A real Kafka for one machine: from the pinned jars, or in a container (design section 6, "The broker")."""

from hookline.broker.choice import Broker, choose_broker
from hookline.broker.jars import fetch
from hookline.broker.server import EmbeddedBroker

__all__ = ["Broker", "EmbeddedBroker", "choose_broker", "fetch"]
