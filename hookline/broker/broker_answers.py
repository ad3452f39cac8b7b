"""Asks a broker something in Kafka's own protocol (an open port alone says little), and whether ports are free for one."""

import errno
import socket
import time
from collections.abc import Callable
from io import BytesIO

from aiokafka.protocol.admin import SaslAuthenticateRequest_v0, SaslHandShakeRequest_v1
from aiokafka.protocol.api import RequestStruct
from aiokafka.protocol.metadata import MetadataRequest_v1, MetadataResponse_v1

from hookline.broker.config import CONTROLLER_OFFSET, LOOPBACK, Node
from hookline.broker_login import MECHANISM, BrokerLogin
from hookline.errors import BrokerError

__all__ = ["POLL_S", "answers", "check_ports", "wait_for_answer"]

LARGEST_ANSWER = 1 << 20
POLL_S = 0.05
SAY_EVERY_S = 10.0


def answers(port: int, login: BrokerLogin | None = None, timeout_s: float = 1.0) -> bool:
    """True when the broker on this loopback port answers Metadata and counts itself among the brokers that can be used.

    login: what the broker asks for; None where it asks for nothing.
    """
    try:
        with socket.create_connection((LOOPBACK, port), timeout=timeout_s) as connection:
            if login is not None:
                _log_in(connection, login)
            return any(listed == port for _, _, listed, _ in _ask(connection).brokers)
    except (OSError, ValueError):
        return False


def wait_for_answer(
    port: int,
    login: BrokerLogin | None,
    check_alive: Callable[[], None],
    last_word: Callable[[], str],
    say: Callable[[str], None],
    timeout_s: float,
) -> None:
    """Return once the broker answers; say its last word now and then meanwhile.

    Raises BrokerError after `timeout_s`, and what `check_alive` raises when the broker has died.
    """
    begun = said = time.monotonic()
    while not answers(port, login):
        check_alive()
        now = time.monotonic()
        if now - begun > timeout_s:
            raise BrokerError(
                f"the broker did not answer on {LOOPBACK}:{port} within {timeout_s:.0f} s; its last word: {last_word()}"
            )
        if now - said > SAY_EVERY_S:
            said = now
            say(f"the broker is still starting after {now - begun:.0f} s: {last_word()}")
        time.sleep(POLL_S)


def check_ports(node: Node) -> None:
    """Raises BrokerError when one of the broker's two ports is taken or may not be opened."""
    for port, whose in (
        (node.port, ""),
        (node.controller_port, f", its controller's (HOOKLINE_KAFKA_PORT + {CONTROLLER_OFFSET})"),
    ):
        if problem := _bind_problem(port):
            raise BrokerError(
                f"the broker cannot listen on port {port}{whose}: {problem}. "
                f"Set HOOKLINE_KAFKA_PORT (now {node.port}) to another port; if a Kafka that you want to use is already there, "
                f"set HOOKLINE_KAFKA_BOOTSTRAP_SERVERS={node.address} instead."
            )


def _bind_problem(port: int) -> str | None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as Java does: a port in TIME_WAIT is free
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            return (
                "another program has it" if error.errno == errno.EADDRINUSE else (error.strerror or str(error)).lower()
            )
    return None


def _ask(connection: socket.socket) -> MetadataResponse_v1:
    """Metadata without topics. Raises OSError or ValueError when what answers is no Kafka."""
    return MetadataResponse_v1.decode(_exchange(connection, MetadataRequest_v1([])))


def _log_in(connection: socket.socket, login: BrokerLogin) -> None:
    """SASL with PLAIN. Raises OSError or ValueError when it is refused, or what answers is no Kafka."""
    _exchange(connection, SaslHandShakeRequest_v1(MECHANISM))
    token = f"\0{login.username}\0{login.password}".encode()
    answer = _exchange(connection, SaslAuthenticateRequest_v0(token))
    if int.from_bytes(answer.read(2), "big") != 0:
        raise ValueError("the broker does not let us in")


def _exchange(connection: socket.socket, request: RequestStruct) -> BytesIO:
    """The answer's body. Raises OSError or ValueError when what answers is no Kafka."""
    body = request.build_request_header(correlation_id=1, client_id="hookline-probe").encode() + request.encode()
    connection.sendall(len(body).to_bytes(4, "big") + body)
    size = int.from_bytes(_read(connection, 4), "big")
    if size > LARGEST_ANSWER:
        raise ValueError("not a Kafka broker")
    answer = BytesIO(_read(connection, size))
    request.parse_response_header(answer)
    return answer


def _read(connection: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise ValueError("the connection ended in mid-answer")
        data += part
    return bytes(data)
