"""What a disk or an operator takes from the logs of a system that runs, on a real broker: a byte of a batch, and the last hour."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from hookline.chain.events import CallbackReceived, ChainCompleted, ChainHalted
from hookline.log.codec import encode
from hookline.log.records import Place, Topic
from hookline.log.writer import Writer
from tests.contract.test_losses import flip, segment_of
from tests.integration.system import SERVICES, Stand, System
from tests.integration.test_operations import all_ready, hookline, says
from tests.kit.events import verdict
from tests.kit.waiting import until

pytestmark = pytest.mark.timeout(300)

PARTITIONS = 4
DAMAGED = 2
"""The partition whose `callbacks` are damaged."""


class Told:
    """A receiver that calls back success at once, until it is answered; `answers` has what it was told, by webhook-id."""

    def __init__(self, system: System) -> None:
        self.answers: dict[str, list[tuple[int, str]]] = {}
        self._system = system
        self._calls: set[asyncio.Task[None]] = set()
        system.receiver.answer = self._take

    async def _take(self, path: str, body: dict[str, object]) -> int:
        task = asyncio.create_task(self._call_back(body))
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)
        return 200

    async def _call_back(self, body: dict[str, object]) -> None:
        said = self.answers.setdefault(str(body["callback_url"]), [])
        while not said or said[-1][0] in (0, 503):
            said.append(await self._system.call_back(body))
            await asyncio.sleep(0.2)

    @property
    def last(self) -> list[tuple[int, str]]:
        return [said[-1] for said in self.answers.values() if said]


@pytest.fixture
async def system(tmp_path: Path) -> AsyncIterator[System]:
    stand = Stand(tmp_path / "kafka")
    with stand.broker:
        system = System(stand, tmp_path, partitions=PARTITIONS)
        async with system.running():
            await system.make_pipeline("build")
            yield system


async def push(system: System, tag: str) -> None:
    """Until it is taken."""
    await until(lambda: _is_taken(system, tag), pause_s=0.2)


async def _is_taken(system: System, tag: str) -> bool:
    return await system.push(tag) == 202


async def completed(system: System) -> dict[int, int]:
    """How many chains, by partition; what cannot be read is passed over."""
    found = dict.fromkeys(range(PARTITIONS), 0)
    for raw in await system.raw(Topic.DELIVERIES):
        found[raw.place.partition] += raw.headers.get("ce_type") == b"hookline.ChainCompleted.v1"
    return found


async def test_a_damaged_batch_stops_its_partition_until_it_is_skipped_and_no_other(system: System) -> None:
    told = Told(system)
    for number in range(24):
        await push(system, f"a{number}")
    await until(lambda: _all_completed(system, 24))
    for service in SERVICES:
        await system.kill(service)
    await asyncio.to_thread(system.broker.stop)
    flip(segment_of(system.folder / "kafka", system.cluster(), Place(Topic.CALLBACKS, DAMAGED)), 0)
    await asyncio.to_thread(system.broker.start)
    (await asyncio.gather(*(system.spawn(service) for service in SERVICES)))
    spot = f"callbacks[{DAMAGED}]@0"
    for service in ("dispatcher", "callbacks"):
        await until(lambda service=service: _says(system, service, spot))  # type: ignore[misc]
    before, others = await completed(system), set(range(PARTITIONS)) - {DAMAGED}
    for number in range(24):
        await push(system, f"b{number}")
    await until(lambda: _have_grown(system, before, others))
    assert (await completed(system))[DAMAGED] == before[DAMAGED], "it stands still"
    code, said = await hookline(system, "audit", "verify")
    assert code == 1
    assert f"callbacks[{DAMAGED}]@0" in said
    assert "is damaged: its checksum is wrong" in " ".join(said.split())
    code, said = await hookline(system, "log", "skip", spot, "--reason", "a disk changed it", "--yes")
    assert code == 0, said
    await until(lambda: all_ready(system))
    await until(lambda: _all_completed(system, 48))
    assert {status for status, _ in told.last} == {200}
    code, said = await hookline(system, "audit", "replay")
    assert said.count("skipped by") == 1


async def test_a_record_whose_cause_is_lost_stops_its_partition_until_the_cause_is_there_and_no_other(
    system: System,
) -> None:
    """A verdict on a push that `pushes` lost. It goes on with what its processes know, under the same Fences."""
    told = Told(system)
    for number in range(12):
        await push(system, f"a{number}")
    await until(lambda: _all_completed(system, 12))
    pids = {name: process.pid for name, process in system.processes.items()}
    fences, pushes = await _fences(system), await _length(system, Topic.PUSHES)
    lost = pushes + 15
    at = await _append(system, lost)
    for service in ("dispatcher", "callbacks", "console"):
        words = f"callbacks[{DAMAGED}]@{at} rests on pushes[{DAMAGED}]@{lost}"
        await until(lambda service=service, words=words: _says(system, service, words))  # type: ignore[misc]
    before, others = await completed(system), set(range(PARTITIONS)) - {DAMAGED}
    count = 12
    while not await _have_grown(system, before, others):
        await push(system, f"b{count}")
        count += 1
    assert await _length(system, Topic.PUSHES) < lost, "too many: its cause's offset is there"
    assert (await completed(system))[DAMAGED] == before[DAMAGED], "it stands still"
    while await _length(system, Topic.PUSHES) <= lost:
        await push(system, f"c{count}")
        count += 1
    await until(lambda: all_ready(system))
    await until(lambda: _all_completed(system, count), within_s=90)
    assert {status for status, _ in told.last} == {200}
    assert {name: process.pid for name, process in system.processes.items()} == pids
    assert all(process.returncode is None for process in system.processes.values())
    assert await _fences(system) == fences
    for service in ("dispatcher", "callbacks", "console"):
        said = (system.folder / f"{service}.log").read_text()
        assert said.count("the cause of a record is lost") == 1


async def _append(system: System, cause: int) -> int:
    """A verdict on a push at that offset, in partition DAMAGED; its offset."""
    writer = Writer(system.cluster())
    try:
        return await writer.append(encode(verdict(f"{uuid4()}-{cause}-0-0", at=1), DAMAGED, now_ms=1))
    finally:
        await writer.close()


async def _length(system: System, topic: Topic) -> int:
    """Records of it in partition DAMAGED."""
    return sum(raw.place.partition == DAMAGED for raw in await system.raw(topic))


async def _fences(system: System) -> int:
    return sum(raw.headers.get("ce_type") == b"hookline.Fence.v1" for raw in await system.raw(Topic.DELIVERIES))


async def _says(system: System, service: str, words: str) -> bool:
    try:
        return await says(system, service, words)
    except OSError:
        return False


async def _all_completed(system: System, count: int) -> bool:
    return sum((await completed(system)).values()) >= count


async def _is_shown(system: System, count: int) -> bool:
    shown = await system.history()
    return len(shown) >= count and all(chain["status"] != "pending" for chain in shown)


async def _have_grown(system: System, before: dict[int, int], partitions: set[int]) -> bool:
    now = await completed(system)
    return all(now[partition] > before[partition] for partition in partitions)


async def test_an_older_copy_that_is_put_back_under_running_services_misleads_none_of_them(system: System) -> None:
    told = Told(system)
    for number in range(12):
        await push(system, f"a{number}")
    await until(lambda: _all_completed(system, 12))
    await asyncio.to_thread(system.broker.stop)
    shutil.copytree(system.folder / "kafka", system.folder / "kept")
    await asyncio.to_thread(system.broker.start)
    for number in range(12):
        await push(system, f"lost{number}")
    await until(lambda: _all_completed(system, 24))
    await until(lambda: _is_shown(system, 24))  # what nobody has read misleads nobody
    system.broker.kill()
    shutil.rmtree(system.folder / "kafka")
    shutil.copytree(system.folder / "kept", system.folder / "kafka")
    await asyncio.to_thread(system.broker.start)
    told.answers.clear()
    await asyncio.gather(*(push(system, f"new{number}") for number in range(24)))
    await until(lambda: len(told.last) >= 24 and {status for status, _ in told.last} == {200}, within_s=90)
    await until(lambda: _all_completed(system, 36))
    assert await system.records(Topic.DELIVERIES, ChainHalted) == []
    assert len(await system.records(Topic.DELIVERIES, ChainCompleted)) == 36
    assert len(await system.records(Topic.CALLBACKS, CallbackReceived)) >= 36
    console = system.processes["console"]
    assert await asyncio.wait_for(console.wait(), 60) == 1
    for _ in range(2):  # it says so again, however far the logs have grown
        last = (system.folder / "console.log").read_text().rstrip().rsplit("\n", 1)[-1]
        assert "records were lost there" in last
        assert "Rebuild it" in last
        await system.spawn("console")
        assert await asyncio.wait_for(system.processes["console"].wait(), 60) == 1
    await until(lambda: _are_ready(system, "ingress", "callbacks", "dispatcher"))
    for service in ("callbacks", "dispatcher"):
        assert "has lost records that were already read" in (system.folder / f"{service}.log").read_text()
    code, said = await hookline(system, "audit", "verify")
    assert code == 0, said


async def _are_ready(system: System, *services: str) -> bool:
    return all([await system.is_ready(service) for service in services])
