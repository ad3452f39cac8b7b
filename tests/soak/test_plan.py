"""The plan of a soak, and how its receivers react: the same for the same seed, and with everything in it."""

from itertools import pairwise

import pytest

from tests.soak.plan import DISPATCHERS, SERVICES, SESSION_S, make_plan
from tests.soak.reaction import ANSWERS, react


@pytest.mark.parametrize("brokers", [1, 3])
def test_the_same_seed_gives_the_same_plan_and_another_seed_another(brokers: int) -> None:
    assert make_plan(7, 300, brokers) == make_plan(7, 300, brokers)
    other = make_plan(8, 300, brokers)
    assert other.pushes != make_plan(7, 300, brokers).pushes
    assert other.faults != make_plan(7, 300, brokers).faults


def test_load_is_the_same_with_faults_and_without() -> None:
    assert make_plan(7, 60).pushes == make_plan(7, 60, faults=False).pushes
    assert not make_plan(7, 60, faults=False).faults


@pytest.mark.parametrize("brokers", [1, 3])
def test_a_long_plan_has_every_kind_of_fault_and_they_come_one_after_the_other(brokers: int) -> None:
    faults = make_plan(1, 3_000, brokers).faults
    kinds = {"kill", "pause", "zombie", "leave", "kill-broker", "slow-broker", "skew"}
    assert {fault.kind for fault in faults} == kinds | (
        {"late-answers", "disk-full"} if brokers == 1 else {"kill-controller"}
    )
    assert all(a.at_s + a.lasts_s < b.at_s for a, b in pairwise(faults))
    assert all(fault.at_s + fault.lasts_s <= 3_000 for fault in faults), "a fault while nothing is left to do"
    assert {fault.target for fault in faults if fault.kind == "kill"} == set(SERVICES)
    assert {fault.target for fault in faults if fault.kind == "kill-broker"} == set(map(str, range(1, brokers + 1)))
    zombies = [fault for fault in faults if fault.kind == "zombie"]
    assert all(zombie.lasts_s > SESSION_S for zombie in zombies)
    assert {zombie.target for zombie in zombies} <= set(DISPATCHERS)


def test_pushes_come_from_two_sources_and_some_are_repeated() -> None:
    pushes = make_plan(1, 300).pushes
    assert {push.source for push in pushes} == {"dockerhub", "distribution"}
    assert len({push.tag for push in pushes}) < len(pushes)
    assert [push.at_s for push in pushes] == sorted(push.at_s for push in pushes)


def test_users_cancel_and_run_again() -> None:
    orders = make_plan(1, 300).orders
    assert {order.action for order in orders} == {"cancel", "run"}
    assert len({order.key for order in orders}) == len(orders)


def test_pipelines_have_one_to_five_hooks() -> None:
    hooks = {pipeline.hooks for seed in range(5) for pipeline in make_plan(seed, 1).pipelines}
    assert hooks == {1, 2, 3, 4, 5}


def test_receivers_do_everything_and_the_same_for_the_same_post() -> None:
    reactions = [react(1, f"v{n}", "ci", 1, 1) for n in range(2_000)]
    assert reactions == [react(1, f"v{n}", "ci", 1, 1) for n in range(2_000)]
    assert {reaction.answer for reaction in reactions} == set(ANSWERS)
    assert any(reaction.early and reaction.later for reaction in reactions), "twice"
    assert any({call.state for call in reaction.later} > {"success"} for reaction in reactions), "contradicting"
    assert any(call.late for reaction in reactions for call in reaction.later), "late"
    assert any(reaction.answer == "200" and not reaction.early + reaction.later for reaction in reactions), "never"
