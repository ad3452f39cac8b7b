"""Which push repeats which: a rule over `pushes` alone (design section 3)."""

from hypothesis import given
from hypothesis import strategies as st

from hookline.chain.fold import BACK_MS, Repeats
from tests.kit.events import START, push

WINDOW_MS = 60_000


def see(repeats: Repeats, name: str, at: int, window_s: int = 60) -> bool:
    return repeats.see(push(name=name, window_s=window_s), START + at)


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


def test_a_repeat_opens_no_window_of_its_own() -> None:
    repeats = Repeats()
    see(repeats, "a", 0)
    assert see(repeats, "a", 40_000)
    assert not see(repeats, "a", 90_000), "less than a window after the one before it, and that was a repeat"
    assert see(repeats, "a", 149_000)
    assert not see(repeats, "a", 150_000)


def test_of_pushes_closer_than_their_window_as_many_start_as_windows_fit() -> None:
    repeats = Repeats()
    started = [n for n in range(40) if not see(repeats, "a", n * 50_000)]
    assert started == list(range(0, 40, 2))


def test_no_producers_clock_counts() -> None:
    """One that was ahead by a year, for one push of anything, swallowed every identical push of that year."""
    repeats = Repeats()
    year_ms = 365 * 86_400_000
    assert not repeats.see(push(name="other", received_at=START + year_ms), START)
    assert [see(repeats, "a", hour * 3_600_000) for hour in range(200)] == [False] * 200


def test_the_window_is_that_of_the_earlier_push() -> None:
    repeats = Repeats()
    see(repeats, "a", 0, window_s=10)
    assert not see(repeats, "a", 10_000, window_s=3600)
    assert see(repeats, "a", 3_600_000, window_s=1)
    assert see(repeats, "a", 3_609_000), "a shorter window does not end the longer one of the push before it"
    assert not see(repeats, "a", 3_610_000)


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


def test_a_brokers_clock_that_was_ahead_ends_every_window_once_another_tells() -> None:
    """Else time would stand still until it is right again, and with it every window."""
    repeats = Repeats()
    see(repeats, "a", 0)
    see(repeats, "other", 10 * BACK_MS)
    assert not see(repeats, "a", 1)
    assert repeats.clock == START + 1
    assert see(repeats, "a", 2)
    assert not see(repeats, "other", 10 * BACK_MS)
    assert see(repeats, "other", 9 * BACK_MS + 1), "clocks that work may differ by less"
    assert not see(repeats, "other", 8 * BACK_MS)


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
    started: list[int] = []
    times = [max(at for _, at, _ in pushes[: i + 1]) for i in range(len(pushes))]
    for i, (name, at, window_s) in enumerate(pushes):
        expected = any(pushes[j][0] == name and times[i] - times[j] < pushes[j][2] * 1000 for j in started)
        assert see(repeats, name, at, window_s) == expected
        if not expected:
            started.append(i)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 5 * BACK_MS), st.booleans()), max_size=30))
def test_no_wrong_clock_swallows_more_than_an_hour_and_a_window(pushes: list[tuple[str, int, bool]]) -> None:
    """Brokers whose clocks jump as they like: what repeats lies, by their times, about its window behind one that started."""
    repeats, started = Repeats(), list[tuple[str, int]]()
    for name, at, restored in pushes:
        if restored:
            repeats = Repeats(dict(repeats.until), repeats.clock)
        if not see(repeats, name, at):
            started.append((name, at))
        else:
            assert any(n == name and abs(at - t) < BACK_MS + WINDOW_MS for n, t in started)


def ids(numbers: range, *names: str) -> list[str]:
    return [push(name=name).push_id for name in (*map(str, numbers), *names)]
