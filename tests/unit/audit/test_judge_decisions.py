"""What `verify` says of a decision, one broken rule a test: the invariant it names, at the offset where it lies.

Each log is a good one but for the last thing that is written; `test_the_log_before_it_is_clean` holds that.
"""

from collections.abc import Callable
from typing import NamedTuple

import pytest

from hookline.audit.findings import Finding
from hookline.chain.events import AttemptError, HaltReason, ReadTo, Verdict
from hookline.log.records import Topic
from tests.unit.audit.script import SECOND, Script
from tests.unit.audit.sources import TAKEN_AT, judge


class Broken(NamedTuple):
    """`before` writes a good log, `then` breaks a rule of it; the offset in `topic` of what is wrong comes back."""

    invariant: str
    said: str
    before: Callable[[Script], object]
    then: Callable[[Script], int]
    topic: Topic = Topic.DELIVERIES


def chain(script: Script, n: int = 0) -> str:
    """The id of the n-th chain of the log."""
    return script.chain_of(n)


def delivered(script: Script, steps: int = 2) -> str:
    made = script.push(steps)
    script.delivered(made)
    return made


def succeeded(script: Script, steps: int = 2) -> str:
    made = delivered(script, steps)
    script.verdict(made)
    return made


def given_up(script: Script) -> str:
    """Retries spent: an intent."""
    made = script.push(2, delays_s=())
    script.failed(made)
    return made


def expired(script: Script) -> str:
    made = delivered(script)
    script.wait(60)
    return made


def closed(script: Script) -> str:
    made = expired(script)
    script.closing(made)
    return made


def sealed(script: Script) -> str:
    made = closed(script)
    script.sealed(made)
    return made


def failed_once(script: Script) -> str:
    made = script.push(2)
    script.failed(made)
    return made


def low(script: Script, **read_to: int) -> ReadTo:
    return script.read_to.model_copy(update=read_to)


