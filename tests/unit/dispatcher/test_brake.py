"""The pause between two incarnations (case K1: a cause that ends each of them is slowed, whatever state they reached)."""

from itertools import pairwise
from random import Random

import pytest

from hookline.errors import AppendFailed, Fenced
from services.dispatcher.brake import FORGET_S, LOG_MAX_S, MAX_S, MIN_S, Brake


class Middle(Random):
    def random(self) -> float:
        return 0.5


@pytest.fixture
def brake() -> Brake:
    return Brake(Middle())


@pytest.mark.parametrize("ran_s", [0.0, 1.0, FORGET_S - 1])
def test_the_same_cause_in_a_row_is_slowed_whatever_state_it_reached(brake: Brake, ran_s: float) -> None:
    pauses = [brake.pause_s(ZeroDivisionError(), ran_s) for _ in range(20)]
    assert pauses[0] == MIN_S
    assert all(later == min(2 * earlier, MAX_S) for earlier, later in pairwise(pauses))
    assert pauses[-1] == MAX_S


def test_where_the_log_is_the_cause_it_is_never_long(brake: Brake) -> None:
    assert max(brake.pause_s(AppendFailed(), 0.0) for _ in range(20)) == LOG_MAX_S


def test_another_cause_or_a_long_life_begins_anew(brake: Brake) -> None:
    for _ in range(5):
        brake.pause_s(ZeroDivisionError(), 0.0)
    assert brake.pause_s(Fenced(), 0.0) == MIN_S
    assert brake.pause_s(ZeroDivisionError(), 0.0) == MIN_S
    assert brake.pause_s(ZeroDivisionError(), 0.0) == 2 * MIN_S
    assert brake.pause_s(ZeroDivisionError(), FORGET_S) == MIN_S


def test_two_owners_do_not_fence_each_other_in_step() -> None:
    pauses = {Brake(Random(seed)).pause_s(Fenced(), 0.0) for seed in range(20)}
    assert len(pauses) == 20
    assert all(MIN_S / 2 <= pause <= 1.5 * MIN_S for pause in pauses)
