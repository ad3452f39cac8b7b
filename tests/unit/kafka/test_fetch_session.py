"""A fetch session: what a request names, and what becomes of it when a broker has another idea."""

import pytest
from aiokafka import TopicPartition
from aiokafka.protocol.fetch import FetchRequest_v11, FetchResponse_v11

from hookline.kafka.session import LAST_EPOCH, Fetch, FetchSession

A, B = TopicPartition("pushes", 0), TopicPartition("deliveries", 3)


class World:
    """Positions that a test moves, and a broker that answers."""

    def __init__(self, positions: dict[TopicPartition, int | None]) -> None:
        self.positions = positions
        self.session = FetchSession(self.positions.get)
        for tp in positions:
            self.session.touch(tp)

    def move(self, tp: TopicPartition, position: int | None) -> None:
        self.positions[tp] = position
        self.session.touch(tp)

    def fetch(self) -> FetchRequest_v11:
        fetch = self.session.next_fetch()
        assert fetch is not None
        return fetch.prepare({Fetch.API_KEY: (4, 18)})

    def answer(self, session: int = 7, error: int = 0) -> bool:
        return self.session.answered(FetchResponse_v11(0, error, session, []))


def named(request: FetchRequest_v11) -> dict[TopicPartition, int]:
    return {TopicPartition(t, p): offset for t, partitions in request.topics for p, _, offset, _, _ in partitions}


def forgotten(request: FetchRequest_v11) -> set[TopicPartition]:
    return {TopicPartition(t, p) for t, partitions in request.forgotten_topics_data for p in partitions}


def begins(request: FetchRequest_v11) -> bool:
    return (request.session_id, request.session_epoch) == (0, 0)


def test_the_first_names_all_and_later_ones_what_has_changed() -> None:
    world = World({A: 1, B: 2})
    first = world.fetch()
    assert begins(first)
    assert named(first) == {A: 1, B: 2}
    assert world.answer()
    world.move(B, 5)
    second = world.fetch()
    assert (second.session_id, second.session_epoch) == (7, 1)
    assert named(second) == {B: 5}
    assert world.answer()
    third = world.fetch()
    assert (named(third), third.session_epoch) == ({}, 2)
    assert (world.session.told(A), world.session.told(B)) == (1, 5)


def test_what_is_not_read_any_more_is_forgotten_once() -> None:
    world = World({A: 1, B: 2})
    world.fetch()
    world.answer()
    world.move(A, None)
    request = world.fetch()
    assert (named(request), forgotten(request)) == ({}, {A})
    assert world.session.told(A) is None
    world.answer()
    assert forgotten(world.fetch()) == set()
    world.answer()
    world.move(A, 1)
    assert named(world.fetch()) == {A: 1}


def test_with_nothing_to_read_there_is_no_fetch_and_then_it_begins_anew() -> None:
    world = World({A: 1})
    world.fetch()
    world.answer()
    world.move(A, None)
    assert world.session.next_fetch() is None
    world.move(A, 4)
    request = world.fetch()
    assert begins(request)
    assert named(request) == {A: 4}


@pytest.mark.parametrize("code", [70, 71, 106])
def test_a_broker_that_lost_the_session_is_told_all_again(code: int) -> None:
    world = World({A: 1, B: 2})
    world.fetch()
    world.answer()
    world.move(A, 9)
    world.fetch()
    assert not world.answer(session=0, error=code)
    request = world.fetch()
    assert begins(request)
    assert named(request) == {A: 9, B: 2}


def test_a_broker_that_gives_no_session_is_told_all_each_time() -> None:
    world = World({A: 1, B: 2})
    for _ in range(2):
        request = world.fetch()
        assert begins(request)
        assert named(request) == {A: 1, B: 2}
        assert world.answer(session=0)


def test_a_fetch_without_an_answer_leaves_nothing_known() -> None:
    world = World({A: 1})
    world.fetch()
    world.answer()
    world.fetch()
    world.session.begin_anew()
    request = world.fetch()
    assert begins(request)
    assert named(request) == {A: 1}


def test_epochs_begin_again_at_one() -> None:
    """Zero would begin a session."""
    world = World({A: 1})
    world.fetch()
    world.answer()
    world.session.epoch = LAST_EPOCH
    world.answer()
    assert world.fetch().session_epoch == 1
