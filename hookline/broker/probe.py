"""Asks a broker something in Kafka's own protocol: an open port alone does not say that it can be used."""

import errno
import socket
from io import BytesIO

from aiokafka.protocol.metadata import MetadataRequest_v1, MetadataResponse_v1

from hookline.broker.config import LOOPBACK

__all__ = ["answers", "port_is_taken"]

LARGEST_ANSWER = 1 << 20


def answers(port: int, timeout_s: float = 1.0) -> bool:
    """True when the broker on this loopback port answers Metadata and counts itself among the brokers that can be used."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=timeout_s) as connection:
            return any(listed == port for _, _, listed, _ in _ask(connection).brokers)
    except (OSError, ValueError):
        return False


def port_is_taken(port: int) -> bool:
    """True when a listener on loopback could not bind this port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as Java does: a port in TIME_WAIT is free
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return True
            raise
    return False


def _ask(connection: socket.socket) -> MetadataResponse_v1:
    """Metadata without topics. Raises OSError or ValueError when what answers is no Kafka."""
    request = MetadataRequest_v1([])
    header = request.build_request_header(correlation_id=1, client_id="hookline-probe")
    body = header.encode() + request.encode()
    connection.sendall(len(body).to_bytes(4, "big") + body)
    size = int.from_bytes(_read(connection, 4), "big")
    if size > LARGEST_ANSWER:
        raise ValueError("not a Kafka broker")
    answer = BytesIO(_read(connection, size))
    request.parse_response_header(answer)
    return MetadataResponse_v1.decode(answer)


def _read(connection: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise ValueError("the connection ended in mid-answer")
        data += part
    return bytes(data)
