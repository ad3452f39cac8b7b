"""Logs that real dispatchers wrote under a seeded plan of faults, with pushes where they belong and checkpoints on the way."""

from uuid import uuid4

from hookline.chain.events import Plan, PushReceived
from hookline.chain.ids import partition_of
from hookline.chain.pipeline import LogId
from hookline.log.codec import encode_setting
from hookline.testing.faults import Faults
from hookline.testing.memory import MemoryCluster
from tests.unit.audit.sources import Records, of_cluster
from tests.unit.dispatcher.harness import LOG_ID, World, kill
from tests.unit.dispatcher.test_simulation import PARTITIONS, Simulation


class PlacedWorld(World):
    """Gives each push an id of the partition that it goes to."""

    def push(self, *plans: Plan, push_id: str | None = None, window_s: int = 3600, partition: int = 0) -> PushReceived:
        while push_id is None or partition_of(push_id, PARTITIONS) != partition:
            push_id = str(uuid4())
        return super().push(*plans, push_id=push_id, window_s=window_s, partition=partition)


class PlacedSimulation(Simulation):
    """And chains that are run again."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.world = PlacedWorld(self.world.cluster, seed=seed, checkpoint_events=6)
        self.world.receivers.answer = self.receive

    async def act(self) -> None:
        pushes = [r.record for r in self.world.reads(0) if isinstance(r.record.event, PushReceived)]
        if pushes and self.random.random() < 0.05:
            record = self.random.choice(pushes)
            event = record.event
            assert isinstance(event, PushReceived)
            self.world.redeliver(event, record.offset, self.random.randint(1, len(event.plans[0].hooks)))
        else:
            await super().act()


async def simulated_cluster(seed: int) -> MemoryCluster:
    """All is quiet at its end: every chain is over, and every invariant held."""
    simulation = PlacedSimulation(seed)
    try:
        await simulation.run()
        assert simulation.judge() == []
    finally:
        for dispatcher in simulation.dispatchers:
            await kill(dispatcher)
    cluster = simulation.world.cluster
    cluster.append(encode_setting(LogId(log_id=LOG_ID), now_ms=0))
    cluster.faults = Faults.none()
    return cluster


async def simulated(seed: int) -> Records:
    return of_cluster(await simulated_cluster(seed), PARTITIONS, LOG_ID)
