"""What the seven topics must be, as a rule over what was found: `fitness`, in sentences; pure (design section 2)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from hookline.chain.pipeline import Pipeline
from hookline.log.records import LOGS, MAX_RECORD_BYTES, Topic
from hookline.log.retention import FOR_EVER, Keep

__all__ = [
    "BROKERS_TIMES",
    "CO_PARTITIONED",
    "TIMES",
    "TopicState",
    "Topics",
    "config_of",
    "fitness",
    "misfits",
    "narrow",
    "partitions_of",
]

CO_PARTITIONED = (*LOGS, Topic.SNAPSHOTS)
"""Partition p of these belongs to one dispatcher worker: they have one partition count, permanently."""
COMPACTED = Topic.PIPELINES
LIMIT = "max.message.bytes"
TIMES, BROKERS_TIMES = "message.timestamp.type", "LogAppendTime"
"""The broker's time: it is one clock for all writers, repeats and retention go by it, and an ack tells it (`hookline.log.skew`)."""
KEEP_FOR_GOOD = {"retention.ms": FOR_EVER, "retention.bytes": "-1"}


@dataclass(frozen=True)
class TopicState:
    """A topic as Kafka has it. config: the settings in force, as text; own: those of them that it was given itself.

    id: another topic that is made under its name has another one. may_write: may our Kafka user?
    """

    name: str
    partitions: int
    replication: int
    config: Mapping[str, str]
    own: Mapping[str, str] = field(default_factory=dict)
    id: UUID | None = None
    may_write: bool = True


@dataclass(frozen=True)
class Topics:
    """What there is. A topic that is missing is absent; `log_id` None: none is written.

    made_with: the partition count that was recorded with the log_id; None where none was.
    """

    brokers: int
    states: Mapping[Topic, TopicState]
    log_id: UUID | None
    made_with: int | None = None
    pipelines: Sequence[Pipeline] = ()


def partitions_of(topic: Topic, partitions: int) -> int:
    return partitions if topic in CO_PARTITIONED else 1


def config_of(topic: Topic, replication: int, keep: Keep = Keep()) -> dict[str, str]:  # noqa: B008 - immutable
    """The settings that a topic is made with."""
    config = {
        TIMES: BROKERS_TIMES,
        LIMIT: str(MAX_RECORD_BYTES),
        "min.insync.replicas": "2" if replication >= 3 else "1",
    }
    if topic is COMPACTED:
        return config | {"cleanup.policy": "compact"}
    if topic is Topic.SNAPSHOTS:
        # What its writer deletes leaves the disk by whole segments.
        config["segment.bytes"] = str(64 * 1024 * 1024)
    return config | {"cleanup.policy": "delete", **KEEP_FOR_GOOD} | keep.of(topic)


def fitness(found: Topics, name: Callable[[Topic], str]) -> list[str]:
    """What is wrong, one sentence each: which topic, what, how to mend it. Empty: the topics fit."""
    missing = [name(topic) for topic in Topic if topic not in found.states]
    wrong = [f"there is no topic {', '.join(missing)}: run `hookline topics create`"] if missing else []
    wrong += misfits(found)
    if not missing and found.log_id is None:
        wrong.append(f"{name(Topic.PIPELINES)} holds no log_id: run `hookline topics create`")
    return wrong


def narrow(states: Mapping[Topic, TopicState]) -> list[str]:
    """Which topics take less than a record may have, or keep their producers' time: one sentence each, and how to mend it.

    No reason to refuse a start, or to stop: nearly every record is far smaller, and goes through; and most clocks are right.
    """
    by_producers = [
        f"{state.name} has {TIMES}={state.config.get(TIMES)} and needs {BROKERS_TIMES}, or a producer's wrong clock counts:"
        " run `hookline topics create`"
        for topic, state in states.items()
        if topic in LOGS and state.config.get(TIMES) != BROKERS_TIMES
    ]
    return by_producers + [
        f"{state.name} has {LIMIT}={state.config.get(LIMIT)} and needs {MAX_RECORD_BYTES}, a larger record is refused:"
        f" {_alter(state, LIMIT, str(MAX_RECORD_BYTES))}"
        for state in states.values()
        if int(state.config.get(LIMIT, "0")) < MAX_RECORD_BYTES
    ]


def misfits(found: Topics) -> list[str]:
    """What is wrong with the topics that are there, one sentence each, as in `fitness`."""
    return [
        sentence
        for topic, state in found.states.items()
        for sentence in _partitions_wrong(topic, state, found) + _config_wrong(topic, state)
    ]


def _partitions_wrong(topic: Topic, state: TopicState, found: Topics) -> list[str]:
    if topic not in CO_PARTITIONED:
        if state.partitions == 1:
            return []
        return [
            f"{state.name} has {state.partitions} partitions and must have one: delete it and run `hookline topics create`"
        ]
    if found.made_with is not None:
        if state.partitions == found.made_with:
            return []
        return [
            f"{state.name} has {state.partitions} partitions, and this log was made with {found.made_with}, which cannot change: where a"
            " push lies follows from that number. Kafka cannot remove partitions: put HOOKLINE_TOPIC_PREFIX to another set of"
            " topics (docs/operations.md, “More partitions”), or restore these from a backup"
        ]
    first = next(found.states[t] for t in CO_PARTITIONED if t in found.states)
    if state.partitions == first.partitions:
        return []
    return [
        f"{state.name} has {state.partitions} partitions, {first.name} has {first.partitions}: the four logs and the"
        " snapshots permanently need the same number. Delete what is new and run `hookline topics create`,"
        " or set HOOKLINE_TOPIC_PREFIX to use another set of topics"
    ]


def _config_wrong(topic: Topic, state: TopicState) -> list[str]:
    right = config_of(topic, state.replication)
    checked: dict[str, Callable[[str], bool]] = {
        "cleanup.policy": lambda value: value == right["cleanup.policy"],
        # Below: an ack of one broker, which may be lost. Above: none ever comes.
        "min.insync.replicas": lambda value: int(right["min.insync.replicas"]) <= int(value) <= state.replication,
    }
    # Of the logs no retention keeps a service from starting: it needs what came after its last snapshot. `create_topics`
    # refuses one that is too short. What a commit names in `snapshots` may go only by its writer's hand.
    if topic is Topic.SNAPSHOTS:
        checked |= dict.fromkeys(KEEP_FOR_GOOD, lambda value: value == "-1")
    return [
        f"{state.name} has {key}={state.config.get(key)} and needs {right[key]}: {_alter(state, key, right[key])}"
        for key, fits in checked.items()
        if not fits(state.config.get(key, "0"))
    ]


def _alter(state: TopicState, key: str, value: str) -> str:
    """What an operator runs."""
    return f"kafka-configs.sh --alter --entity-type topics --entity-name {state.name} --add-config {key}={value}"
