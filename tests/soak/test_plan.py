"""The plan of a soak, and how its receivers react: the same for the same seed, and with everything in it."""

from itertools import pairwise

import pytest

from tests.soak.fault_plan import (
    DISPATCHERS,
    KINDS,
    LONGEST_S,
    MOVED_S,
    ONLY_WITH,
    SERVICES,
    SESSION_S,
    SHORTEST_S,
    kinds_of,
    longest_stop_s,
)
from tests.soak.faults import MAKERS
from tests.soak.plan import make_plan
from tests.soak.reaction import ANSWERS, react


@pytest.mark.parametrize("brokers", [1, 3])
def test_the_same_seed_gives_the_same_plan_and_another_seed_another(brokers: int) -> None:
    plan, other = make_plan(7, 3_000, brokers), make_plan(8, 3_000, brokers)
    assert make_plan(7, 3_000, brokers) == plan
    assert other.pushes != plan.pushes
    assert other.faults != plan.faults


def test_load_is_the_same_with_faults_and_without() -> None:
    assert make_plan(7, 60).pushes == make_plan(7, 60, kinds=()).pushes
    assert not make_plan(7, 60, kinds=()).faults


def test_each_kind_of_fault_is_made_with_one_broker_or_with_three_and_has_its_words() -> None:
    assert {*kinds_of(1), *kinds_of(3)} == set(KINDS)
    assert {*kinds_of(1)} ^ {*kinds_of(3)} == set(ONLY_WITH)
    assert set(MAKERS) == set(KINDS)
    assert all(KINDS.values())


@pytest.mark.parametrize("brokers", [1, 3])
def test_a_long_plan_has_every_kind_of_fault_and_they_come_one_after_the_other(brokers: int) -> None:
    faults = make_plan(1, 9_000, brokers).faults
    assert {fault.kind for fault in faults} == set(kinds_of(brokers))
    assert all(a.at_s + a.lasts_s < b.at_s for a, b in pairwise(faults))
    assert all(fault.at_s + fault.lasts_s <= 9_000 for fault in faults), "a fault while nothing is left to do"
    targets = {kind: {fault.target for fault in faults if fault.kind == kind} for kind in KINDS}
    for kind in ("kill", "pause", "skew", "no-descriptors", "hold-requests", "delay-answers", "refuse-requests"):
        assert targets[kind] == set(SERVICES), kind
    assert targets["kill-broker"] == targets["freeze-broker"] == set(map(str, range(1, brokers + 1)))
    assert targets["zombie"] == set(DISPATCHERS)
    assert {fault.value for fault in faults if fault.kind == "late-answers"} == {"PRODUCE", "FETCH"}


def test_processes_are_stopped_for_2_to_70_s_and_for_less_in_a_short_run() -> None:
    long, short = make_plan(1, 9_000, 3).faults, [f for seed in range(20) for f in make_plan(seed, 180).faults]
    for faults, longest_s in ((long, LONGEST_S), (short, longest_stop_s(180))):
        stops = [fault.lasts_s for fault in faults if fault.kind in ("pause", "freeze-broker")]
        assert SHORTEST_S <= min(stops) < SHORTEST_S * 1.5
        assert longest_s * 0.7 < max(stops) <= longest_s
    assert longest_stop_s(180) == 15
    assert all(fault.lasts_s > SESSION_S for fault in (*long, *short) if fault.kind == "zombie")


def test_a_clock_is_moved_by_less_than_what_services_go_by_no_more() -> None:
    moved = [abs(int(f.value)) for f in make_plan(1, 9_000).faults if f.kind == "skew"]
    assert min(moved) >= MOVED_S[0] * 1000
    assert max(moved) <= MOVED_S[1] * 1000 < 60_000


def test_only_the_kinds_that_are_wanted_are_planned_in_an_order_that_the_seed_gives() -> None:
    kinds = ("kill", "leave", "pause", "zombie")
    orders = {tuple(f.kind for f in make_plan(seed, 600, kinds=kinds).faults[:4]) for seed in range(20)}
    assert all(set(order) == set(kinds) for order in orders)
    assert len(orders) > 5
    assert make_plan(1, 600, kinds=kinds) == make_plan(1, 600, kinds=kinds[::-1]), "in whichever order they are named"


def test_pushes_and_orders_go_on_when_the_last_fault_comes_late() -> None:
    plan = make_plan(1, 60)
    assert plan.seconds == 60
    assert plan.pushes[-1].at_s > 280
    assert plan.orders[-1].at_s > 250


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
