"""Makes the faults of a plan, each at its time, and writes down what shows it and when the system was whole again."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

from tests.soak import of_brokers, of_disks, of_links, of_services
from tests.soak.fault_plan import LINK_KINDS, Fault, Kind
from tests.soak.ledger import Happened, Ledgers, now_ms
from tests.soak.stage import Stage

__all__ = ["MAKERS", "Faults", "not_made"]

FLOW_S = 90.0
POLL_S = 0.05

Maker = Callable[[Stage, Fault], Awaitable[str]]

MAKERS: Mapping[Kind, Maker] = {
    "kill": of_services.end,
    "leave": of_services.end,
    "pause": of_services.stop,
    "zombie": of_services.stop,
    "skew": of_services.move_clock,
    "no-descriptors": of_services.exhaust_descriptors,
    "late-answers": of_links.hold_kind,
    **dict.fromkeys(LINK_KINDS, of_links.disturb),
    "kill-broker": of_brokers.kill,
    "freeze-broker": of_brokers.freeze,
    "kill-all": of_brokers.kill_all,
    "kill-controller": of_brokers.kill_controller,
    "stop-leader": of_brokers.stop_leader,
    "disk-full": of_disks.fill,
    "damage": of_disks.damage,
}


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
        about = f"{fault.kind} {fault.target} {fault.value}".strip()
        at = now_ms()
        proof = await MAKERS[fault.kind](self._stage, fault)
        lifted = time.monotonic()
        try:
            await self._whole_again(now_ms())
        except TimeoutError as error:
            raise TimeoutError(f"after {about}: {error}") from None
        recovery_s = time.monotonic() - lifted
        self._ledgers.happened.append(Happened(fault.kind, fault.target, at, now_ms(), recovery_s, proof))
        self._say(f"{about}: {fault.lasts_s:.1f} s, {proof or 'NOT SHOWN'}; whole again {recovery_s:.1f} s later")

    async def _whole_again(self, lifted: int) -> None:
        """Every service is ready, and after the fault a push was answered and a hook was called."""
        await self._stage.all_ready()
        try:
            async with asyncio.timeout(FLOW_S):
                while self._is_busy():
                    answered = any(p.at > lifted and p.status in (200, 202) for p in reversed(self._ledgers.pushed))
                    if answered and self._ledgers.seen and self._ledgers.seen[-1].at > lifted:
                        return
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            raise TimeoutError(f"no push was answered, or no hook called, within {FLOW_S:g} s") from None


def not_made(planned: Sequence[Fault], happened: Sequence[Happened], *, may_fill: bool) -> Iterator[str]:
    """Findings: faults that nothing shows, and kinds that were planned and never made. may_fill: there is a disk to be filled."""
    for fault in happened:
        if not fault.proof:
            about = f"{fault.kind} {fault.target}".strip()
            yield f"fault {about}: nothing shows that it was really made"
    made = Counter(fault.kind for fault in happened)
    for kind in sorted({fault.kind for fault in planned if may_fill or fault.kind != "disk-full"}):
        if not made[kind]:
            yield f"fault {kind}: it was planned, and never made"
