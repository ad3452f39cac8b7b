"""Faults of brokers' disks: full, or with another byte than was written. Each returns what shows that it was really made, in words;
"" where nothing does.

With three brokers a damaged batch is one copy of three, and Kafka mends it. With one it is the only one: an operator must skip it.
"""

import asyncio
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.kit.waiting import until
from tests.segments import Batch, batches, flip_last_byte, newest_segment
from tests.soak.fault_plan import DISPATCHERS, SERVICES, Fault
from tests.soak.ledger import now_ms
from tests.soak.naive import Damage, Entry, read_log
from tests.soak.processes import until_stopped
from tests.soak.stage import PREFIX, ROOT, Stage

__all__ = ["damage", "fill"]

MENDED_S = 90.0
TAIL_S = 2.0
"""Less than a dispatcher's session."""
TAIL_TRIES = 20
STOPPED_S = 90.0
POLL_S = 0.1
READERS = ("console", *DISPATCHERS)
"""Those that act on what they read: what they have not read yet has had no effect."""


async def fill(stage: Stage, fault: Fault) -> str:
    """The broker dies of it, or is ended when there is room again: it may be half dead."""
    assert stage.disk is not None
    await asyncio.to_thread(stage.disk.fill)
    left = stage.disk.left()
    await asyncio.sleep(fault.lasts_s)
    stage.disk.free()
    await asyncio.to_thread(stage.brokers.all[0].kill)
    await stage.brokers.start()
    return "" if left else "no byte was left"


async def damage(stage: Stage, fault: Fault) -> str:
    """A byte of the last batch of some partition of the topic that the fault names."""
    return await (_damage_only_copy if len(stage.brokers.all) == 1 else _damage_copy)(stage, fault)


async def _damage_copy(stage: Stage, fault: Fault) -> str:
    """Of three. The broker is killed, so that it looks at its logs when it starts: it drops what is damaged, and fetches it again."""
    number, broker = int(fault.target), stage.brokers.all[int(fault.target) - 1]
    topic = f"{PREFIX}{fault.value}"
    leaders = await stage.brokers.leaders(topic)
    await asyncio.to_thread(broker.kill)
    chosen = _last_batch(stage, number, topic)
    if chosen is None:
        await asyncio.to_thread(broker.start)
        return ""
    partition, file, batch = chosen
    flip_last_byte(file, batch)
    damaged = not _is_whole(file, batch)
    await asyncio.sleep(fault.lasts_s)
    await asyncio.to_thread(broker.start)
    deadline = time.monotonic() + MENDED_S
    while not _is_whole(file, batch):
        if time.monotonic() > deadline:
            return ""
        await asyncio.sleep(POLL_S)
    role = "leader" if leaders[partition] == number else "follower"
    return f"a batch of {topic}[{partition}]@{batch.first} on its {role} was damaged, and mended" if damaged else ""


def _last_batch(stage: Stage, number: int, topic: str) -> tuple[int, Path, Batch] | None:
    """Of the partition of that topic that has most: partition, file, batch."""
    files = map(newest_segment, stage.brokers.data(number).glob(f"{topic}-*"))
    file = max(files, key=lambda file: file.stat().st_size)
    found = list(batches(file.read_bytes()))
    return (int(file.parent.name.rpartition("-")[2]), file, found[-1]) if found else None


def _is_whole(file: Path, batch: Batch) -> bool:
    """Is that batch there, with a right checksum?"""
    return file.exists() and any(b.first == batch.first and b.whole for b in batches(file.read_bytes()))


