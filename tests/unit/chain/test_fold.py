"""The fold: what starts a chain, what each event does to it, and what is forgotten."""

import gc
import weakref
from collections.abc import Callable
from functools import partial

import pytest

from hookline.chain.events import AttemptError, Event, HaltReason, RedeliveryRequested, Verdict
from hookline.chain.fold import Misfit, PartitionFold
from hookline.chain.payloads import unpack_payload
from hookline.chain.state import PENDING, Chain, Closing, Ending, FirstVerdict
from tests.kit.events import START, plan, push, rerun
from tests.unit.chain.logs import Logs

# ---- starting


def test_a_push_starts_one_chain_for_each_plan(logs: Logs) -> None:
    logs.push(name="matches nothing")
    ids = logs.push(plan(2), plan(3, n=1))
    chains = logs.fold().chains
    assert list(chains) == ids
    first, second = chains.values()
    push_id = ids[0][:36]
    assert (first.id, second.id) == (f"{push_id}-1-0-0", f"{push_id}-1-1-0")
    assert (first.cause, first.push_id, first.repository, first.first_step) == (1, push_id, "acme/app", 1)
    assert first.steps == (PENDING, PENDING)
    assert second.steps == (PENDING,) * 3
    assert second.plan == plan(3, n=1)
    assert unpack_payload(first.payload) == push().payload
    assert first.payload is second.payload, "packed once a push"


def test_a_redelivery_starts_a_run_with_its_own_plan_and_payload_from_its_step(logs: Logs) -> None:
    (chain,) = logs.push(plan(3))
    logs.cancel(chain)
    run = logs.rerun(chain, plan(4), from_step=2)
    got = logs.fold().chains[run]
    assert run == f"{chain[:36]}-0-0-2", "run is the request's offset in commands plus one"
    assert (got.cause, got.first_step, got.plan, len(got.steps)) == (1, 2, plan(4), 4)
    assert unpack_payload(got.payload) == {"again": True}
    assert chain in logs.fold().chains, "the first run goes on"


def test_a_cause_that_is_folded_again_resets_nothing(logs: Logs) -> None:
    (chain,) = logs.push(plan(2))
    run = logs.rerun(chain, plan(2))
    logs.verdict(chain, 1)
    logs.verdict(run, 1)
    fold = logs.fold()
    before = dict(fold.chains)
    fold.fold(logs.events_of("pushes")[0], 0, START)
    fold.fold(logs.events_of("commands")[0], 0, START)
    assert fold.chains == before


def test_payloads_are_left_out_where_a_reader_does_not_keep_them() -> None:
    fold = PartitionFold(keep_payload=False)
    (name,) = fold.fold(push(plan()), 0, START)
    assert fold.chains[name].payload == b""


def test_fold_says_which_chains_an_event_touched(logs: Logs) -> None:
    first, second = logs.push(plan(), plan(n=1))
    logs.verdict(first, 1)
    logs.completed(second, 1)
    fold = PartitionFold()
    touched = [fold.fold(read.record.event, read.record.offset, read.record.timestamp) for read in logs.read()]
    assert touched == [(first, second), (first,), (), (second,)]


def test_chains_of_one_pipeline_share_its_plan_while_its_settings_stay() -> None:
    fold = PartitionFold()
    (first,) = fold.fold(push(plan(2), name="a"), 0, START)
    (second,) = fold.fold(push(plan(2), name="b"), 1, START)
    (changed,) = fold.fold(push(plan(3), name="c"), 2, START)
    assert fold.chains[first].plan is fold.chains[second].plan
    assert len(fold.chains[changed].plan.hooks) == 3
    restored = PartitionFold(fold.chains.values())
    (third,) = restored.fold(push(plan(3), name="d"), 3, START)
    assert restored.chains[third].plan is fold.chains[changed].plan


def test_a_plan_goes_with_the_last_chain_that_has_it(logs: Logs) -> None:
    """Else a worker would hold every plan of every pipeline that ever ran."""
    (chain,) = logs.push(plan())
    fold = logs.fold()
    held = weakref.ref(fold.chains[chain].plan)
    assert held() is not None
    fold.fold(push(plan(n=1), name="b"), 1, START)
    del fold.chains[chain]
    gc.collect()
    assert held() is None


# ---- facts


def test_first_verdict_counts(logs: Logs) -> None:
    (chain,) = logs.push(plan(2))
    logs.verdict(chain, 1, Verdict.FAILURE)
    logs.verdict(chain, 1, Verdict.SUCCESS)
    assert logs.chain(chain).step(1).verdict == FirstVerdict(Verdict.FAILURE, 0)
    assert logs.chain(chain).step(2) == PENDING


def test_latest_expiry_counts(logs: Logs) -> None:
    (chain,) = logs.push(plan())
    logs.delivered(chain, 1, expires_at=START + 9)
    logs.delivered(chain, 1, expires_at=START + 5)
    assert logs.chain(chain).step(1).expires_at == START + 9


