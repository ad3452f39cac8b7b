"""Faults of services. Each returns what shows that it was really made, in words; "" where nothing does."""

import asyncio
import signal
import time

from tests.soak.fault_plan import Fault
from tests.soak.processes import can_open_nothing, is_stopped, setting_of, until_stopped
from tests.soak.stage import Stage

__all__ = ["end", "exhaust_descriptors", "move_clock", "stop"]

KNOCK_S = 0.2
ANSWER_S = 2.0
SKEW_METRIC = "hookline_clock_skew_seconds"
SKEW_SLACK_S = 5.0
"""A metric tells how far a clock is off at least: an ack that took long tells less."""
SKEW_SETTING = "HOOKLINE_CLOCK_SKEW_MS"
SHOWN_S, SILENT_S = 60.0, 10.0
"""The console appends when a user wants something."""
POLL_S = 0.1


async def stop(stage: Stage, fault: Fault) -> str:
    """SIGSTOP, and SIGCONT."""
    pid = stage.pid(fault.target)
    stage.signal(fault.target, signal.SIGSTOP)
    try:
        stopped = await until_stopped(pid)
        await asyncio.sleep(fault.lasts_s)
        stopped = stopped and is_stopped(pid)
    finally:
        stage.signal(fault.target, signal.SIGCONT)
    return "stood in state T" if stopped else ""


async def end(stage: Stage, fault: Fault) -> str:
    """kill -9, or in order; then it is started again."""
    how = signal.SIGTERM if fault.kind == "leave" else signal.SIGKILL
    code = await stage.end(fault.target, how)
    await asyncio.sleep(fault.lasts_s)
    await stage.start(fault.target)
    return f"ended with {code}" if code == (0 if fault.kind == "leave" else -signal.SIGKILL) else ""


async def move_clock(stage: Stage, fault: Fault) -> str:
    """It is killed, comes back with a moved clock, and after a while with the one it had."""
    before, moved = stage.skew_ms(fault.target), int(fault.value)
    await _come_back(stage, fault.target, moved)
    # callbacks far ahead takes every verdict for expired, appends none, and so hears of no broker's clock.
    may_be_silent = fault.target == "callbacks" and moved > 0
    told = await _told_skew_s(stage, fault.target, moved / 1000, SILENT_S if may_be_silent else SHOWN_S)
    is_set = setting_of(stage.pid(fault.target), SKEW_SETTING) == fault.value
    await asyncio.sleep(fault.lasts_s)
    await _come_back(stage, fault.target, before)
    if told is not None:
        return f"its metric told {told:+.1f} s"
    return "it appended nothing, and has that setting" if may_be_silent and is_set else ""


async def _come_back(stage: Stage, service: str, skew_ms: int) -> None:
    await stage.end(service)
    await stage.start(service, skew_ms)
    await stage.all_ready()


async def _told_skew_s(stage: Stage, service: str, wanted_s: float, within_s: float) -> float | None:
    """What the service says of its own clock, by Kafka's acks, once that is about as far as was wanted."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        told = await stage.metric(service, SKEW_METRIC)
        if told is not None and abs(told - wanted_s) < SKEW_SLACK_S:
            return told
        await asyncio.sleep(POLL_S)
    return None


async def exhaust_descriptors(stage: Stage, fault: Fault) -> str:
    """Connections knock at its door meanwhile: it cannot take one, and libuv then closes it without a word to the service."""
    pid, until = stage.pid(fault.target), time.monotonic() + fault.lasts_s
    unanswered = 0
    with can_open_nothing(pid) as is_exhausted:
        while time.monotonic() < until:
            if is_exhausted():
                unanswered += not await _is_answered(stage.admin_port(fault.target))
            await asyncio.sleep(KNOCK_S)
    answered = await _is_answered(stage.admin_port(fault.target))
    return f"{unanswered} connections were not taken, and then one was" if unanswered and answered else ""


async def _is_answered(port: int) -> bool:
    """Is a new connection taken, and a request over it answered?"""
    try:
        async with asyncio.timeout(ANSWER_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(b"GET /livez HTTP/1.1\r\nHost: soak\r\n\r\n")
                return (await reader.readline()).startswith(b"HTTP/1.1 200")
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False
