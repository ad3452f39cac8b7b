"""Logs that real dispatchers wrote under a seeded plan of faults, with checkpoints on the way."""

from hookline.chain.pipeline import LogId
from hookline.log.codec import encode_setting
from hookline.testing.faults import Faults
from hookline.testing.memory import MemoryCluster
from tests.unit.audit.sources import Records, of_cluster
from tests.unit.dispatcher.harness import LOG_ID, kill
from tests.unit.dispatcher.test_simulation import PARTITIONS, Simulation


async def simulated_cluster(seed: int) -> MemoryCluster:
    """All is quiet at its end: every chain is over, and every invariant held."""
    simulation = Simulation(seed)
    try:
        await simulation.run()
        assert await simulation.judge() == []
    finally:
        for dispatcher in simulation.dispatchers:
            await kill(dispatcher)
    cluster = simulation.world.cluster
    cluster.append(encode_setting(LogId(log_id=LOG_ID), now_ms=0))
    cluster.faults = Faults.none()
    return cluster


async def simulated(seed: int) -> Records:
    return of_cluster(await simulated_cluster(seed), PARTITIONS, LOG_ID)
