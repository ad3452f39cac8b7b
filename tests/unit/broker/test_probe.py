"""What counts as an answer, and ports that are taken."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from hookline.broker.broker_answers import answers, check_ports, wait_for_answer
from hookline.broker.config import CONTROLLER_OFFSET, Node
from hookline.errors import BrokerError
from tests.kafka import free_broker_port


@contextmanager
def listener(port: int, says: bytes | None = None) -> Iterator[None]:
    """Listens; with `says`, answers the first request with these bytes and hangs up."""
    with socket.create_server(("127.0.0.1", port)) as server:
        if says is None:
            yield
            return

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(says)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield
        thread.join(5)


def metadata(port: int, brokers: int = 1) -> bytes:
    """A Metadata answer, version 1, that lists a broker on this port."""
    host = (9).to_bytes(2, "big") + b"127.0.0.1"
    broker = (1).to_bytes(4, "big") + host + port.to_bytes(4, "big") + b"\xff\xff"
    body = (1).to_bytes(4, "big") + brokers.to_bytes(4, "big") + broker * brokers + (1).to_bytes(4, "big") + bytes(4)
    return len(body).to_bytes(4, "big") + body


def test_metadata_that_lists_the_broker_is_an_answer() -> None:
    port = free_broker_port()
    with listener(port, metadata(port)):
        assert answers(port)


@pytest.mark.parametrize("says", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0\0\0\4\0\0\0\1", b"\0\0"])
def test_another_program_is_no_answer(says: bytes) -> None:
    port = free_broker_port()
    with listener(port, says):
        assert not answers(port)


def test_a_broker_that_is_not_to_be_used_yet_is_no_answer() -> None:
    port = free_broker_port()
    with listener(port, metadata(port, brokers=0)):
        assert not answers(port)
    with listener(port, metadata(port + 1)):
        assert not answers(port)


def test_an_open_port_alone_is_no_answer() -> None:
    port = free_broker_port()
    with listener(port):
        assert not answers(port, timeout_s=0.05)


def test_nobody_there_is_no_answer() -> None:
    assert not answers(free_broker_port())


def test_waiting_ends_when_the_broker_has_died() -> None:
    def died() -> None:
        raise BrokerError("it died")

    with pytest.raises(BrokerError, match="it died"):
        wait_for_answer(free_broker_port(), None, died, lambda: "", print, timeout_s=60)


def test_waiting_ends_at_the_deadline_with_the_last_word() -> None:
    with pytest.raises(BrokerError, match=r"did not answer on 127\.0\.0\.1.*last word: still loading"):
        wait_for_answer(free_broker_port(), None, lambda: None, lambda: "still loading", print, timeout_s=0)


def test_free_ports_are_fine() -> None:
    check_ports(Node(free_broker_port()))


@pytest.mark.parametrize(
    ("offset", "words"),
    [(0, r"on port {}: another program has it"), (CONTROLLER_OFFSET, r"on port {}, its controller's")],
)
def test_a_taken_port_is_named_with_the_setting(offset: int, words: str) -> None:
    node = Node(free_broker_port())
    with listener(node.port + offset), pytest.raises(BrokerError, match=words.format(node.port + offset)) as caught:
        check_ports(node)
    assert f"Set HOOKLINE_KAFKA_PORT (now {node.port})" in str(caught.value)
