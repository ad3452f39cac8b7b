"""The fold: what starts a chain, what each event does to it, what is forgotten, and when a step is being closed."""

import gc
import weakref

import pytest

from hookline.chain.events import AttemptError, Event, HaltReason, ReadTo, Verdict
from hookline.chain.fold import PartitionFold
from hookline.chain.packing import unpack_payload
from hookline.chain.state import PENDING, Chain, Closing, Ending, FirstVerdict
from tests.unit.chain.logs import START, Logs, plan, push

NOTHING_READ = ReadTo(pushes=0, callbacks=0, commands=0)


@pytest.fixture
def logs() -> Logs:
    logs = Logs()
    logs.fence()
    return logs


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
    run = logs.redeliver(chain, plan(4), from_step=2)
    got = logs.fold().chains[run]
    assert run == f"{chain[:36]}-0-0-2", "run is the request's offset in commands plus one"
    assert (got.cause, got.first_step, got.plan, len(got.steps)) == (1, 2, plan(4), 4)
    assert unpack_payload(got.payload) == {"again": True}
    assert chain in logs.fold().chains, "the first run goes on"


def test_a_cause_that_is_folded_again_resets_nothing(logs: Logs) -> None:
    (chain,) = logs.push(plan(2))
    run = logs.redeliver(chain, plan(2))
    logs.callback(chain, 1)
    logs.callback(run, 1)
    fold = logs.fold()
    before = dict(fold.chains)
    fold.fold(logs.events_of("pushes")[0], 0)
    fold.fold(logs.events_of("commands")[0], 0)
    assert fold.chains == before


def test_payloads_are_left_out_where_a_reader_does_not_keep_them() -> None:
    fold = PartitionFold(keep_payload=False)
    (name,) = fold.fold(push(plan()), 0)
    assert fold.chains[name].payload == b""


def test_fold_says_which_chains_an_event_touched(logs: Logs) -> None:
    first, second = logs.push(plan(), plan(n=1))
    logs.callback(first, 1)
    logs.completed(second, 1)
    fold = PartitionFold()
    touched = [fold.fold(read.record.event, read.record.offset) for read in logs.read()]
    assert touched == [(first, second), (first,), (), (second,)]


def test_chains_of_one_pipeline_share_its_plan_while_its_settings_stay() -> None:
    fold = PartitionFold()
    (first,) = fold.fold(push(plan(2), name="a"), 0)
    (second,) = fold.fold(push(plan(2), name="b"), 1)
    (changed,) = fold.fold(push(plan(3), name="c"), 2)
    assert fold.chains[first].plan is fold.chains[second].plan
    assert len(fold.chains[changed].plan.hooks) == 3
    restored = PartitionFold(fold.chains.values())
    (third,) = restored.fold(push(plan(3), name="d"), 3)
    assert restored.chains[third].plan is fold.chains[changed].plan


def test_a_plan_goes_with_the_last_chain_that_has_it(logs: Logs) -> None:
    """Else a worker would hold every plan of every pipeline that ever ran."""
    (chain,) = logs.push(plan())
    fold = logs.fold()
    held = weakref.ref(fold.chains[chain].plan)
    assert held() is not None
    fold.fold(push(plan(n=1), name="b"), 1)
    del fold.chains[chain]
    gc.collect()
    assert held() is None


# ---- facts


def test_first_verdict_counts(logs: Logs) -> None:
    (chain,) = logs.push(plan(2))
    logs.callback(chain, 1, Verdict.FAILURE)
    logs.callback(chain, 1, Verdict.SUCCESS)
    assert logs.chain(chain).step(1).verdict == FirstVerdict(Verdict.FAILURE, 0)
    assert logs.chain(chain).step(2) == PENDING


def test_latest_expiry_counts(logs: Logs) -> None:
    (chain,) = logs.push(plan())
    logs.delivered(chain, 1, expires_at=START + 9)
    logs.delivered(chain, 1, expires_at=START + 5)
    assert logs.chain(chain).step(1).expires_at == START + 9


def test_highest_attempt_counts(logs: Logs) -> None:
    (chain,) = logs.push(plan())
    logs.failed(chain, 1, attempt=2, again_at=START + 20)
    logs.failed(chain, 1, attempt=1, again_at=START + 10, error=AttemptError.BLOCKED)
    state = logs.chain(chain).step(1)
    assert (state.failed, state.retry_at, state.was_blocked) == (2, START + 20, False)


def test_a_blocked_attempt_is_remembered_until_the_next_one(logs: Logs) -> None:
    (chain,) = logs.push(plan())
    logs.failed(chain, 1, again_at=START, error=AttemptError.BLOCKED)
    assert logs.chain(chain).step(1).was_blocked
    logs.failed(chain, 1, attempt=2, again_at=START)
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
    logs.callback(chain, 1)
    offset = logs.failed(chain, 1, error=error, status=status)
    assert logs.chain(chain).step(1).closing == Closing(reason, offset, read_to=1)