async def _damage_only_copy(stage: Stage, fault: Fault) -> str:
    """Of one that nobody has acted on yet: its partition stands still, all others go on, until an operator skips it."""
    tail = await _tail_nobody_read(stage, fault.value)
    for service in SERVICES:
        await stage.end(service)
    broker = stage.brokers.all[0]
    await asyncio.to_thread(broker.stop)  # in order: killed, it would look at its logs, and cut off what is damaged
    last = tail[-1]
    file = newest_segment(stage.brokers.data(1) / f"{PREFIX}{fault.value}-{last.partition}")
    batch = next(b for b in batches(file.read_bytes()) if b.first <= last.offset < b.until)
    flip_last_byte(file, batch)
    damaged = not _is_whole(file, batch)
    lost = [e for e in tail if e.partition == last.partition and batch.first <= e.offset < batch.until]
    stage.damaged.append(Damage(fault.value, last.partition, batch.first, batch.until, tuple(lost)))
    await asyncio.sleep(fault.lasts_s)
    await stage.brokers.start()
    began = now_ms()
    await asyncio.gather(*map(stage.start, SERVICES))
    spot = f"{fault.value}[{last.partition}]@{batch.first}"
    others = await _until_others_go_on(stage, spot, last.partition, began)
    await _skip(stage, spot)
    await stage.all_ready()
    await _leave_behind(stage, f"{PREFIX}{fault.value}", file)
    return f"{spot} was damaged and named, {others} decisions went on elsewhere, it was skipped" if damaged else ""


async def _tail_nobody_read(stage: Stage, topic: str) -> Sequence[Entry]:
    """Records of that topic's one partition that came while those who act on them stood still. They stand still when it returns."""
    for _ in range(TAIL_TRIES):
        for service in READERS:
            stage.signal(service, signal.SIGSTOP)
            assert await until_stopped(stage.pid(service)), service
        before = {(e.partition, e.offset) for e in await read_log(stage.servers, PREFIX, (topic,), stage.damaged)}
        deadline = time.monotonic() + TAIL_S
        while time.monotonic() < deadline:
            log = await read_log(stage.servers, PREFIX, (topic,), stage.damaged)
            if tail := [e for e in log if (e.partition, e.offset) not in before]:
                return tail
            await asyncio.sleep(POLL_S)
        for service in READERS:
            stage.signal(service, signal.SIGCONT)
        await stage.all_ready()
    raise TimeoutError(f"nothing came into {topic} while its readers stood still")


async def _until_others_go_on(stage: Stage, spot: str, partition: int, began: int) -> int:
    """How many decisions came in other partitions since a dispatcher named the batch. Raises RuntimeError where its own did not
    stand still, TimeoutError where no other went on."""
    async with asyncio.timeout(STOPPED_S):
        await until(
            lambda: any(spot in stage.log_file(name).read_text() for name in DISPATCHERS), STOPPED_S, pause_s=POLL_S
        )
        named = now_ms()
        while True:
            log = [e for e in await read_log(stage.servers, PREFIX, ("deliveries",)) if e.kind != "Fence"]
            if any(e.partition == partition and e.at > began for e in log):
                raise RuntimeError(f"partition {partition} went on past {spot}, which is damaged")
            if others := sum(e.at > named for e in log):
                return others
            await asyncio.sleep(POLL_S)


async def _skip(stage: Stage, spot: str) -> None:
    """As an operator does. Raises RuntimeError with what was said where it does not."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "hookline.cli", "log", "skip", spot, "--reason", "a disk changed it", "--yes"),
        env=stage.environment("console"),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said = (await process.communicate())[0].decode()
    if process.returncode or "its checksum is wrong" not in said:
        raise RuntimeError(f"log skip {spot} ended with {process.returncode}: {said}")


async def _leave_behind(stage: Stage, topic: str, file: Path) -> None:
    """After a crash Kafka looks at the segment that it writes to, and cuts off what is damaged with all that lies behind it.

    So an operator of a single broker lets it begin another segment, and stops it in order once. What a later fault kills is safe then.
    """
    await stage.brokers.set_of(topic, "segment.ms", "1")
    await until(lambda: newest_segment(file.parent) != file, STOPPED_S, pause_s=POLL_S)
    await stage.brokers.set_of(topic, "segment.ms", None)
    await asyncio.to_thread(stage.brokers.all[0].stop)
    await stage.brokers.start()
