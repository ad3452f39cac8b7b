"""What rests on a master key: pure, over pipelines and chains."""

from hookline.chain.events import Verdict
from hookline.chain.key_use import TokenUse, key_uses, token_use
from hookline.chain.pipeline import Hook, Pipeline
from hookline.chain.state import PENDING, Chain, FirstVerdict, StepState
from tests.kit.events import START, plan

LASTS = 60_000
"""A callback deadline of the plans here, ms."""
DONE = StepState(expires_at=START + 50_000, verdict=FirstVerdict(Verdict.SUCCESS, 0))


def chain(*steps: StepState, keys: tuple[str, ...] = ()) -> Chain:
    made = plan(len(steps))
    if keys:
        hooks = tuple(hook.model_copy(update={"key": key}) for hook, key in zip(made.hooks, keys, strict=True))
        made = made.model_copy(update={"hooks": hooks})
    return Chain("c", "acme/app", 1, made, b"", steps)


def pipeline(*keys: str) -> Pipeline:
    hooks = tuple(
        Hook(id=str(n), key=key, name=str(n), url="http://r/", created_at=0, updated_at=0) for n, key in enumerate(keys)
    )
    return Pipeline(pipeline_id="p", repository="r", name="n", slug="n", hooks=hooks, created_at=0, updated_at=0)


def test_hooks_are_counted_by_the_key_of_their_secret() -> None:
    new, old = key_uses(("new", "old"), [pipeline("old", "new"), pipeline("old")], [], 0)
    assert (new.key, new.signs, new.hooks) == ("new", True, 1)
    assert (old.key, old.signs, old.hooks, old.here) == ("old", False, 2, True)


def test_hooks_of_open_chains_count_while_they_may_be_called() -> None:
    one = chain(DONE, PENDING, PENDING, keys=("old", "old", "new"))
    new, old = key_uses(("new", "old"), [], [one, one], 0)
    assert (new.open_hooks, old.open_hooks) == (2, 2)
    assert not old.hooks
    assert old.rests == 2


def test_a_key_that_is_missing_and_needed_comes_last() -> None:
    found = key_uses(("new",), [pipeline("gone")], [chain(PENDING, keys=("lost",))], 0)
    assert [(key.key, key.here, key.rests) for key in found] == [
        ("new", True, 0),
        ("gone", False, 1),
        ("lost", False, 1),
    ]


def test_a_delivered_step_without_a_verdict_has_a_token_until_it_expires() -> None:
    delivered = StepState(expires_at=START + 50_000)
    assert token_use([chain(DONE, delivered)], START) == TokenUse(1, START + 50_000)
    assert token_use([chain(DONE, delivered)], START + 50_000) == TokenUse(0, None)
    assert token_use([chain(DONE), chain(PENDING)], START) == TokenUse(0, None)


def test_the_latest_of_all_counts() -> None:
    steps = [StepState(expires_at=START + n) for n in (5_000, 9_000, 7_000)]
    assert token_use([chain(step) for step in steps], START) == TokenUse(3, START + 9_000)


def test_a_failed_attempt_has_one_for_as_long_as_it_may_be_good() -> None:
    """Its receiver may have been too slow for us, and be at work."""
    assert token_use([chain(StepState(failed=2, retry_at=START + 1))], START) == TokenUse(1, START + LASTS)


def test_a_token_that_was_made_after_the_new_key_came_first_does_not_count() -> None:
    rotated = START - 20_000
    before, after = StepState(expires_at=START + 39_000), StepState(expires_at=START + 41_000)
    assert token_use([chain(before), chain(after)], START, rotated) == TokenUse(1, START + 39_000)
    assert token_use([chain(after._replace(failed=1))], START, rotated) == TokenUse(1, rotated + LASTS)
    assert token_use([chain(StepState(failed=1))], START, START - LASTS) == TokenUse(0, None)
