"""Places: one host, one hook, or many slow ones do not take them from others (cases C5, F5)."""

from collections.abc import Callable
from random import Random

import pytest

from services.dispatcher.retry_meter import LEAST_PER_S, MOST_LATE_S
from services.dispatcher.slots import Line, Slots


class Stage:
    """Slots, and what was begun, in order."""

    def __init__(self, total: int, per_host: int) -> None:
        self.now_s = 1_000.0
        self._alarms: list[tuple[float, Callable[[], None]]] = []
        self.slots = Slots(total, per_host, lambda: self.now_s, self._call_later)
        self.begun: list[str] = []
        self.open: list[Line] = []

    def submit(self, name: str, *, times: int = 1, retry: bool = False) -> None:
        """`host/hook`."""
        host, _, hook = name.partition("/")
        line = Line(host, hook or host, retry)
        for _ in range(times):
            self.slots.submit(line, self._begin(name + "!" * retry, line))

    def release(self, name: str, *, delivered: bool = True, timed_out: bool = False) -> None:
        line = next(line for line in self.open if name in (line.host, f"{line.host}/{line.hook}"))
        self.open.remove(line)
        self.slots.release(line, delivered=delivered and not timed_out, timed_out=timed_out)

    def time_out(self, name: str) -> None:
        self.release(name, timed_out=True)

    def advance(self, seconds: float) -> None:
        """Let that time pass, and what was to be called meanwhile be called at its time."""
        end = self.now_s + seconds
        while self._alarms and (soonest := min(self._alarms, key=lambda alarm: alarm[0]))[0] <= end:
            self._alarms.remove(soonest)
            self.now_s = soonest[0]
            soonest[1]()
        self.now_s = end

    def _call_later(self, seconds: float, call: Callable[[], None]) -> None:
        self._alarms.append((self.now_s + seconds, call))

    def _begin(self, name: str, line: Line) -> Callable[[], bool]:
        def begin() -> bool:
            self.begun.append(name)
            self.open.append(line)
            return True

        return begin

    def of(self, host: str) -> int:
        return sum(line.host == host for line in self.open)


def test_a_host_has_only_its_share_and_the_others_go_on() -> None:
    stage = Stage(total=8, per_host=2)
    for name in ("a", "a", "a", "b"):
        stage.submit(name)
    assert (stage.begun, stage.slots.in_flight, stage.slots.waiting) == (["a", "a", "b"], 3, 1)
    stage.release("a")
    assert stage.begun[-1] == "a"


def test_hosts_take_turns() -> None:
    stage = Stage(total=1, per_host=1)
    for name in ("a", "a", "a", "b", "c"):
        stage.submit(name)
    for _ in range(4):
        stage.release(stage.open[0].host)
    assert stage.begun == ["a", "a", "b", "c", "a"]


def test_hooks_of_one_host_take_turns_whatever_waits_for_another() -> None:
    """Case C5: 160 pushes to /slow, then one to /fast of the same host."""
    stage = Stage(total=200, per_host=32)
    stage.submit("h/slow", times=160)
    stage.submit("h/fast")
    assert stage.begun.count("h/fast") == 0
    stage.release("h/slow")
    stage.release("h/slow")
    assert stage.begun.count("h/fast") == 1, "behind one of the others at most"


def test_new_pushes_of_a_hook_do_not_wait_for_all_its_retries() -> None:
    stage = Stage(total=200, per_host=4)
    stage.submit("h", times=1_000, retry=True)
    stage.submit("h")
    stage.release("h")
    stage.release("h")
    assert stage.begun.count("h") == 1


def test_thousands_of_retries_that_are_due_at_once_begin_a_few_at_a_time() -> None:
    """New pushes need the CPU, too. The more of them wait, the faster: they are late by minutes at most."""
    stage = Stage(total=1_000, per_host=1_000)
    stage.submit("h", times=50_000, retry=True)
    assert len(stage.begun) == 10
    begun = []
    for _ in range(2_400):
        before = len(stage.begun)
        stage.advance(1)
        begun.append(len(stage.begun) - before)
        while stage.open:
            stage.release("h")
    assert 0.9 * 50_000 / MOST_LATE_S <= begun[0] <= 1.2 * 50_000 / MOST_LATE_S
    assert min(begun[:900]) >= LEAST_PER_S - 1
    assert begun[-1] == 0, "all have begun"
    assert max(begun) <= 1.2 * 50_000 / MOST_LATE_S


def test_another_hooks_retry_waits_for_a_turn_and_not_for_all_that_are_due() -> None:
    stage = Stage(total=1_000, per_host=100)
    stage.submit("away", times=50_000, retry=True)
    stage.submit("another", retry=True)
    stage.advance(0.1)
    assert "another!" in stage.begun


def test_retries_that_come_faster_than_they_are_begun_are_late_by_minutes_and_no_more() -> None:
    stage = Stage(total=1_000, per_host=1_000)
    per_s = round(2 * LEAST_PER_S)
    for _ in range(3_000):
        stage.submit("h", times=per_s, retry=True)
        stage.advance(1)
        while stage.open:
            stage.release("h")
    assert per_s * MOST_LATE_S / 2 <= stage.slots.waiting <= per_s * MOST_LATE_S


