"""Makes the faults of a plan, each at its time, and writes down when the system was whole again."""

import asyncio
import signal
import time
from collections.abc import Callable, Sequence

from hookline.broker import EmbeddedBroker
from tests.soak.ledger import Happened, Ledgers, now_ms
from tests.soak.plan import Fault
from tests.soak.stage import Stage

__all__ = ["Faults"]

FLOW_S = 60.0
POLL_S = 0.05


class Faults:
    """`is_busy`: is there anything left to disturb?"""

    def __init__(self, stage: Stage, ledgers: Ledgers, is_busy: Callable[[], bool], say: Callable[[str], None]) -> None:
        self._stage = stage
        self._ledgers = ledgers
        self._is_busy = is_busy
        self._say = say

    async def run(self, faults: Sequence[Fault]) -> None:
        """One after the other: a fault waits until the one before it was recovered from.

        Raises TimeoutError where the system does not get whole again.
        """
        began = time.monotonic()
        for fault in faults:
            await asyncio.sleep(max(0.0, began + fault.at_s - time.monotonic()))
            if not self._is_busy():
                return
            if fault.kind == "disk-full" and self._stage.disk is None:
                self._say("disk-full: not made, there is no disk of a limited size")
                continue
            await self._make(fault)

    async def _make(self, fault: Fault) -> None:
        at = now_ms()
        await self._disturb(fault)
        lifted = time.monotonic()
        await self._whole_again(now_ms())
        recovery_s = time.monotonic() - lifted
        self._ledgers.happened.append(Happened(fault.kind, fault.target, at, now_ms(), recovery_s))
        about = f"{fault.kind} {fault.target} {fault.value}".strip()
        self._say(f"{about}: {fault.lasts_s:.1f} s, whole again {recovery_s:.1f} s later")

    async def _whole_again(self, lifted: int) -> None:
        """Every service is ready, and after the fault a push was answered and a hook was called."""
        await self._stage.all_ready()
        async with asyncio.timeout(FLOW_S):
            while self._is_busy():
                answered = any(p.at > lifted and p.status in (200, 202) for p in reversed(self._ledgers.pushed))
                if answered and self._ledgers.seen and self._ledgers.seen[-1].at > lifted:
                    return
                await asyncio.sleep(POLL_S)

    async def _disturb(self, fault: Fault) -> None:
        stage, target = self._stage, fault.target
        match fault.kind:
            case "kill" | "skew" | "leave":
                await stage.end(target, signal.SIGTERM if fault.kind == "leave" else signal.SIGKILL)
                await asyncio.sleep(fault.lasts_s)
                await stage.start(target, int(fault.value) if fault.kind == "skew" else None)
            case "pause" | "zombie":
                stage.signal(target, signal.SIGSTOP)
                await asyncio.sleep(fault.lasts_s)
                stage.signal(target, signal.SIGCONT)
            case "late-answers":
                async with stage.late_answers(target, fault.value):
                    await asyncio.sleep(fault.lasts_s)
            case "kill-broker":
                await _kill(stage.brokers[int(target) - 1], fault.lasts_s)
            case "kill-controller":
                await _kill(stage.controller(), fault.lasts_s)
            case "disk-full":
                await self._fill_disk(fault.lasts_s)
            case "slow-broker":
                await _freeze(stage.brokers[int(target) - 1], fault.lasts_s)
            case other:
                raise ValueError(f"no such fault: {other}")

    async def _fill_disk(self, lasts_s: float) -> None:
        """The broker dies of it, or is ended when there is room again: it may be half dead."""
        assert self._stage.disk is not None
        await asyncio.to_thread(self._stage.disk.fill)
        await asyncio.sleep(lasts_s)
        self._stage.disk.free()
        await _kill(self._stage.brokers[0], 0.0)


async def _kill(broker: EmbeddedBroker, lasts_s: float) -> None:
    await asyncio.to_thread(broker.kill)
    await asyncio.sleep(lasts_s)
    await asyncio.to_thread(broker.start)


async def _freeze(broker: EmbeddedBroker, lasts_s: float) -> None:
    assert broker.process is not None
    broker.process.send_signal(signal.SIGSTOP)
    await asyncio.sleep(lasts_s)
    broker.process.send_signal(signal.SIGCONT)
