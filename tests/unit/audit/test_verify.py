"""`verify` over whole logs: those of real dispatchers under faults are clean, and each kind of damage to one is found."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from random import Random
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import from_json, to_json

from hookline.chain.events import ChainCompleted, ChainHalted, StepSealed
from hookline.chain.fold import Misfit, PartitionFold
from hookline.chain.state import UNCAUSED
from hookline.log.records import LOGS, Place, RawRecord, Topic
from tests.unit.audit.record import FOLDER
from tests.unit.audit.simulations import simulated
from tests.unit.audit.sources import Records, judge, named, of_bundle, of_logs
from tests.unit.chain.histories import World, histories
from tests.unit.chain.logs import fold_reads


@pytest.mark.parametrize("seed", range(6))
async def test_a_log_of_real_dispatchers_under_faults_is_clean(seed: int) -> None:
    records = await simulated(seed)
    findings, figures = await judge(records, settled=True)

    assert findings == []
    assert figures.checkpoints == 2, "both partitions were checkpointed, and compared"
    assert figures.open == 0
    assert figures.started > 10
    assert figures.records == sum(len(records.of(topic, p)) for topic in LOGS for p in range(2))


def forged(world: World) -> list[tuple[str, int, str]]:
    """The seals of others that seal nothing, as findings name them: all that is wrong in such a log."""
    passed: list[Misfit] = []
    fold_reads(world.logs.read(), PartitionFold(keep_ended=True, on_misfit=passed.append))
    assert all(isinstance(one.event, StepSealed) for one in passed)
    return [("I4", one.offset, f"it seals nothing: {one.said}") for one in passed]


@given(histories(), st.integers(1, 50))
async def test_a_log_of_workers_and_zombies_is_clean_but_for_forged_seals(world: World, chunk: int) -> None:
    findings, _ = await judge(of_logs(world.logs), chunk=chunk)

    assert sorted((f.invariant.value, f.offset, f.said) for f in findings) == sorted(forged(world))


@given(histories(60))
async def test_a_log_at_its_end_is_clean_and_nothing_in_it_is_stuck(world: World) -> None:
    world.settle()
    findings, figures = await judge(of_logs(world.logs), settled=True)

    assert sorted((f.invariant.value, f.offset, f.said) for f in findings) == sorted(forged(world))
    assert figures.open == 0


# ---- damage: of recorded logs, so that it is the same every time

RECORDED = ("faults-1", "faults-2", "faults-3")


async def recorded(name: str) -> Records:
    return await of_bundle(FOLDER / f"{name}.hookline")


class Spot(NamedTuple):
    """A record of a log, by its index in `records`."""

    place: Place
    index: int
    raw: RawRecord

    @property
    def value(self) -> dict[str, Any]:
        return from_json(self.raw.value or b"")  # type: ignore[no-any-return]

    def is_a(self, *names: str) -> bool:
        return self.raw.headers["ce_type"].decode().split(".")[1] in names


def spots(records: Records, topic: Topic, *types: str) -> Iterator[Spot]:
    for p in range(records.partitions):
        for index, raw in enumerate(records.of(topic, p)):
            spot = Spot(Place(topic, p), index, raw)
            if not types or spot.is_a(*types):
                yield spot


def valid(records: Records, *types: str) -> Iterator[Spot]:
    """Decisions of the Fence in force."""
    for p in range(records.partitions):
        fence = -1
        for index, raw in enumerate(records.of(Topic.DELIVERIES, p)):
            spot = Spot(Place(Topic.DELIVERIES, p), index, raw)
            if spot.is_a("Fence"):
                fence = raw.offset
            elif int(raw.headers["fence"]) == fence and (not types or spot.is_a(*types)):
                yield spot


def change(records: Records, spot: Spot, **fields: object) -> None:
    records.places[spot.place][spot.index] = replace(spot.raw, value=to_json(spot.value | fields))


def inner(records: Records, found: Iterator[Spot]) -> Iterator[Spot]:
    """Not the first or last of its line: then the log would only begin later or end earlier."""
    return (spot for spot in found if 0 < spot.index < len(records.places[spot.place]) - 1)


def one(found: Iterator[Spot], random: Random) -> Spot:
    return random.choice(list(found))


def drop_a_decision(records: Records, random: Random) -> None:
    spot = one(
        inner(records, spots(records, Topic.DELIVERIES, "HookDelivered", "HookAttemptFailed", "ChainHalted")), random
    )
    del records.places[spot.place][spot.index]


def drop_a_verdict(records: Records, random: Random) -> None:
    spot = one(inner(records, spots(records, Topic.CALLBACKS, "CallbackReceived")), random)
    del records.places[spot.place][spot.index]


def drop_a_push(records: Records, random: Random) -> None:
    spot = one(inner(records, spots(records, Topic.PUSHES)), random)
    del records.places[spot.place][spot.index]


def sealing(records: Records) -> Iterator[tuple[Spot, int, int]]:
    """The seals that halts of the Fence in force rest on: each with the offset of that halt, and of how far it had read."""
    seals: dict[tuple[object, object], Spot] = {}
    for spot in spots(records, Topic.CALLBACKS):
        if spot.is_a("StepSealed"):
            seals.setdefault((spot.value["chain_id"], spot.value["step"]), spot)
    for halt in valid(records, "ChainHalted"):
        seal = seals.get((halt.value["chain_id"], halt.value["step"]))
        if seal is not None and halt.value["reason"] in {reason.value for reason in UNCAUSED}:
            yield seal, halt.raw.offset, halt.value["read_to"]["callbacks"]


def a_seal(records: Records, random: Random) -> tuple[Spot, int, int]:
    return random.choice([found for found in sealing(records) if found[0].index > 0])


def cut_a_seal_out(records: Records, random: Random) -> None:
    spot, _, _ = a_seal(records, random)
    del records.places[spot.place][spot.index]


def move_a_seal_up(records: Records, random: Random) -> None:
    """To the end of its log, where its halt had not read; a verdict of that step, that was void, takes its place."""
    spot, _, _ = a_seal(records, random)
    line = records.places[spot.place]
    said = spot.value
    verdict = {
        "cause": said["cause"], "chain_id": said["chain_id"], "step": said["step"], "state": "success",
        "received_at": 0, "remote_ip": "::1",
    }  # fmt: skip
    headers = {**spot.raw.headers, "ce_type": b"hookline.CallbackReceived.v1"}
    line[spot.index] = replace(spot.raw, value=to_json(verdict), headers=headers)
    line.append(replace(spot.raw, offset=line[-1].offset + 1))


def put_another_seal_in_its_place(records: Records, random: Random) -> None:
    """The record stays, and is about another step that was sealed before or is later."""
    spot, _, _ = a_seal(records, random)
    other = one(
        (s for s in spots(records, Topic.CALLBACKS, "StepSealed") if s.place == spot.place and s != spot), random
    )
    records.places[spot.place][spot.index] = replace(spot.raw, value=other.raw.value)


def change_a_seals_intent(records: Records, random: Random) -> None:
    spot, _, _ = a_seal(records, random)
    change(records, spot, intent=spot.value["intent"] - 1)


def halt_without_reading_the_seal(records: Records, random: Random) -> None:
    spot, at, _ = a_seal(records, random)
    halt = next(
        s for s in valid(records, "ChainHalted") if s.place.partition == spot.place.partition and s.raw.offset == at
    )
    change(records, halt, read_to=halt.value["read_to"] | {"callbacks": spot.raw.offset})


def flip_a_verdict(records: Records, random: Random) -> None:
    """A success that a later step was POSTed for."""
    posted = {(s.value["chain_id"], s.value["step"]) for s in valid(records, "HookDelivered", "HookAttemptFailed")}
    first: dict[object, Spot] = {}
    for spot in spots(records, Topic.CALLBACKS, "CallbackReceived"):
        first.setdefault((spot.value["chain_id"], spot.value["step"]), spot)
    counted = (
        spot
        for (chain, step), spot in first.items()
        if spot.value["state"] == "success" and (chain, step + 1) in posted
    )
    change(records, one(counted, random), state="failure")


def swap_two_attempts(records: Records, random: Random) -> None:
    """A failed attempt and what came of the next one of that step."""
    spot = one((s for s in valid(records, "HookAttemptFailed") if _next_of(records, s)), random)
    after = _next_of(records, spot)
    assert after is not None
    line = records.places[spot.place]
    line[spot.index] = replace(after.raw, offset=spot.raw.offset)
    line[after.index] = replace(spot.raw, offset=after.raw.offset)


def _next_of(records: Records, spot: Spot) -> Spot | None:
    mine = spot.value
    wanted = (mine["chain_id"], mine["step"], mine["attempt"] + 1, spot.raw.headers["fence"])
    for other in valid(records, "HookAttemptFailed", "HookDelivered"):
        its = other.value
        if (its["chain_id"], its["step"], its["attempt"], other.raw.headers["fence"]) == wanted:
            return other
    return None


def forge_a_token(records: Records, random: Random) -> None:
    fences = {spot.raw.offset for spot in spots(records, Topic.DELIVERIES, "Fence")}
    spot = one(valid(records), random)
    token = next(n for n in range(spot.raw.offset, -1, -1) if n not in fences)
    headers = {**spot.raw.headers, "fence": str(token).encode()}
    records.places[spot.place][spot.index] = replace(spot.raw, headers=headers)


def read_less(records: Records, random: Random) -> None:
    """A later step than the first, POSTed by a writer that had read no verdict."""
    posts = valid(records, "HookDelivered", "HookAttemptFailed")
    spot = one((s for s in posts if s.value["step"] > 1 and s.value["chain_id"].endswith("-0")), random)
    change(records, spot, read_to=spot.value["read_to"] | {"callbacks": 0})


def read_more(records: Records, random: Random) -> None:
    """More than there is."""
    spot = one(valid(records), random)
    log = random.choice(["pushes", "callbacks", "commands"])
    change(records, spot, read_to=spot.value["read_to"] | {log: 10_000})


def retry_too_late(records: Records, random: Random) -> None:
    spot = one((s for s in valid(records, "HookAttemptFailed") if s.value["next_attempt_at"]), random)
    change(records, spot, next_attempt_at=spot.value["next_attempt_at"] + 2 * 86_400_000)


def time_out_too_early(records: Records, random: Random) -> None:
    spot = one(valid(records, "StepClosing"), random)
    change(records, spot, decided_at=spot.value["decided_at"] - 20_000)


def time_out_after_a_verdict(records: Records, random: Random) -> None:
    """As if a verdict had been in the log before."""
    spot = one(valid(records, "StepClosing"), random)
    said = spot.value
    verdict = {
        "cause": said["cause"], "chain_id": said["chain_id"], "step": said["step"], "state": "success",
        "received_at": 0, "remote_ip": "::1",
    }  # fmt: skip
    line = records.of(Topic.CALLBACKS, spot.place.partition)
    below = said["read_to"]["callbacks"] - 1
    headers = {**line[below].headers, "ce_type": b"hookline.CallbackReceived.v1"}
    line[below] = replace(line[below], value=to_json(verdict), headers=headers)


def end_twice(records: Records, random: Random) -> None:
    spot = one(valid(records, "ChainHalted", "ChainCompleted"), random)
    line = records.places[spot.place]
    fence = [raw.offset for raw in line if raw.headers["ce_type"] == b"hookline.Fence.v1"][-1]
    headers = {**spot.raw.headers, "fence": str(fence).encode()}
    line.append(replace(spot.raw, offset=line[-1].offset + 1, headers=headers))


def truncate_callbacks(records: Records, random: Random) -> None:
    """The end is lost, and decisions had read it."""
    p = random.randrange(records.partitions)
    del records.of(Topic.CALLBACKS, p)[-3:]


def lose_the_end_of_deliveries(records: Records, random: Random) -> None:
    """Kafka says that there is more."""
    place = Place(Topic.DELIVERIES, random.randrange(records.partitions))
    records.ends[place] = records.places[place][-1].offset + 1
    del records.places[place][-2:]


def put_into_the_wrong_partition(records: Records, random: Random) -> None:
    spot = one(spots(records, Topic.PUSHES), random)
    other = Place(Topic.PUSHES, 1 - spot.place.partition)
    line = records.places[other]
    line.append(replace(spot.raw, place=other, offset=line[-1].offset + 1 if line else 0))


def commit_other_positions(records: Records, random: Random) -> None:
    """Its commit names positions that are not its own."""
    for place, commit in list(records.commits.items()):
        if place.topic is Topic.SNAPSHOTS or place.topic not in LOGS:
            continue
        records.commits[place] = commit._replace(offset=max(0, commit.offset - 12))


def tear_a_snapshot(records: Records, random: Random) -> None:
    for p in range(records.partitions):
        records.of(Topic.SNAPSHOTS, p).pop()


DAMAGE: dict[Callable[[Records, Random], None], set[str]] = {
    drop_a_decision: {"I7"},
    drop_a_verdict: {"I4"},
    drop_a_push: {"I1"},
    cut_a_seal_out: {"I4"},
    move_a_seal_up: {"I4", "I9"},
    put_another_seal_in_its_place: {"I4"},
    change_a_seals_intent: {"I4"},
    halt_without_reading_the_seal: {"I4"},
    flip_a_verdict: {"I2", "I3"},
    swap_two_attempts: {"I7"},
    forge_a_token: {"I10"},
    read_less: {"I2"},
    read_more: {"I1", "I4", "I7"},
    retry_too_late: {"I8"},
    time_out_too_early: {"I8"},
    time_out_after_a_verdict: {"I9"},
    end_twice: {"I3"},
    truncate_callbacks: {"I4"},
    lose_the_end_of_deliveries: {"I7"},
    put_into_the_wrong_partition: {"I1"},
    commit_other_positions: {"I6"},
    tear_a_snapshot: {"I6"},
}
"""How a log is damaged, and one of which invariants must be named."""


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", RECORDED)
@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: damage.__name__)
async def test_each_kind_of_damage_is_found_and_named(
    damage: Callable[[Records, Random], None], name: str, seed: int
) -> None:
    records = await recorded(name)
    damage(records, Random(seed))
    findings, _ = await judge(records)

    assert named(findings) & DAMAGE[damage], findings


async def test_the_figures_say_what_was_judged() -> None:
    records = await simulated(0)
    _, figures = await judge(records)

    assert sum(figures.ended.values()) == figures.started
    assert figures.events.total() == figures.records
    assert figures.events[ChainHalted.__name__] + figures.events[ChainCompleted.__name__] >= figures.started
