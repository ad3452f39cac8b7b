"""Faults of the way between a service and Kafka. Each returns what shows that it was really made, in words; "" where nothing does."""

import asyncio

from tests.integration.kafka_proxy import Api, Manner, Trouble, Way
from tests.soak.fault_plan import Fault
from tests.soak.stage import Stage

__all__ = ["disturb", "hold_kind"]


async def disturb(stage: Stage, fault: Fault) -> str:
    """All that goes one way is held, delayed or refused."""
    manner, way = fault.kind.split("-")
    trouble = Trouble(Way(way), Manner(manner), float(fault.value or 0))
    stage.brokers.trouble(fault.target, trouble)
    await asyncio.sleep(fault.lasts_s)
    trouble.lift()
    return f"{trouble.frames} frames, {trouble.size} bytes met it" if trouble.frames else ""


async def hold_kind(stage: Stage, fault: Fault) -> str:
    """The answers to one kind of request are held."""
    holds = stage.brokers.hold(fault.target, Api[fault.value])
    await asyncio.sleep(fault.lasts_s)
    for hold in holds:
        hold.release()
    held = sum(hold.held.is_set() for hold in holds)
    return f"answers of {held} broker(s) were held" if held else ""
