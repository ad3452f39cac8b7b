"""A dispatcher's worker for one partition, without HTTP and snapshots: enough to race against callbacks, by design sections 3 and 4.

What a POST would bring is drawn: delivered, failed for the last time, or nothing yet. An intent is sealed, and the seal read back
before the halt. No end offset decides anything here: the cluster may tell old ones.
"""

import asyncio
from random import Random

from hookline.chain.decide import Close, Complete, Halt, Post, Seal, Wait, decide
from hookline.chain.events import AttemptError, Decision, Fence, ReadTo, StepSealed
from hookline.chain.fold import PartitionFold
from hookline.chain.state import Chain
from hookline.errors import Fenced, LogError
from hookline.log.cluster import Cluster, Producer
from hookline.log.codec import encode
from hookline.log.feed import Feed
from hookline.log.reader import PartitionReader
from hookline.log.records import LOGS, Place, Positions
from tests.kit import events

__all__ = ["Worker"]

PARTITION = 0
PLACES = [Place(topic, PARTITION) for topic in LOGS]
NOW = events.START
PASSED = NOW - 1
"""Every deadline is over as soon as it is set: the worker closes when the draw says so."""


class Worker:
    """`run` until cancelled; every failure ends an incarnation, the next one restores with a new Fence."""

    def __init__(self, cluster: Cluster, random: Random) -> None:
        self._cluster = cluster
        self._random = random
        self.eager = False
        """True: no more waiting, so that every chain comes to its end."""
        self.open: int | None = None
        """Open chains, while it runs."""

    async def run(self) -> None:
        while True:
            try:
                incarnation = _Incarnation(self, self._random)
                await incarnation.run(self._cluster)
            except LogError:
                self.open = None
                await asyncio.sleep(0)


class _Incarnation:
    def __init__(self, worker: Worker, random: Random) -> None:
        self._worker = worker
        self._random = random
        self._reader = PartitionReader(PARTITION, Positions())
        self._fold = PartitionFold()
        self._busy: set[str] = set()
        self._token = -1

    async def run(self, cluster: Cluster) -> None:
        producer, consumer, offsets = await cluster.producer(), await cluster.consumer(), await cluster.offsets()
        try:
            self._token = await producer.append(encode(events.fence(at=NOW), PARTITION, now_ms=NOW))
            told = await offsets.ends(PLACES)
            ends = Positions(*(told[place] for place in PLACES))
            ends = ends._replace(deliveries=max(ends.deliveries, self._token + 1))
            feed = Feed(consumer)
            feed.assign([self._reader])
            while True:
                await feed.poll(0.005)
                self._read()
                feed.adjust(PARTITION)
                if self._reader.positions.reached(ends):
                    await self._decide(producer)
                    self._worker.open = len(self._fold.chains)
        finally:
            await producer.close()
            await consumer.close()
            await offsets.close()

    def _read(self) -> None:
        for record, valid in self._reader.read():
            event = record.event
            if isinstance(event, Fence) and record.offset > self._token >= 0:
                raise Fenced("a later Fence")
            if not valid:
                continue
            self._fold.fold(event, record.offset, record.timestamp)
            if (isinstance(event, Decision) and record.fence == self._token) or isinstance(event, StepSealed):
                self._busy.discard(event.chain_id)

    async def _decide(self, producer: Producer) -> None:
        for chain in list(self._fold.chains.values()):
            if chain.id not in self._busy and (event := self._decision(chain)) is not None:
                self._busy.add(chain.id)
                fence = None if isinstance(event, StepSealed) else self._token
                await producer.append(encode(event, PARTITION, now_ms=NOW, fence=fence))

    def _decision(self, chain: Chain) -> Decision | StepSealed | None:
        known = {"at": NOW, "read_to": self._read_to}
        match decide(chain, NOW):
            case Complete(step):
                return events.completed(chain.id, step, **known)
            case Halt(step, reason):
                return events.halted(chain.id, step, reason, **known)
            case Seal(step, intent) if self._drawn(0.3):
                return events.sealed(chain.id, step, intent, at=NOW)
            case Seal():
                return None
            case Close(step):
                return events.closing(chain.id, step, **known) if self._drawn(0.15) else None
            case Post(step, attempt) if self._drawn(0.4):
                if self._random.random() < 0.5:
                    return events.delivered(chain.id, step, attempt, **known, expires_at=PASSED)
                return events.failed(chain.id, step, attempt, **known, error=AttemptError.TIMEOUT, status=None)
            case Post():
                return None
            case Wait():
                raise AssertionError("every deadline has passed")

    def _drawn(self, chance: float) -> bool:
        return self._worker.eager or self._random.random() < chance

    @property
    def _read_to(self) -> ReadTo:
        pushes, callbacks, commands, _ = self._reader.positions
        return ReadTo(pushes=pushes, callbacks=callbacks, commands=commands)