def test_retries_of_a_hook_that_was_slow_wait_for_their_turn_again() -> None:
    stage = Stage(total=40, per_host=8)
    stage.submit("h", times=500, retry=True)
    stage.time_out("h")
    stage.submit("other")
    while stage.slots.slow_hooks:
        stage.release("h")
    assert len(stage.begun) < 30, "it has many places again, but not all at once"
    for _ in range(100):
        stage.advance(0.1)
        while stage.open:
            stage.release(stage.open[0].host)
    assert stage.begun.count("h!") == 500


def test_a_host_with_none_open_gets_a_place_whatever_the_others_have() -> None:
    """Case F5: eight hosts that hang, 32 places each, of 200."""
    stage = Stage(total=200, per_host=32)
    for n in range(8):
        stage.submit(f"hanging{n}", times=60)
    assert stage.slots.in_flight < 200
    for n in range(12):
        stage.submit(f"good{n}")
    assert [stage.of(f"good{n}") for n in range(12)] == [1] * 12


def test_the_more_a_host_has_the_more_must_stay_free_behind_it() -> None:
    stage = Stage(total=20, per_host=20)
    stage.submit("a", times=20)
    assert stage.of("a") == 15, "a quarter stays"
    stage.submit("b", times=5)
    assert stage.of("b") == 2, "the third would need four free ones behind it"
    stage.submit("c")
    assert stage.of("c") == 1


def test_a_hook_whose_attempts_run_out_of_time_gets_fewer_places_until_one_is_delivered() -> None:
    stage = Stage(total=200, per_host=8)
    stage.submit("h/slow", times=100)
    assert stage.of("h") == 8
    stage.time_out("h/slow")
    while stage.of("h") > 4:
        stage.release("h/slow", delivered=False)
    stage.release("h/slow", delivered=False)
    assert stage.of("h") == 4, "half"
    for _ in range(20):
        stage.time_out("h/slow")
    assert stage.of("h") == 1, "never none"
    assert stage.slots.slow_hooks == 1
    stage.submit("h/other", times=3)
    assert stage.begun.count("h/other") == 3, "another hook of that host is none of its business"
    stage.release("h/slow")
    assert (stage.begun[-7:].count("h/slow"), stage.slots.slow_hooks) == (5, 0), "as many as the host has"


def test_all_slow_hooks_together_have_a_quarter_of_the_places() -> None:
    stage = Stage(total=40, per_host=4)
    slow = [f"slow{n}" for n in range(60)]
    for name in slow:
        stage.submit(name)
        if stage.of(name):
            stage.time_out(name)
    for name in slow:
        stage.submit(name)
    assert stage.slots.in_flight == 10
    for n in range(30):
        stage.submit(f"good{n}")
    assert sum(stage.of(f"good{n}") for n in range(30)) == 30


def test_slow_hooks_are_not_starved_by_the_others() -> None:
    stage = Stage(total=4, per_host=4)
    stage.submit("slow")
    stage.time_out("slow")
    for n in range(50):
        stage.submit(f"good{n}")
    stage.submit("slow")
    for _ in range(10):
        stage.release(stage.open[0].host)
    assert stage.begun.count("slow") == 2


def test_a_begin_with_nothing_to_do_takes_no_place() -> None:
    stage = Stage(total=1, per_host=1)
    stage.submit("a")
    stage.slots.submit(Line("a", "a", False), lambda: False)
    stage.submit("a")
    stage.release("a")
    assert (stage.begun, stage.slots.in_flight, stage.slots.waiting) == (["a", "a"], 1, 0)


def test_the_oldest_wait_is_told() -> None:
    stage = Stage(total=1, per_host=1)
    stage.submit("a")
    assert stage.slots.oldest_wait_s == 0.0
    for name in ("a", "b"):
        stage.submit(name)
        stage.now_s += 5
    assert stage.slots.oldest_wait_s == 10.0


@pytest.mark.parametrize("seed", range(20))
def test_whatever_happens_the_sums_are_right_and_nothing_waits_for_ever(seed: int) -> None:
    random = Random(seed)
    stage = Stage(total=random.choice((1, 3, 20)), per_host=random.choice((1, 2, 8)))
    submitted = 0
    for _ in range(600):
        if random.random() < 0.55:
            stage.submit(f"h{random.randrange(5)}/k{random.randrange(3)}", retry=random.random() < 0.3)
            submitted += 1
        elif stage.open:
            line = random.choice(stage.open)
            stage.open.remove(line)
            stage.slots.release(line, delivered=random.random() < 0.5, timed_out=random.random() < 0.3)
        assert stage.slots.in_flight == len(stage.open) <= 20
        assert stage.slots.waiting + len(stage.begun) == submitted
        stage.advance(random.choice((0, 0.001, 0.1)))
        if not stage.open:
            stage.advance(0.1)
            assert stage.open or not stage.slots.waiting, "nobody waits for long while all places are free"
    while stage.open or stage.slots.waiting:
        stage.advance(1)
        assert stage.open
        line = stage.open.pop()
        stage.slots.release(line, delivered=False, timed_out=random.random() < 0.5)
    assert (stage.slots.in_flight, stage.slots.waiting, len(stage.begun)) == (0, 0, submitted)