def test_a_failure_with_a_next_attempt_is_no_intent(logs: Logs) -> None:
    (chain,) = logs.push(plan())
    logs.failed(chain, 1, error=AttemptError.STATUS, status=500, again_at=START)
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


# ---- forgetting


def test_an_ended_chain_is_handed_out_once_and_forgotten_and_later_facts_are_dropped(logs: Logs) -> None:
    (chain,) = logs.push(plan())
    logs.halted(chain, 1, HaltReason.CANCELLED)
    logs.halted(chain, 1, HaltReason.CANCELLED)
    ended: list[Chain] = []
    fold = PartitionFold(on_end=ended.append)
    for event, offset in in_order(logs):
        fold.fold(event, offset)
    logs.callback(chain, 1)
    assert fold.fold(logs.events_of("callbacks")[0], 0) == ()
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
        fold.fold(event, offset)
    assert list(fold.chains) == [chain]
    assert len(ended) == 1


def in_order(logs: Logs) -> list[tuple[Event, int]]:
    return [(read.record.event, read.record.offset) for read in logs.read() if read.valid]


# ---- being closed (design section 3, the model's `intent`)


def test_an_intent_is_being_closed_until_a_terminal_event(logs: Logs) -> None:
    (chain,) = logs.push(plan(2))
    assert not logs.chain(chain).being_closed(1)
    logs.closing(chain, 1)
    assert logs.chain(chain).being_closed(1)
    assert not logs.chain(chain).being_closed(2), "of that step only"
    logs.halted(chain, 1, HaltReason.CALLBACK_TIMEOUT)
    assert not logs.chain(chain).being_closed(1)


def test_a_last_failure_is_being_closed_too(logs: Logs) -> None:
    (chain,) = logs.push(plan())
    logs.failed(chain, 1)
    assert logs.chain(chain).being_closed(1)


def test_a_verdict_that_the_writer_had_not_read_leaves_it_being_closed(logs: Logs) -> None:
    """Until the dispatcher has gone on or halted, nobody knows whether its seal found that verdict."""
    (chain,) = logs.push(plan(2))
    logs.closing(chain, 1)
    logs.callback(chain, 1)
    assert logs.chain(chain).being_closed(1)


def test_an_intent_whose_writer_had_read_the_first_verdict_is_none(logs: Logs) -> None:
    (chain,) = logs.push(plan(2))
    logs.callback(chain, 1)
    logs.failed(chain, 1)
    assert not logs.chain(chain).being_closed(1)


def test_read_to_is_the_next_offset_so_a_verdict_at_it_was_not_read(logs: Logs) -> None:
    (chain,) = logs.push(plan(2))
    logs.failed(chain, 1)
    logs.callback(chain, 1)
    chain_now = logs.chain(chain)
    closing, verdict = chain_now.step(1).closing, chain_now.step(1).verdict
    assert closing is not None
    assert verdict is not None
    assert verdict.offset == closing.read_to
    assert chain_now.being_closed(1)


def test_the_last_intent_decides(logs: Logs) -> None:
    (chain,) = logs.push(plan(2))
    logs.failed(chain, 1, read_to=NOTHING_READ)
    logs.callback(chain, 1)
    logs.closing(chain, 1)
    assert not logs.chain(chain).being_closed(1)


@pytest.mark.parametrize("later", ["delivered", "failed", "closing"])
def test_an_event_of_a_later_step_decides_the_intent(logs: Logs, later: str) -> None:
    (chain,) = logs.push(plan(3))
    logs.failed(chain, 1)
    logs.callback(chain, 1)
    assert logs.chain(chain).being_closed(1)
    getattr(logs, later)(chain, 3)
    assert not logs.chain(chain).being_closed(1)


def test_an_event_of_a_later_step_before_the_intent_does_not(logs: Logs) -> None:
    (chain,) = logs.push(plan(2))
    logs.callback(chain, 1)
    logs.delivered(chain, 2)
    logs.failed(chain, 1, read_to=NOTHING_READ)
    assert logs.chain(chain).being_closed(1)


@pytest.mark.parametrize("other", ["same step", "earlier step", "callback of a later step", "cancel"])
def test_nothing_else_decides_an_intent(logs: Logs, other: str) -> None:
    (chain,) = logs.push(plan(3))
    logs.callback(chain, 1)
    logs.closing(chain, 2)
    match other:
        case "same step":
            logs.delivered(chain, 2)
        case "earlier step":
            logs.delivered(chain, 1)
        case "callback of a later step":
            logs.callback(chain, 3)
        case "cancel":
            logs.cancel(chain)
    assert logs.chain(chain).being_closed(2)


def test_a_chain_that_is_over_has_no_intent(logs: Logs) -> None:
    """A POST that was still open may append a last HookAttemptFailed after the terminal event."""
    (chain,) = logs.push(plan())
    logs.halted(chain, 1, HaltReason.CANCELLED)
    logs.failed(chain, 1)
    assert not logs.chain(chain).being_closed(1)
