"""Which push repeats which: a rule over `pushes` alone (design section 3)."""

from hypothesis import given
from hypothesis import strategies as st

from hookline.chain.fold import Repeats
from tests.unit.chain.logs import START, push

WINDOW_MS = 60_000


def see(repeats: Repeats, name: str, at: int, window_s: int = 60) -> bool:
    return repeats.see(push(name=name, received_at=START + at, window_s=window_s))


def test_the_same_push_within_the_window_is_a_repeat() -> None:
    repeats = Repeats()
    assert not see(repeats, "a", 0)
    assert see(repeats, "a", 0)
    assert see(repeats, "a", WINDOW_MS - 1)


def test_at_the_end_of_the_window_it_is_a_new_push() -> None:
    repeats = Repeats()
    assert not see(repeats, "a", 0)
    assert not see(repeats, "a", WINDOW_MS)


def test_another_push_is_no_repeat() -> None:
    repeats = Repeats()
    assert not see(repeats, "a", 0)
    assert not see(repeats, "b", 0)


def test_a_repeat_opens_a_window_of_its_own() -> None:
    repeats = Repeats()
    see(repeats, "a", 0)
    assert see(repeats, "a", 40_000)
    assert see(repeats, "a", 90_000), "less than a window after the one before it"
    assert not see(repeats, "a", 150_000)


def test_the_window_is_that_of_the_earlier_push() -> None:
    repeats = Repeats()
    see(repeats, "a", 0, window_s=10)
    assert not see(repeats, "a", 10_000, window_s=3600)
    assert see(repeats, "a", 3_600_000, window_s=1)
    assert see(repeats, "a", 3_609_000), "a shorter window does not end the longer one of the push before it"


def test_a_clock_that_is_behind_counts_as_the_latest_time_so_far() -> None:
    repeats = Repeats()
    see(repeats, "other", 50_000)
    see(repeats, "a", 0)
    assert repeats.clock == START + 50_000
    assert see(repeats, "a", 100_000), "a came at 50 s by the time of the log"


def test_a_clock_that_goes_back_does_not_reopen_a_window() -> None:
    repeats = Repeats()
    see(repeats, "a", 0)
    see(repeats, "other", WINDOW_MS)
    assert not see(repeats, "a", 1)


def test_a_push_is_forgotten_for_good_after_its_window() -> None:
    repeats = Repeats()
    for number in range(100):
        see(repeats, str(number), number)
    assert len(repeats.until) == 100
    see(repeats, "last", WINDOW_MS + 50)
    assert sorted(repeats.until, key=str) == sorted(map(str, ids(range(51, 100), "last")))


def test_a_window_that_was_made_longer_outlives_its_first_end() -> None:
    repeats = Repeats()
    see(repeats, "a", 0)
    see(repeats, "a", 30_000)
    see(repeats, "other", WINDOW_MS + 1)
    assert see(repeats, "a", WINDOW_MS + 2)


def test_it_goes_on_from_a_copy() -> None:
    repeats = Repeats()
    see(repeats, "a", 0)
    see(repeats, "b", 20_000)
    copy = Repeats(dict(repeats.until), repeats.clock)
    for it in (repeats, copy):
        assert not see(it, "a", WINDOW_MS)
        assert see(it, "b", WINDOW_MS)
    assert repeats.until == copy.until


seen = st.tuples(st.sampled_from("abc"), st.integers(0, 120_000), st.sampled_from([0, 10, 60]))


@given(st.lists(seen, max_size=30))
def test_it_is_the_rule_of_the_design(pushes: list[tuple[str, int, int]]) -> None:
    repeats = Repeats()
    times = [max(at for _, at, _ in pushes[: i + 1]) for i in range(len(pushes))]
    for i, (name, at, window_s) in enumerate(pushes):
        expected = any(pushes[j][0] == name and times[i] - times[j] < pushes[j][2] * 1000 for j in range(i))
        assert see(repeats, name, at, window_s) == expected


def ids(numbers: range, *names: str) -> list[str]:
    return [push(name=name).push_id for name in (*map(str, numbers), *names)]
