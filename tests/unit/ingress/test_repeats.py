"""What this process remembers of its pushes."""

from services.ingress.repeats import Remembered


def test_within_the_window_only() -> None:
    seen = Remembered()
    assert not seen.repeats("a", 120, 1000)
    assert seen.repeats("a", 120, 1000 + 119_999)
    # As in the logs, a repeat opens no window.
    assert not seen.repeats("a", 120, 1000 + 120_000)
    assert seen.repeats("a", 120, 1000 + 239_999)


def test_a_clock_that_was_ahead_opens_no_window_for_long() -> None:
    seen = Remembered()
    assert not seen.repeats("a", 120, 365 * 86_400_000)
    assert not seen.repeats("a", 120, 1000)
    assert seen.repeats("a", 120, 1001)


def test_bounded_and_a_flood_in_one_window_pushes_out_nothing_of_another() -> None:
    seen = Remembered(capacity=3)
    seen.repeats("long", 86_400, 0)
    for n in range(10):
        seen.repeats(f"short{n}", 120, 0)
    assert seen.repeats("long", 86_400, 1)
    assert seen.repeats("short9", 120, 1)
    assert not seen.repeats("short0", 120, 1)


def test_the_least_recently_seen_goes_first() -> None:
    seen = Remembered(capacity=2)
    for push in ("a", "b", "a", "c"):
        seen.repeats(push, 120, 0)
    assert seen.repeats("a", 120, 1)
    assert not seen.repeats("b", 120, 1)
