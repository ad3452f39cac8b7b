"""The invariants of design section 5 that can be seen in a partition's logs and in its dispatchers' memory, at any moment."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence

from hookline.chain.decide import Wait, decide
from hookline.chain.events import (
    CallbackReceived,
    ChainCompleted,
    ChainHalted,
    Fence,
    StepClosing,
    StepSealed,
    Verdict,
)
from hookline.chain.fold import PartitionFold, Repeats
from hookline.chain.packer import ChainUnpacker
from hookline.chain.state import UNCAUSED
from hookline.log.reader import PartitionReader, Read
from hookline.log.records import LOGS, Place, Positions, RawRecord, Topic
from hookline.log.snapshots import DISPATCHER_GROUP
from services.dispatcher.worker import Worker
from tests.unit.chain.worker import is_intent
from tests.unit.dispatcher.harness import World
from tests.unit.dispatcher.test_incarnations import packed


def broken(world: World, workers: Sequence[Worker], start_at: int = 0) -> list[str]:
    """What is broken now. `start_at`: where one reader of I10 begins in `deliveries` (modulo its length)."""
    reads = world.reads()
    found = _one_end(reads) + _no_verdict_overruled(reads) + _any_order(world) + _any_start(world, reads, start_at)
    found += _snapshot(world)
    for worker in workers:
        found += _memory(world, worker) + _nothing_forgotten(worker, world.clock.now_ms())
    return found


def broken_by_post(world: World, chain_id: str, step: int, owner: bool) -> list[str]:
    """I2, I3 and I7 at the moment of a POST. owner: does its worker hold the Fence in force?"""
    chain = world.full_fold().chains.get(chain_id)
    if chain is None:
        return [f"I7: {chain_id}-{step} has no cause in the log"]
    before = chain.step(step - 1).verdict if step > chain.first_step else None
    found = []
    if step > chain.first_step and (before is None or before.state is not Verdict.SUCCESS):
        found.append(f"I2: {chain_id}-{step} without the success of the step before")
    if owner and chain.ending is not None:
        found.append(f"I3: {chain_id}-{step} by the owner after the chain's end")
    return found


def fence_in_force(world: World) -> int:
    return max((r.record.offset for r in world.reads() if isinstance(r.record.event, Fence)), default=-1)


def _one_end(reads: Sequence[Read]) -> Iterator[str] | list[str]:
    """I3."""
    events = [read.record.event for read in reads if read.valid]
    ends = Counter(event.chain_id for event in events if isinstance(event, ChainHalted | ChainCompleted))
    return [f"I3: {n} terminal events of {chain_id}" for chain_id, n in ends.items() if n > 1]


def _no_verdict_overruled(reads: Sequence[Read]) -> list[str]:
    """I4, I9: an uncaused halt follows a StepSealed that its worker had read, and no verdict lies below that."""
    intents: dict[tuple[str, int], int] = {}
    first: dict[tuple[str, int], tuple[int, bool]] = {}
    """What `callbacks` says of a step first: its offset, and whether it is a seal."""
    for read in reads:  # an intent comes before the StepSealed that names it
        event, offset = read.record.event, read.record.offset
        if read.valid and is_intent(event):
            intents.setdefault((event.chain_id, event.step), offset)
        elif isinstance(event, CallbackReceived):
            first.setdefault((event.chain_id, event.step), (offset, False))
        elif isinstance(event, StepSealed) and intents.get((event.chain_id, event.step)) == event.intent:
            first.setdefault((event.chain_id, event.step), (offset, True))
    found = []
    for read in reads:
        event = read.record.event
        if not read.valid or not isinstance(event, StepClosing | ChainHalted):
            continue
        offset, is_seal = first.get((event.chain_id, event.step), (event.read_to.callbacks, False))
        had_read = offset < event.read_to.callbacks
        if isinstance(event, StepClosing) and had_read:
            found.append(f"I9: {event.chain_id} step {event.step} is closed over what its worker had read of it")
        elif isinstance(event, ChainHalted) and event.reason in UNCAUSED and not (had_read and is_seal):
            found.append(f"I4: {event.chain_id} halted ({event.reason}) at step {event.step} without its StepSealed")
    return found


def _any_order(world: World) -> list[str]:
    """I5: topics that come in the opposite order, record by record, each event folded twice."""
    reader, fold = PartitionReader(0, Positions()), PartitionFold(keep_ended=True)
    for topic in reversed(LOGS):
        for raw in world.cluster.log(Place(topic, 0)):
            reader.offer(topic, [raw])
            for read in reader.read():
                if read.valid:
                    fold.fold(read.record.event, read.record.offset, read.record.timestamp)
                    fold.fold(read.record.event, read.record.offset, read.record.timestamp)
    return [] if fold.chains == world.full_fold().chains else ["I5: another order, another fold"]


def _any_start(world: World, reads: Sequence[Read], start_at: int) -> list[str]:
    """I10: a reader that begins somewhere in `deliveries` judges each decision as all do."""
    log = world.cluster.log(Place(Topic.DELIVERIES, 0))
    if not log:
        return []
    first = start_at % len(log)
    ends = Positions(*(len(world.cluster.log(Place(topic, 0))) for topic in LOGS))
    reader = PartitionReader(0, ends._replace(deliveries=first), fence=None)
    judged: dict[int, bool] = {}
    at: int | None = first
    while at is not None:
        reader.rewound()
        reader.offer(Topic.DELIVERIES, log[at:])
        judged |= {read.record.offset: read.valid for read in reader.read()}
        at = reader.rewind
    truth = _judged_naively(log)
    if truth != {r.record.offset: r.valid for r in reads if r.record.topic is Topic.DELIVERIES}:
        return ["I10: a decision that is not under the latest Fence before it counts, or one that is does not"]
    return [f"I10: from {first} on, {o} is judged otherwise" for o in judged if judged[o] != truth[o] and o >= first]


def _judged_naively(log: Sequence[RawRecord]) -> dict[int, bool]:
    """Offset to whether it counts: a Fence does, and a decision whose token is the latest Fence before it."""
    fence, judged = -1, {}
    for raw in log:
        token = raw.headers.get("fence")
        judged[raw.offset] = token is None or int(token) == fence
        fence = raw.offset if token is None else fence
    return judged


def _prefix(world: World, positions: Positions, fold: PartitionFold, start: Positions, fence: int) -> PartitionFold:
    """That fold and what lies between the two positions."""
    reader = PartitionReader(0, start, fence)
    for topic in LOGS:
        reader.offer(topic, world.cluster.log(Place(topic, 0))[start.of(topic) : positions.of(topic)])
    for read in reader.read():
        if read.valid:
            fold.fold(read.record.event, read.record.offset, read.record.timestamp)
    return fold


def _memory(world: World, worker: Worker) -> list[str]:
    """I6: what a dispatcher holds, whoever it is by now, is the fold of all that it has read."""
    whole = _prefix(world, worker.reader.positions, PartitionFold(), Positions(), -1)
    return [] if packed(whole) == packed(worker.fold) else [f"I6: memory under token {worker.token} is not the fold"]


def _snapshot(world: World) -> list[str]:
    """I6: the snapshot that the commit names is whole, and with the tail it is the full fold, byte for byte."""
    commits = world.cluster.membership(DISPATCHER_GROUP).commits
    if not commits:
        return []
    said = json.loads(commits[Place(Topic.PUSHES, 0)].metadata)
    records = _snapshot_records(world.cluster.log(Place(Topic.SNAPSHOTS, 0)), int(said["snapshot"]))
    if not records or "last" not in records[-1].headers:
        return ["I6: the commit names a snapshot that is not there whole"]
    unpacker = ChainUnpacker()
    for raw in records[:-1]:
        unpacker.add(raw.value or b"")
    positions = Positions(*(commits[Place(topic, 0)].offset for topic in LOGS))
    fold = PartitionFold(unpacker.chains.values(), Repeats(unpacker.windows, int(records[-1].value or b"0")))
    ends = Positions(*(len(world.cluster.log(Place(topic, 0))) for topic in LOGS))
    _prefix(world, ends, fold, positions, int(said["fence"]))
    return [] if packed(fold) == packed(world.full_fold()) else ["I6: snapshot and tail are not the full fold"]


def _snapshot_records(log: Sequence[RawRecord], first: int) -> list[RawRecord]:
    found: list[RawRecord] = []
    for raw in log:
        if raw.offset >= first and (not found or raw.headers["snapshot"] == found[0].headers["snapshot"]):
            if not found and raw.offset != first:
                return []
            found.append(raw)
            if "last" in raw.headers:
                break
    return found


def _nothing_forgotten(worker: Worker, now: int) -> list[str]:
    """I8: for each open chain of a worker that runs there is something that will make it look again."""
    if not worker.is_running:
        return []
    found = []
    for chain in worker.fold.chains.values():
        waits = isinstance(action := decide(chain, now), Wait)
        if not worker.attends(chain.id, action.step) and chain.id not in worker.timers:
            found.append(f"I8: {chain.id} {'waits' if waits else action} and nothing will look at it again")
    return found
