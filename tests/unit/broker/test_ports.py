"""Ports for tests: five processes that start at once must not get one port twice (a soak failed so, one in a hundred)."""

from hookline.broker.config import CONTROLLER_OFFSET
from tests.kafka import free_broker_port


def test_a_port_and_the_one_of_its_controller_are_given_out_once() -> None:
    ports = [free_broker_port(26_000, 28_200) for _ in range(200)]
    taken = [*ports, *(port + CONTROLLER_OFFSET for port in ports)]
    assert len(set(taken)) == 400
