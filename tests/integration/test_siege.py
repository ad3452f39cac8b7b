"""An ingress of 256 MiB, and clients without a credential who do what they can; one with a credential meanwhile.

The memory that it takes is judged. The time that the others wait is told and not judged: a busy machine is no fault.
"""

import asyncio
import statistics

import aiohttp
import pytest

from tests.integration.cgroup import CannotMake, memory_cgroup
from tests.unit.ingress.siege import Besieged, besieged, others_answered, together

LIMIT = 256 * 1024 * 1024
MOST_MB = 200
ABORTED, SLOW, GUESSES = 5_000, 2_000, 10_000
USUAL = 500


def p95(times: list[float]) -> float:
    return statistics.quantiles(times, n=20)[-1]


async def dawdlers(ingress: Besieged, source: str) -> None:
    """All at once; until one who came later was answered many times over."""
    over = asyncio.Event()
    tasks = [asyncio.create_task(ingress.dawdle(source, over)) for _ in range(SLOW)]
    async with others_answered(ingress, USUAL):
        pass
    over.set()
    await asyncio.gather(*tasks)


async def guesses(ingress: Besieged) -> None:
    """As many at once as there are slow ones: refusals take turns, and each of few would wait for its own (services/ingress/turns.py)."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        await together([lambda: ingress.guess(http)] * GUESSES, SLOW)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("source", ["dockerhub", "github"])
async def test_nobody_without_a_credential_fills_its_memory(source: str) -> None:
    """Where the head is refused, and where the body must be read to tell."""
    try:
        with memory_cgroup(LIMIT) as group:
            into = ("sh", "-c", f'echo $$ >{group}/cgroup.procs && exec "$@"', "sh")
            async with besieged(into) as ingress:
                await siege(ingress, source)
    except CannotMake as error:
        pytest.skip(str(error))


async def siege(ingress: Besieged, source: str) -> None:
    async with others_answered(ingress, USUAL) as usual:
        pass
    print(f"at rest: {ingress.memory():.0f} MB, p95 {1000 * p95(usual):.1f} ms")
    for name, attack in {
        "aborted": together([lambda: ingress.abort(source)] * ABORTED, 4),
        "slow": dawdlers(ingress, source),
        "guesses": guesses(ingress),
    }.items():
        async with others_answered(ingress, USUAL) as times:
            await attack
        most = ingress.memory("VmHWM")
        print(f"{name}: {most:.0f} MB at most, p95 {1000 * p95(times):.1f} ms of {len(times)}")
        assert most < MOST_MB, name