BROKEN = {
    # ---- I2
    "a step without the success of the one before": Broken(
        "I2", "no success of step 1", delivered, lambda s: s.delivered(chain(s), 2)
    ),
    "a step whose success its writer had not read": Broken(
        "I2", "no success of step 1", succeeded, lambda s: s.delivered(chain(s), 2, read_to=low(s, callbacks=0))
    ),
    "a step whose success lies above its seal": Broken(
        "I2", "no success of step 1", lambda s: s.verdict(sealed(s)), lambda s: s.delivered(chain(s), 2)
    ),
    "a callback of the step behind one whose success lies above its seal": Broken(
        "I2", "no success of step 1 is below it", lambda s: s.verdict(sealed(s)), lambda s: s.verdict(chain(s), 2),
        Topic.CALLBACKS,
    ),
    "a step below that its run starts at": Broken(
        "I2", "starts at step 2", lambda s: s.rerun(succeeded(s), from_step=2), lambda s: s.delivered(chain(s, 1), 1)
    ),
    "a callback of a step that nobody was asked about": Broken(
        "I2", "no success of step 1 is below it", delivered, lambda s: s.verdict(chain(s), 2), Topic.CALLBACKS
    ),
    "a callback below the step that its run starts at": Broken(
        "I2", "starts at 2", lambda s: s.rerun(succeeded(s), from_step=2), lambda s: s.verdict(chain(s, 1), 1),
        Topic.CALLBACKS,
    ),
    # ---- I3
    "a second terminal event": Broken(
        "I3", "ended already", lambda s: s.completed(succeeded(s, 1)), lambda s: s.completed(chain(s))
    ),
    "completed after a failure": Broken(
        "I3", "to halt at step 1: callback_failure",
        lambda s: s.verdict(delivered(s, 1), 1, Verdict.FAILURE), lambda s: s.completed(chain(s)),
    ),
    "halted for another reason than the verdict's": Broken(
        "I3", "callback_failure", lambda s: s.verdict(delivered(s), 1, Verdict.FAILURE),
        lambda s: s.halted(chain(s), 1, HaltReason.CALLBACK_ERROR),
    ),
    "cancelled by nobody": Broken("I3", "to wait", delivered, lambda s: s.halted(chain(s), 1, HaltReason.CANCELLED)),
    "completed before its last step": Broken("I3", "to POST step 2", succeeded, lambda s: s.completed(chain(s), 2)),
    "POSTed by a worker that had read the step's verdict": Broken(
        "I3", "had read the verdict", lambda s: (failed_once(s), s.verdict(chain(s)), s.fence(), s.delivered(s.push(1))),
        lambda s: (s.fence(), s.wait(5), s.delivered(chain(s), 1, 2))[-1],
    ),
    "POSTed by a worker that had read the verdict when the attempt before failed": Broken(
        "I3", "had read the verdict", lambda s: (s.push(2), s.verdict(chain(s)), s.failed(chain(s))),
        lambda s: s.wait(5).delivered(chain(s), 1, 2),
    ),
    "POSTed by a worker that had read the cancel": Broken(
        "I3", "had read its cancel", lambda s: (failed_once(s), s.cancel(chain(s)), s.delivered(s.push(1))),
        lambda s: (s.fence(), s.wait(5), s.delivered(chain(s), 1, 2))[-1],
    ),
    "POSTed after a restore that had read the end": Broken(
        "I3", "after its chain had ended",
        lambda s: (s.verdict(failed_once(s), 1, Verdict.FAILURE), s.halted(chain(s), 1, HaltReason.CALLBACK_FAILURE)),
        lambda s: (s.fence(), s.wait(5), s.delivered(chain(s), 1, 2))[-1],
    ),
    "POSTed by the owner long after the end": Broken(
        "I3", "after its chain had ended",
        lambda s: (s.verdict(failed_once(s), 1, Verdict.FAILURE), s.halted(chain(s), 1, HaltReason.CALLBACK_FAILURE)),
        lambda s: s.wait(60).delivered(chain(s), 1, 2),
    ),
    # ---- I4
    "given up, and a verdict was read": Broken(
        "I4", "a verdict of step 1", lambda s: (given_up(s), s.verdict(chain(s))),
        lambda s: s.halted(chain(s), 1, HaltReason.DELIVERY_FAILED),
    ),
    "given up and sealed, and a verdict lies below the seal": Broken(
        "I4", "a verdict of step 1", lambda s: (given_up(s), s.verdict(chain(s)), s.sealed(chain(s))),
        lambda s: s.halted(chain(s), 1, HaltReason.DELIVERY_FAILED),
    ),
    "halted without an intent": Broken(
        "I4", "without an intent", failed_once, lambda s: s.halted(chain(s), 1, HaltReason.DELIVERY_FAILED)
    ),
    "halted without a seal": Broken(
        "I4", "without a StepSealed below its read_to; to seal step 1 for deliveries@1", given_up,
        lambda s: s.halted(chain(s), 1, HaltReason.DELIVERY_FAILED),
    ),
    "timed out without a seal": Broken(
        "I4", "without a StepSealed", closed, lambda s: s.halted(chain(s), 1, HaltReason.CALLBACK_TIMEOUT)
    ),
    "halted before its seal was read": Broken(
        "I4", "without a StepSealed", sealed,
        lambda s: s.halted(chain(s), 1, HaltReason.CALLBACK_TIMEOUT, read_to=low(s, callbacks=0)),
    ),
    "halted by the seal of another step": Broken(
        "I4", "without a StepSealed",
        lambda s: (s.push(2, delays_s=()), s.verdict(chain(s)), s.failed(chain(s)), s.failed(chain(s), 2), s.sealed(chain(s))),
        lambda s: s.halted(chain(s), 2, HaltReason.DELIVERY_FAILED),
    ),
    "halted by the seal of another chain": Broken(
        "I4", "without a StepSealed", lambda s: (given_up(s), given_up(s), s.sealed(chain(s))),
        lambda s: s.halted(chain(s, 1), 1, HaltReason.DELIVERY_FAILED),
    ),
    "a seal without an intent": Broken(
        "I4", "it seals nothing: deliveries@1", delivered, lambda s: s.sealed(chain(s), intent=1), Topic.CALLBACKS
    ),
    "a seal for a failure that is tried again": Broken(
        "I4", "it seals nothing: deliveries@1", failed_once, lambda s: s.sealed(chain(s), intent=1), Topic.CALLBACKS
    ),
    "a seal for the intent of another chain": Broken(
        "I4", "it seals nothing", lambda s: (given_up(s), given_up(s)), lambda s: s.sealed(chain(s), intent=2),
        Topic.CALLBACKS,
    ),
    "a seal for an intent that is not the first": Broken(
        "I4", "it seals nothing",
        lambda s: (s.push(2, delays_s=(), deadline_s=60), s.failed(chain(s)), s.fence(), s.failed(chain(s), fence=0, attempt=1)),
        lambda s: s.sealed(chain(s), intent=3), Topic.CALLBACKS,
    ),
    "a seal for the intent of a fenced worker": Broken(
        "I4", "it seals nothing", lambda s: (expired(s), s.fence(), s.closing(chain(s), fence=0)),
        lambda s: s.sealed(chain(s), intent=3), Topic.CALLBACKS,
    ),
    "a seal of another step than its intent's": Broken(
        "I4", "it seals nothing", given_up, lambda s: s.sealed(chain(s), 2, intent=1), Topic.CALLBACKS
    ),
    "a seal of a step that its chain does not have": Broken(
        "I7", "has 2 steps", given_up, lambda s: s.sealed(chain(s), 3, intent=1), Topic.CALLBACKS
    ),
    "given up though the plan has another attempt": Broken(
        "I4", "the plan has another", lambda s: s.push(1), lambda s: s.failed(chain(s), next_attempt_at=None)
    ),
    "verdicts that are not in the log any more": Broken(
        "I4", "records were lost", succeeded, lambda s: s.delivered(chain(s), 2, read_to=low(s, callbacks=9))
    ),
    # ---- I6
    "a worker that ran before it was restored": Broken(
        "I6", "before it was restored", lambda s: (delivered(s), s.push(1), s.delivered(chain(s, 1)), s.fence()),
        lambda s: s.verdict(chain(s)) + s.delivered(chain(s), 2, read_to=low(s, pushes=1)),
    ),
    # ---- I7
    "an attempt that was not the next": Broken("I7", "2 was due", failed_once, lambda s: s.wait(5).delivered(chain(s), 1, 3)),
    "delivered twice": Broken("I7", "delivered already", delivered, lambda s: s.delivered(chain(s))),
    "an attempt of a step that is being closed": Broken("I7", "being closed", given_up, lambda s: s.delivered(chain(s), 1, 2)),
    "a decision before its cause was read": Broken(
        "I7", "before its cause was read", lambda s: s.push(1), lambda s: s.delivered(chain(s), read_to=low(s, pushes=0))
    ),
    "a chain that nothing has started": Broken(
        "I7", "nothing has started its chain", lambda s: s.push(name="twice"),
        lambda s: (s.push(name="twice"), s.delivered(chain(s, 1)))[-1],
    ),
    "a callback of a chain that nothing has started": Broken(
        "I7", "nothing has started its chain", lambda s: s.push(name="twice"),
        lambda s: (s.push(name="twice"), s.verdict(chain(s, 1)))[-1], Topic.CALLBACKS,
    ),
    "another cause than its chain's": Broken(
        "I7", "names the cause", lambda s: (s.push(), s.push()), lambda s: s.delivered(chain(s, 1), cause=0)
    ),
    "a step that its chain does not have": Broken("I7", "has 1 steps", lambda s: s.push(), lambda s: s.delivered(chain(s), 2)),
    "a callback of a step that its chain does not have": Broken(
        "I7", "has 1 steps", lambda s: s.push(), lambda s: s.verdict(chain(s), 2), Topic.CALLBACKS
    ),
    "delivered with a bad status": Broken("I7", "not a delivery", lambda s: s.push(), lambda s: s.delivered(chain(s), status=500)),
    "failed with a good status": Broken("I7", "is a delivery", lambda s: s.push(), lambda s: s.failed(chain(s), status=302)),
    # ---- I8
    "closed before its deadline": Broken("I8", "deadline was open", delivered, lambda s: s.wait(59).closing(chain(s))),
    "an attempt before its time": Broken("I8", "before it was due", failed_once, lambda s: s.wait(4).delivered(chain(s), 1, 2)),
    "another deadline than the plan's": Broken(
        "I8", "the plan until", lambda s: s.push(), lambda s: s.delivered(chain(s), expires_at=s.now + 59 * SECOND)
    ),
    "the next attempt too early": Broken(
        "I8", "the plan has it from", lambda s: s.push(), lambda s: s.failed(chain(s), next_attempt_at=s.now + 4 * SECOND)
    ),
    "the next attempt too late": Broken(
        "I8", "the plan has it from", lambda s: s.push(),
        lambda s: s.failed(chain(s), error=AttemptError.CONNECT, status=None, next_attempt_at=s.now + 8 * SECOND),
    ),
    "a next attempt where there is none": Broken(
        "I8", "there is none", lambda s: s.push(), lambda s: s.failed(chain(s), status=410, next_attempt_at=s.now + 5 * SECOND)
    ),
    # ---- I9
    "a timeout announced, and a verdict was read": Broken(
        "I9", "a verdict of step 1", lambda s: s.verdict(expired(s)), lambda s: s.closing(chain(s))
    ),
    "a timeout, and a verdict was read": Broken(
        "I9", "a verdict of step 1", lambda s: s.verdict(closed(s)), lambda s: s.halted(chain(s), 1, HaltReason.CALLBACK_TIMEOUT)
    ),
    "a timeout that is sealed, and a verdict lies below the seal": Broken(
        "I9", "a verdict of step 1", lambda s: (s.verdict(closed(s)), s.sealed(chain(s))),
        lambda s: s.halted(chain(s), 1, HaltReason.CALLBACK_TIMEOUT),
    ),
    # ---- I10
    "a token that is no Fence": Broken("I10", "not the offset of a Fence", delivered, lambda s: s.failed(chain(s), fence=1)),
    "a token of a Fence to come": Broken("I10", "not the offset of a Fence", delivered, lambda s: s.failed(chain(s), fence=99)),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_rule_is_found_and_named(name: str) -> None:
    broken, script = BROKEN[name], Script()
    broken.before(script)
    broken.then(script)
    last = script.records.of(broken.topic)[-1]
    findings, figures = await judge(script.records)

    assert findings, "nothing was found"
    first: Finding = findings[0]
    assert (first.invariant, first.topic, first.offset) == (broken.invariant, broken.topic, last.offset), findings
    assert broken.said in first.said
    assert first.event in last.headers["ce_type"].decode()
    assert first.chain_id in (last.value or b"").decode()
    assert figures.findings == len(findings)


@pytest.mark.parametrize("name", BROKEN)
async def test_the_log_before_it_is_clean(name: str) -> None:
    script = Script()
    BROKEN[name].before(script)
    findings, _ = await judge(script.records)

    assert findings == []


GOOD: dict[str, Callable[[Script], object]] = {
    "halted by the first of two cancels, its record behind one whose writer had read both": lambda s: (
        s.cancel(delivered(s)), s.cancel(chain(s)), s.delivered(s.push()),
        s.halted(chain(s), 1, HaltReason.CANCELLED, read_to=low(s, commands=1)),
    ),
    "a verdict that came behind the seal": lambda s: (
        sealed(s), s.verdict(chain(s)), s.halted(chain(s), 1, HaltReason.CALLBACK_TIMEOUT)
    ),
    "a seal by each of two owners, the second by the first one's intent": lambda s: (
        sealed(s), s.fence(), s.sealed(chain(s)), s.halted(chain(s), 1, HaltReason.CALLBACK_TIMEOUT)
    ),
    "a seal that came when its chain had been cancelled": lambda s: (
        closed(s), s.cancel(chain(s)), s.halted(chain(s), 1, HaltReason.CANCELLED), s.sealed(chain(s))
    ),
    "a seal that came behind a verdict": lambda s: (
        given_up(s), s.verdict(chain(s)), s.sealed(chain(s)), s.delivered(chain(s), 2)
    ),
    "an answer that came after the next step was delivered": lambda s: (
        s.push(2), s.verdict(chain(s)), s.delivered(chain(s), 2), s.delivered(chain(s), 1)
    ),
    "an answer that came after the end": lambda s: (
        s.push(2), s.verdict(chain(s), 1, Verdict.ERROR), s.halted(chain(s), 1, HaltReason.CALLBACK_ERROR),
        s.wait(15).delivered(chain(s), 1, started_at=s.now - 15 * SECOND),
    ),
    "a verdict between the intent and its seal": lambda s: (
        given_up(s), s.verdict(chain(s)), s.delivered(chain(s), 2)
    ),
    "a Retry-After that made it wait for a day": lambda s: (
        s.push(), s.failed(chain(s), status=429, retry_after_s=86_400.0, next_attempt_at=s.now + 86_400 * SECOND)
    ),
    "decisions of a fenced worker, whatever they say": lambda s: (
        delivered(s), s.fence(), s.halted(chain(s), 1, HaltReason.GONE, fence=0), s.delivered(chain(s), 2, fence=0)
    ),
    "a second callback, and one that contradicts": lambda s: (
        s.verdict(succeeded(s)), s.verdict(chain(s), 1, Verdict.ERROR)
    ),
    "the last step of a chain that expects no final callback": lambda s: (
        s.push(expect_final_callback=False), s.delivered(chain(s)), s.completed(chain(s)), s.verdict(chain(s))
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
async def test_what_may_well_happen_is_not_found(name: str) -> None:
    script = Script()
    GOOD[name](script)
    findings, _ = await judge(script.records)

    assert findings == []


@pytest.mark.parametrize(
    ("before", "said"),
    [
        (lambda s: s.push(), "to POST step 1"),
        (expired, "to close step 1"),
        (closed, "to seal step 1 for deliveries@2"),
        (sealed, "to halt at step 1: callback_timeout"),
        (lambda s: succeeded(s, 1), "to complete"),
    ],
)
async def test_what_is_due_when_nothing_is_under_way_is_stuck(before: Callable[[Script], object], said: str) -> None:
    script = Script()
    before(script)

    assert (await judge(script.records))[0] == []
    (finding,), _ = await judge(script.records, settled=True)
    assert (finding.invariant, finding.chain_id) == ("I8", chain(script))
    assert said in finding.said


async def test_what_waits_is_not_stuck() -> None:
    script = Script(now=TAKEN_AT)
    script.failed(script.push())
    script.delivered(script.push())

    assert (await judge(script.records, settled=True))[0] == []


@pytest.mark.parametrize(
    ("write", "later"),
    [
        (sealed, 0),
        (lambda s: s.verdict(sealed(s)), 1),
        (lambda s: (s.verdict(sealed(s)), s.verdict(chain(s), 1, Verdict.ERROR)), 2),
        (lambda s: s.sealed(sealed(s)), 1),
        (lambda s: (s.verdict(closed(s)), s.sealed(chain(s))), 1),
        (lambda s: (s.verdict(closed(s)), s.sealed(chain(s)), s.verdict(chain(s))), 2),
    ],
)
async def test_what_lies_above_the_first_verdict_or_seal_of_its_step_is_counted_as_later(
    write: Callable[[Script], object], later: int
) -> None:
    script = Script()
    write(script)
    findings, figures = await judge(script.records)

    assert findings == []
    assert figures.passed["later"] == later
