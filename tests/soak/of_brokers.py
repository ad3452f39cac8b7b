"""Faults of brokers, and of everything. Each returns what shows that it was really made, in words; "" where nothing does."""

import asyncio
import signal
import time

from confluent_kafka import KafkaException

from hookline.broker import EmbeddedBroker
from tests.soak.fault_plan import SERVICES, Fault
from tests.soak.processes import is_stopped, until_stopped
from tests.soak.stage import PREFIX, Stage

__all__ = ["freeze", "kill", "kill_all", "kill_controller", "stop_leader"]

ELECTED_S = 60.0
POLL_S = 0.1


async def kill(stage: Stage, fault: Fault) -> str:
    """kill -9; then it is started again."""
    return await _kill(stage.brokers.all[int(fault.target) - 1], fault.lasts_s)


async def kill_controller(stage: Stage, fault: Fault) -> str:
    """The active one, so that another is elected."""
    before = stage.brokers.quorum()
    killed = await _kill(stage.brokers.all[max(before.leader, 1) - 1], fault.lasts_s)
    deadline = time.monotonic() + ELECTED_S
    while (after := stage.brokers.quorum()).epoch <= before.epoch:
        if time.monotonic() > deadline:
            return ""
        await asyncio.sleep(POLL_S)
    return killed and f"controller {before.leader} in epoch {before.epoch}, then {after.leader} in {after.epoch}"


async def freeze(stage: Stage, fault: Fault) -> str:
    """SIGSTOP, and SIGCONT."""
    process = stage.brokers.all[int(fault.target) - 1].process
    assert process is not None
    process.send_signal(signal.SIGSTOP)
    try:
        stopped = await until_stopped(process.pid)
        await asyncio.sleep(fault.lasts_s)
        stopped = stopped and is_stopped(process.pid)
    finally:
        process.send_signal(signal.SIGCONT)
    return "stood in state T" if stopped else ""


async def stop_leader(stage: Stage, fault: Fault) -> str:
    """SIGSTOP of the one that leads a partition of `callbacks`; some time after another leads it, it wakes and thinks it still does."""
    topic, partition = f"{PREFIX}callbacks", int(fault.target)
    leader = (await stage.brokers.leaders(topic))[partition]
    process = stage.brokers.all[leader - 1].process
    assert process is not None
    process.send_signal(signal.SIGSTOP)
    try:
        stopped = await until_stopped(process.pid)
        successor = await _successor(stage, topic, partition, leader)
        await asyncio.sleep(fault.lasts_s)
        stopped = stopped and is_stopped(process.pid)
    finally:
        process.send_signal(signal.SIGCONT)
    return f"leader {leader} stood in state T, {successor} led instead" if stopped and successor else ""


async def _successor(stage: Stage, topic: str, partition: int, leader: int) -> int:
    """Who leads instead; 0: nobody did in time."""
    deadline = time.monotonic() + ELECTED_S
    while time.monotonic() < deadline:
        try:
            now = (await stage.brokers.leaders(topic, but=leader))[partition]
        except KafkaException:
            now = -1
        if now not in (-1, leader):
            return now
        await asyncio.sleep(POLL_S)
    return 0


async def kill_all(stage: Stage, fault: Fault) -> str:
    """Every service and every broker, as when a machine loses its power, but for what the kernel still writes."""
    *codes, _ = await asyncio.gather(*(stage.end(service) for service in SERVICES), stage.brokers.kill())
    dead = [broker.process.poll() for broker in stage.brokers.all if broker.process]
    await asyncio.sleep(fault.lasts_s)
    await asyncio.gather(*map(stage.start, SERVICES), stage.brokers.start())
    all_killed = {*codes, *dead} == {-signal.SIGKILL} and len(dead) == len(stage.brokers.all)
    return f"{len(codes)} services and {len(dead)} broker(s) were killed" if all_killed else ""


async def _kill(broker: EmbeddedBroker, lasts_s: float) -> str:
    process = broker.process
    await asyncio.to_thread(broker.kill)
    await asyncio.sleep(lasts_s)
    await asyncio.to_thread(broker.start)
    return "ended with -9" if process is not None and process.poll() == -signal.SIGKILL else ""
