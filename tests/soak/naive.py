"""The second fold: the whole log read at once, every chain in one dict. It shares no code with the product.

Straight from the text of design sections 1 to 4. Offsets are next to meaningless across topics, so each topic is walked
by itself, in the order of its offsets.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from aiokafka import AIOKafkaConsumer, TopicPartition

__all__ = ["LOGS", "ChainSeen", "Damage", "Entry", "Log", "fold", "read_log"]

LOGS = ("pushes", "callbacks", "commands", "deliveries")
BACK_MS = 3_600_000
ENDS = ("ChainCompleted", "ChainHalted")
ATTEMPTS = ("HookDelivered", "HookAttemptFailed")


@dataclass(frozen=True)
class Entry:
    """One record. `at`: Unix ms by Kafka; `kind`: PushReceived and so on; `valid`: false where its writer was fenced off."""

    topic: str
    partition: int
    offset: int
    at: int
    kind: str
    event: dict[str, Any]
    valid: bool = True


Log: TypeAlias = list[Entry]


@dataclass(frozen=True)
class Damage:
    """A batch of which a disk changed a byte, and the records that it had: an operator let everybody pass over them."""

    topic: str
    partition: int
    first: int
    until: int
    lost: tuple[Entry, ...]


@dataclass
class ChainSeen:
    """One chain as the whole log says it. `verdicts`: step to (offset, state); `end`: (reason or completed, step).

    `intents`: step to the offset of its first intent to halt; `seals`: step to the offset of the StepSealed that counts.
    """

    partition: int
    first_step: int
    hooks: int
    verdicts: dict[int, tuple[int, str]] = field(default_factory=dict)
    intents: dict[int, int] = field(default_factory=dict)
    seals: dict[int, int] = field(default_factory=dict)
    decisions: Log = field(default_factory=list)
    end: tuple[str, int] | None = None


async def read_log(
    servers: str, prefix: str, topics: tuple[str, ...] = (*LOGS, "quarantine"), damaged: Sequence[Damage] = ()
) -> Log:
    """Everything that lies there now but for what is damaged, and whether each decision counts."""
    consumer = AIOKafkaConsumer(
        *(prefix + topic for topic in topics),
        bootstrap_servers=servers,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    await consumer.start()
    try:
        ends = await consumer.end_offsets(consumer.assignment())
        raws: list[Any] = []
        for damage in sorted(damaged, key=lambda it: it.first):
            if damage.topic in topics:
                raws += await _up_to(consumer, TopicPartition(prefix + damage.topic, damage.partition), damage)
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            for batch in (await consumer.getmany(timeout_ms=500)).values():
                raws += batch
    finally:
        await consumer.stop()
    raws.sort(key=lambda raw: (raw.topic, raw.partition, raw.offset))
    return _judged(raws, prefix)


async def _up_to(consumer: AIOKafkaConsumer, place: TopicPartition, damage: Damage) -> list[Any]:
    """What lies before it; the next is what lies behind it. One by one: a batch is looked into when its first record is wanted."""
    raws: list[Any] = []
    while await consumer.position(place) < damage.first:
        for batch in (await consumer.getmany(place, timeout_ms=500, max_records=1)).values():
            raws += batch
    consumer.seek(place, damage.until)
    return raws


def _judged(raws: list[Any], prefix: str) -> Log:
    log: Log = []
    fence: dict[int, int] = {}
    for raw in raws:
        headers = {key: value.decode() for key, value in raw.headers}
        kind, topic = headers["ce_type"].split(".")[1], raw.topic.removeprefix(prefix)
        if kind == "Fence":
            fence[raw.partition] = raw.offset
        valid = "fence" not in headers or int(headers["fence"]) == fence.get(raw.partition)
        log.append(Entry(topic, raw.partition, raw.offset, raw.timestamp, kind, json.loads(raw.value), valid))
    return log


def fold(log: Log) -> dict[str, ChainSeen]:
    """Chain id to what became of it."""
    chains: dict[str, ChainSeen] = {}
    newest: dict[int, int] = {}
    windows: dict[tuple[int, str], int] = {}
    for entry in (e for e in log if e.topic == "pushes"):
        event, p = entry.event, entry.partition
        if newest.get(p, 0) - entry.at >= BACK_MS:
            newest[p], windows = 0, {key: end for key, end in windows.items() if key[0] != p}
        now = newest[p] = max(newest.get(p, 0), entry.at)
        if windows.get(key := (p, event["push_id"]), 0) <= now:
            windows[key] = now + event["dedupe_window_s"] * 1000
            for plan in event["plans"]:
                chain_id = f"{event['push_id']}-{entry.offset}-{plan['n']}-0"
                chains[chain_id] = ChainSeen(p, 1, len(plan["hooks"]))
    for entry in (e for e in log if e.kind == "RedeliveryRequested"):
        event, plan = entry.event, entry.event["plan"]
        chain_id = f"{event['push_id']}-{event['cause']}-{plan['n']}-{entry.offset + 1}"
        chains[chain_id] = ChainSeen(entry.partition, event["from_step"], len(plan["hooks"]))
    for entry in (e for e in log if e.topic == "deliveries" and e.kind != "Fence" and e.valid):
        if entry.event["chain_id"] in chains:
            _decide(chains[entry.event["chain_id"]], entry)
    for entry in (e for e in log if e.topic == "callbacks"):
        if entry.event["chain_id"] in chains:
            _call(chains[entry.event["chain_id"]], entry)
    return chains


def _call(chain: ChainSeen, entry: Entry) -> None:
    """Of a step the first verdict or valid seal counts."""
    event, step = entry.event, entry.event["step"]
    if step in chain.verdicts or step in chain.seals:
        return
    if entry.kind == "CallbackReceived":
        chain.verdicts[step] = entry.offset, event["state"]
    elif event["intent"] == chain.intents.get(step):
        chain.seals[step] = entry.offset


def _decide(chain: ChainSeen, entry: Entry) -> None:
    chain.decisions.append(entry)
    event = entry.event
    if entry.kind in ENDS and chain.end is None:
        chain.end = (event.get("reason", "completed"), event["step"])
    if entry.kind == "StepClosing" or (entry.kind == "HookAttemptFailed" and event.get("next_attempt_at") is None):
        chain.intents.setdefault(event["step"], entry.offset)
