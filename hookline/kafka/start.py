"""Starts aiokafka clients, and finds the words for why one did not start: no broker there, or one that does not let us in."""

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable, Coroutine

from aiokafka.client import AIOKafkaClient
from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import AuthenticationFailedError, KafkaConnectionError, SaslAuthenticationFailed

from hookline.errors import LogUnavailable, Refused
from hookline.kafka.client import KAFKA_TROUBLE, Connection

__all__ = ["START_S", "started"]

START_S = 5.0
"""Seconds that a client may take to start."""
ASK_S = 2.0
"""Seconds that one broker gets to say what is wrong."""
AGAIN_S = 0.1
"""Seconds until a broker that names no brokers is asked again."""


async def started(
    connection: Connection,
    client: AIOKafkaClient,
    start: Callable[[], Coroutine[None, None, None]],
    abandon: Callable[[], Awaitable[None]],
    what: str,
) -> None:
    """Start a client, and return when it knows a broker. client: what `start` bootstraps.

    Raises LogUnavailable after START_S, or at once when no broker answers; Refused where one does.

    A start that takes too long is left to its own request timeouts and then abandoned: cancelled in the middle,
    aiokafka's `bootstrap` would leave its connection open.
    """

    async def run() -> None:
        try:
            await start()
            await _know_a_broker(client)
        except BaseException:
            await abandon()
            raise

    task = asyncio.create_task(run())
    try:
        await asyncio.wait_for(asyncio.shield(task), START_S)
    except KAFKA_TROUBLE as error:
        _abandon_when_done(task, abandon)
        if isinstance(error, KafkaConnectionError) and (refusal := await _refusal(connection)) is not None:
            raise Refused(refusal) from error
        raise LogUnavailable(f"{what}: no broker answers: {str(error) or 'timeout'}") from error
    except asyncio.CancelledError:
        _abandon_when_done(task, abandon)
        raise


async def _know_a_broker(client: AIOKafkaClient) -> None:
    """Return when its brokers name at least one. Raises KafkaConnectionError after START_S.

    A broker that just started, or whose session ended while it was frozen, answers for a moment that the cluster has no brokers.
    aiokafka takes that for an answer, and whatever needs a group's coordinator then ends with a failed assertion.
    """
    until = time.monotonic() + START_S
    while not client.cluster.brokers():
        if time.monotonic() > until:
            raise KafkaConnectionError("none is registered with its controller")
        await client.force_metadata_update()
        await asyncio.sleep(AGAIN_S)


_leftover: set[asyncio.Task[None]] = set()
"""Starts that nobody waits for any more; kept so that they are not collected before their end."""


def _abandon_when_done(task: asyncio.Task[None], abandon: Callable[[], Awaitable[None]]) -> None:
    async def finish() -> None:
        await asyncio.wait({task})
        if not task.cancelled() and task.exception() is None:
            await abandon()

    if not task.done():
        leftover = asyncio.create_task(finish())
        _leftover.add(leftover)
        leftover.add_done_callback(_leftover.discard)


async def _refusal(connection: Connection) -> str | None:
    """Ask each broker once more: aiokafka only logs why it could not connect. None where none of them says why."""
    for host, port, _ in collect_hosts(list(connection.bootstrap_servers)):
        there = f"{host}:{port}"
        try:
            async with asyncio.timeout(ASK_S):
                (await create_conn(host, port, client_id=connection.client_id, **connection.security.options())).close()
        except ssl.SSLCertVerificationError as error:
            said = f"certificate verify failed: {error.verify_message}"
            return f"the broker at {there} is not trusted, {said}: does HOOKLINE_KAFKA_CA_FILE name its authority?"
        except ssl.SSLError as error:
            return f"no TLS with {there}: {error.reason or error}; does HOOKLINE_KAFKA_SECURITY_PROTOCOL fit this port?"
        except (AuthenticationFailedError, SaslAuthenticationFailed):
            return f"the broker at {there} refuses HOOKLINE_KAFKA_USERNAME with HOOKLINE_KAFKA_PASSWORD"
        except KAFKA_TROUBLE:
            continue
    return None
