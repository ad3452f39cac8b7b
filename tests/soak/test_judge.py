"""The judge can fail: each promise broken once, in the log or in a ledger, is found; nothing is found where all is well."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.soak.judge import Judgement, compare, judge
from tests.soak.ledger import Called, Happened, Ledgers, Ordered, Pushed, Seen
from tests.soak.naive import Damage, Entry, Log, fold
from tests.soak.small_log import ONE, TWO, decision, rerun, seal, small_ledgers, small_log


def judged(log: Log, ledgers: Ledgers) -> Judgement:
    return judge(log, fold(log), ledgers)


def without(log: Log, topic: str, offset: int) -> Log:
    return [entry for entry in log if (entry.topic, entry.offset) != (topic, offset)]


def test_nothing_is_found_where_all_is_well() -> None:
    assert judged(small_log(), small_ledgers()).findings == ()


def test_the_naive_fold_sees_repeats_void_decisions_and_first_verdicts() -> None:
    chains = fold(small_log())
    assert {chain_id: chain.end for chain_id, chain in chains.items()} == {
        ONE: ("completed", 2),
        TWO: ("callback_timeout", 1),
    }
    assert chains[ONE].verdicts == {1: (0, "success"), 2: (1, "success")}
    assert (chains[TWO].verdicts, chains[TWO].seals) == ({}, {1: 3}), "a verdict above its seal is void"
    for odd in (seal(3, TWO, 1, intent=6), seal(5, TWO, 1, intent=7)):
        other = fold([*without(small_log(), "callbacks", 3), odd])[TWO]
        assert (other.verdicts, other.seals) == ({1: (4, "success")}, {}), "a seal of no intent, or above a verdict"


LEDGERS: list[tuple[str, Callable[[Ledgers], None]]] = [
    ("I1 push v9", lambda it: it.pushed.append(Pushed("dockerhub", "ns/app", "v9", "body of v9", 1, 202))),
    ("I1 push v1", lambda it: it.pushed.append(Pushed("distribution", "ns/app", "v1", "body of v1", 1, 202))),
    ("I4 success of step 1", lambda it: it.called.append(Called(TWO, 1, "success", 1, 200))),
    (
        f"I4 success of step 1 of {TWO} was answered 200, and a seal",
        lambda it: it.called.append(Called(TWO, 1, "success", 1, 200)),
    ),
    ("I4 failure of step 2", lambda it: it.called.append(Called(ONE, 2, "failure", 1, 200))),
    (f"lost {ONE}: its cancel", lambda it: it.ordered.append(Ordered("cancel", ONE, "k", 1, 202, ONE))),
    (f"lost {ONE}: its run", lambda it: it.ordered.append(Ordered("run", ONE, "k", 1, 202, f"{ONE}7"))),
    ("I7 nobody-0-1-0-1", lambda it: it.seen.append(Seen("nobody-0-1-0-1", 1))),
    (f"I7 {TWO}-2", lambda it: it.seen.append(Seen(f"{TWO}-2", 1))),
    (f"I7 {ONE}-2: the log", lambda it: it.seen.remove(Seen(f"{ONE}-2", 3_000))),
    (f"lost {TWO}", lambda it: it.seen.remove(Seen(f"{TWO}-1", 1_500))),
    (f"I7 {TWO}-1: a receiver saw it once more", lambda it: it.seen.append(Seen(f"{TWO}-1", 9_000))),
]


@pytest.mark.parametrize(("said", "doctor"), LEDGERS, ids=[said for said, _ in LEDGERS])
def test_a_doctored_ledger_is_found(said: str, doctor: Callable[[Ledgers], None]) -> None:
    ledgers = small_ledgers()
    doctor(ledgers)
    assert any(finding.startswith(said) for finding in judged(small_log(), ledgers).findings)


LOGS: list[tuple[str, Log]] = [
    ("I1 push v2", without(small_log(), "pushes", 1)),
    ("I4 success of step 1", without(small_log(), "callbacks", 0)),
    (f"I2 {ONE}-2", without(small_log(), "callbacks", 0)),
    (f"fold {ONE[:36]}: 0 runs", [*small_log(), rerun(0)]),
    (
        "I4 success of step 2",
        [*without(small_log(), "deliveries", 4), decision(9, "ChainHalted", ONE, 2, reason="delivery_failed")],
    ),
]


@pytest.mark.parametrize(("said", "log"), LOGS, ids=[said for said, _ in LOGS])
def test_a_doctored_log_is_found(said: str, log: Log) -> None:
    assert any(finding.startswith(said) for finding in judged(log, small_ledgers()).findings)


def test_what_was_promised_and_is_gone_counts_as_lost() -> None:
    assert judged(without(small_log(), "pushes", 1), small_ledgers()).lost == 1


def fault(kind: str, target: str, began: int, ended: int) -> Happened:
    return Happened(kind, target, began, ended, 1.0, "seen")


def fence(at: int) -> Entry:
    return Entry("deliveries", 0, 90 + at, at, "Fence", {"owner": "b"})


def test_a_repeat_is_explained_by_a_fence_between_the_two_and_each_fence_explains_one() -> None:
    ledgers = small_ledgers()
    ledgers.seen.append(Seen(f"{TWO}-1", 9_000))
    for at in (1_500, 5_000, 9_000):
        repeats = judged([*small_log(), fence(at)], ledgers).repeats
        assert (repeats.duplicates, repeats.explained_by, repeats.unexplained) == (1, {"changed hands": 1}, ())
    ledgers.happened.append(fault("hold-answers", "dispatcher-b", 3_000, 5_500))
    assert judged([*small_log(), fence(5_000)], ledgers).repeats.explained_by == {"hold-answers": 1}
    ledgers.happened[-1] = fault("hold-answers", "ingress", 3_000, 5_500)
    assert judged([*small_log(), fence(5_000)], ledgers).repeats.explained_by == {"changed hands": 1}
    ledgers.seen.append(Seen(f"{TWO}-1", 9_000))
    assert judged([*small_log(), fence(5_000)], ledgers).repeats.unexplained == (f"{TWO}-1",)
    for outside in (fence(1_400), fence(9_100), replace(fence(5_000), partition=1)):
        assert judged([*small_log(), outside], ledgers).repeats.unexplained == (f"{TWO}-1", f"{TWO}-1")


def test_a_last_attempt_is_explained_by_what_may_break_it_off_while_it_was_open_and_by_no_other() -> None:
    ledgers = small_ledgers()
    ledgers.seen.append(Seen(f"{TWO}-1", 9_000))
    for at in (9_500, 11_900):
        for kind, target in (("kill", "dispatcher-a"), ("kill-all", ""), ("freeze-broker", "2"), ("damage", "1")):
            ledgers.happened = [fault(kind, target, at, at + 100)]
            repeats = judged(small_log(), ledgers).repeats
            assert (repeats.duplicates, repeats.explained_by, repeats.unexplained) == (1, {kind: 1}, ())
    for other in (
        fault("kill", "dispatcher-a", 5_000, 6_000),  # between the two, and no Fence says that anything changed hands
        fault("kill", "dispatcher-a", 20_000, 21_000),
        fault("kill", "console", 9_500, 9_600),
        fault("refuse-answers", "ingress", 9_500, 9_600),
    ):
        ledgers.happened = [other]
        assert judged(small_log(), ledgers).repeats.unexplained == (f"{TWO}-1",)


def taken(log: Log, topic: str, offset: int) -> Damage:
    lost = tuple(entry for entry in log if (entry.topic, entry.offset) == (topic, offset))
    return Damage(topic, 0, offset, offset + 1, lost)


def test_what_a_damaged_batch_had_is_nobodys_fault_and_nothing_else_is_excused() -> None:
    log = small_log()
    overruled = Called(TWO, 1, "success", 1, 200)
    gone, ledgers = without(log, "callbacks", 4), small_ledgers()
    ledgers.called.append(overruled)
    assert judge(gone, fold(gone), ledgers, [taken(log, "callbacks", 4)]).findings == ()
    assert len(judge(gone, fold(gone), ledgers, [taken(log, "callbacks", 2)]).findings) >= 2
    ledgers.called.append(replace(overruled, state="failure"))
    assert len(judge(gone, fold(gone), ledgers, [taken(log, "callbacks", 4)]).findings) >= 2
    gone = without(log, "pushes", 1)
    said = judge(gone, fold(gone), small_ledgers(), [taken(log, "pushes", 1)]).findings
    assert not any(finding.startswith("I1") for finding in said)
    assert judge(gone, fold(gone), small_ledgers(), [taken(log, "pushes", 0)]).findings != said


def test_another_view_that_differs_is_found() -> None:
    chains = fold(small_log())
    same = {chain_id: chain.end for chain_id, chain in chains.items()}
    assert list(compare("console", chains, same)) == []
    assert len(list(compare("console", chains, {**same, ONE: ("gone", 2)}))) == 1
    assert len(list(compare("console", chains, {ONE: same[ONE]}))) == 1
    assert len(list(compare("console", chains, {**same, "another": None}))) == 1
    later = {**chains, ONE: replace(chains[ONE], end=None)}
    assert len(list(compare("console", later, same))) == 1