def test_highest_attempt_counts(logs: Logs) -> None:
    (chain,) = logs.push(plan())
    logs.failed(chain, 1, attempt=2, next_attempt_at=START + 20)
    logs.failed(chain, 1, attempt=1, next_attempt_at=START + 10, error=AttemptError.BLOCKED)
    state = logs.chain(chain).step(1)
    assert (state.failed, state.retry_at, state.was_blocked) == (2, START + 20, False)


def test_a_blocked_attempt_is_remembered_until_the_next_one(logs: Logs) -> None:
    (chain,) = logs.push(plan())
    logs.failed(chain, 1, next_attempt_at=START, error=AttemptError.BLOCKED)
    assert logs.chain(chain).step(1).was_blocked
    logs.failed(chain, 1, attempt=2, next_attempt_at=START)
    assert not logs.chain(chain).step(1).was_blocked


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (AttemptError.BLOCKED, None, HaltReason.BLOCKED_ADDRESS),
        (AttemptError.STATUS, 410, HaltReason.GONE),
        (AttemptError.STATUS, 500, HaltReason.DELIVERY_FAILED),
        (AttemptError.CONNECT, None, HaltReason.DELIVERY_FAILED),
        (AttemptError.TIMEOUT, None, HaltReason.DELIVERY_FAILED),
    ],
)
def test_a_last_failure_is_an_intent(logs: Logs, error: AttemptError, status: int | None, reason: HaltReason) -> None:
    (chain,) = logs.push(plan())
    logs.verdict(chain, 1)
    offset = logs.failed(chain, 1, error=error, status=status, last=True)
    assert logs.chain(chain).step(1).closing == Closing(reason, offset)


def test_a_failure_with_a_next_attempt_is_no_intent(logs: Logs) -> None:
    (chain,) = logs.push(plan())
    logs.failed(chain, 1, error=AttemptError.STATUS, status=500, next_attempt_at=START)
    assert logs.chain(chain).step(1).closing is None


def test_first_terminal_event_counts(logs: Logs) -> None:
    (chain,) = logs.push(plan())
    offset = logs.halted(chain, 1, HaltReason.CANCELLED)
    logs.completed(chain, 1)
    assert logs.chain(chain).ending == Ending(1, HaltReason.CANCELLED, offset, START)


def test_completed_ends_without_a_reason(logs: Logs) -> None:
    (chain,) = logs.push(plan())
    offset = logs.completed(chain, 1)
    logs.halted(chain, 1, HaltReason.CANCELLED)
    assert logs.chain(chain).ending == Ending(1, None, offset, START)


@pytest.mark.parametrize(
    "write", [Logs.verdict, Logs.delivered, partial(Logs.failed, last=True), Logs.closing, Logs.completed]
)
def test_an_event_of_a_step_that_the_plan_does_not_have_is_void_and_told(logs: Logs, write: Callable[..., int]) -> None:
    (chain,) = logs.push(plan(2))
    write(logs, chain, 2)
    before = logs.fold(keep_ended=True).chains
    offset = write(logs, chain, 3)
    told: list[Misfit] = []
    fold = PartitionFold(keep_ended=True, on_misfit=told.append)
    for event, at in in_order(logs):
        fold.fold(event, at, START)
    assert fold.chains == before
    assert [
        (misfit.event.chain_id, misfit.offset, misfit.said)
        for misfit in told
        if not isinstance(misfit.event, RedeliveryRequested)
    ] == [(chain, offset, "it names step 3 of a chain with 2")]


def test_a_run_from_a_step_that_its_plan_does_not_have_and_a_plan_without_hooks_start_nothing() -> None:
    told: list[Misfit] = []
    fold = PartitionFold(on_misfit=told.append)
    (name,) = fold.fold(push(plan(2), plan(2, n=1).model_copy(update={"hooks": ()})), 0, START)
    assert name.endswith("-0-0-0")
    asked = rerun(name, plan(2), from_step=3)
    assert fold.fold(asked, 0, START) == ()
    assert [misfit.said for misfit in told] == ["it asks for step 3 of a plan with 2"]


# ---- forgetting


def test_an_ended_chain_is_handed_out_once_and_forgotten_and_later_facts_are_dropped(logs: Logs) -> None:
    (chain,) = logs.push(plan())
    logs.halted(chain, 1, HaltReason.CANCELLED)
    logs.halted(chain, 1, HaltReason.CANCELLED)
    ended: list[Chain] = []
    fold = PartitionFold(on_end=ended.append)
    for event, offset in in_order(logs):
        fold.fold(event, offset, START)
    logs.verdict(chain, 1)
    assert fold.fold(logs.events_of("callbacks")[0], 0, START) == ()
    assert fold.chains == {}
    assert [c.id for c in ended] == [chain]
    assert ended[0].ending is not None


def test_keep_ended_keeps_it_and_calls_once(logs: Logs) -> None:
    (chain,) = logs.push(plan())
    logs.completed(chain, 1)
    logs.completed(chain, 1)
    ended: list[Chain] = []
    fold = PartitionFold(keep_ended=True, on_end=ended.append)
    for event, offset in in_order(logs):
        fold.fold(event, offset, START)
    assert list(fold.chains) == [chain]
    assert len(ended) == 1


def in_order(logs: Logs) -> list[tuple[Event, int]]:
    return [(read.record.event, read.record.offset) for read in logs.read() if read.valid]
