"""What the network does to an append: a connection cut in its middle, an answer that is lost after it, one that comes too late.

The record may then be in the log once or twice. Nothing else may come of it: every chain ends as it should, no hook is
called under a second webhook-id, and the audit finds nothing.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from hookline.chain.events import CallbackReceived, ChainCompleted, HookDelivered, PushReceived
from hookline.chain.fold import PartitionFold
from hookline.kafka.kafka_cluster import APPEND_TIMEOUT_S
from hookline.log.reader import Read
from hookline.log.records import Topic
from tests.integration.kafka_proxy import Api, Moment
from tests.integration.system import Stand, System
from tests.integration.test_audit import audit
from tests.kit.waiting import until

PROXIED = ("ingress", "dispatcher", "callbacks")
LATE = "it comes after its sender gave up"


@asynccontextmanager
async def trouble(system: System, service: str, topic: Topic, kind: str) -> AsyncIterator[None]:
    """Within it one append of that service meets that trouble; at its end it has."""
    proxy = system.proxies[service]

    def appends(request: bytes) -> bool:
        return topic.value.encode() in request

    if kind == LATE:
        hold = proxy.hold(Api.PRODUCE, appends)
        yield
        await asyncio.wait_for(hold.held.wait(), 30)
        await asyncio.sleep(APPEND_TIMEOUT_S + 0.5)
        hold.release()
    else:
        cut = proxy.cut(Api.PRODUCE, Moment(kind), appends)
        yield
        await asyncio.wait_for(cut.done.wait(), 30)


@pytest.mark.parametrize("kind", [*Moment, LATE])
async def test_an_append_in_trouble_is_in_the_log_once_or_twice_and_counts_once(
    stand: Stand, tmp_path: Path, kind: str
) -> None:
    system = System(stand, tmp_path, proxied=PROXIED)
    async with system.running():
        await system.make_pipeline("one", "two")
        async with (
            trouble(system, "ingress", Topic.PUSHES, kind),
            trouble(system, "dispatcher", Topic.DELIVERIES, kind),
        ):
            pushing = asyncio.create_task(system.push())
            await until(lambda: system.receiver.of("one"))
        if await pushing != 202:
            assert await system.push() == 202, "its sender tries again"
        async with trouble(system, "callbacks", Topic.CALLBACKS, kind):
            calling = asyncio.create_task(system.call_back(system.receiver.of("one")[0][2]))
        if await calling != (200, '"OK"'):
            await until(lambda: succeeds(system, "one"))
        await until(lambda: system.receiver.of("two"))
        await until(lambda: succeeds(system, "two"))
        reads = await until(lambda: ended(system))

        for topic_kind, most in ((PushReceived, 2), (CallbackReceived, 4), (HookDelivered, 4)):
            assert 1 <= sum(isinstance(read.record.event, topic_kind) for read in reads) <= most
        assert len({webhook_id for _, webhook_id, _ in system.receiver.posts}) == 2
        assert sum(read.valid and isinstance(read.record.event, ChainCompleted) for read in reads) == 1
        assert len(folded(reads, times=1)) == 1
        assert folded(reads, times=2) == folded(reads, times=1)
        code, said, error = await audit(system, "verify", "--settled")
        assert code == 0, said + error


async def succeeds(system: System, name: str) -> bool:
    """A receiver makes its callback again until it is taken."""
    return await system.call_back(system.receiver.of(name)[-1][2]) == (200, '"OK"')


async def ended(system: System) -> list[Read]:
    reads = await system.reads()
    return reads if any(isinstance(read.record.event, ChainCompleted) for read in reads) else []


def folded(reads: list[Read], times: int) -> dict[str, object]:
    """The chains of that log, each record folded so often."""
    fold = PartitionFold(keep_ended=True)
    for read in reads:
        for _ in range(times if read.valid else 0):
            fold.fold(read.record.event, read.record.offset, read.record.timestamp)
    return dict(fold.chains)
