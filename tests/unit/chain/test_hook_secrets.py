"""Rotation of a hook's secret."""

from hookline.chain.events import HookPlan, Plan, SecretBefore
from hookline.chain.hook_secrets import is_run_of, rotated, signing, with_secrets_of
from hookline.chain.key_use import key_uses
from hookline.chain.pipeline import Hook, Pipeline

NOW = 1_000_000
HOOK = Hook(id="h1", key="k1", name="1", url="http://r.test/", created_at=1, updated_at=1)
OTHER = HOOK.model_copy(update={"id": "h2"})


def pipeline(*hooks: Hook) -> Pipeline:
    return Pipeline(pipeline_id="p", repository="a/b", name="ci", slug="ci", hooks=hooks, created_at=1, updated_at=1)


def plan(*hooks: Hook) -> Plan:
    return pipeline(*hooks).plan(0)


def test_both_sign_until_the_grace_is_over() -> None:
    made = rotated(HOOK, "k2", NOW, 10)
    assert (made.key, made.version, made.updated_at) == ("k2", 2, NOW)
    for hook in (made, plan(made).hooks[0]):
        assert signing(hook, NOW) == signing(hook, NOW + 9_999) == [("k2", 2), ("k1", 1)]
        assert signing(hook, NOW + 10_000) == [("k2", 2)]
    assert signing(HOOK, NOW) == [("k1", 1)]


def test_without_a_grace_the_old_one_ends_at_once() -> None:
    assert signing(rotated(HOOK, "k1", NOW, 0), NOW) == [("k1", 2)]


def test_of_three_the_first_ends() -> None:
    assert signing(rotated(rotated(HOOK, "k1", NOW, 10), "k1", NOW, 10), NOW) == [("k1", 3), ("k1", 2)]


def test_a_record_without_it_reads_as_ever() -> None:
    old = {"id": "h1", "version": 1, "key": "k1", "name": "1", "url": "http://r.test/"}
    assert HookPlan.model_validate(old).before is None
    assert Hook.model_validate({**old, "created_at": 1, "updated_at": 1}) == HOOK


def test_a_later_run_has_the_secrets_of_its_time() -> None:
    first, made = plan(HOOK, OTHER), rotated(HOOK, "k2", NOW, 10)
    again = with_secrets_of(first, [made])
    assert [signing(hook, NOW) for hook in again.hooks] == [[("k2", 2), ("k1", 1)], [("k1", 1)]]
    assert with_secrets_of(first, []) == with_secrets_of(first, [HOOK]) == first
    assert is_run_of(first, first)
    assert is_run_of(again, first)


def test_what_is_no_plan_of_a_later_run() -> None:
    first, made = plan(HOOK, OTHER), rotated(HOOK, "k1", NOW, 10)
    later = with_secrets_of(first, [made])
    renamed = later.model_copy(update={"name": "x"})
    moved = later.model_copy(
        update={"hooks": (later.hooks[0].model_copy(update={"url": "http://x.test/"}), later.hooks[1])}
    )
    other_key = first.model_copy(update={"hooks": (first.hooks[0].model_copy(update={"key": "k9"}), first.hooks[1])})
    old_one = SecretBefore(version=1, key="k1", until=NOW)
    prolonged = first.model_copy(
        update={"hooks": (first.hooks[0].model_copy(update={"before": old_one}), first.hooks[1])}
    )
    fewer = later.model_copy(update={"hooks": later.hooks[:1]})
    for wrong in (renamed, moved, other_key, prolonged, fewer):
        assert not is_run_of(wrong, first)
    assert not is_run_of(first, later), "an older secret than its push had"


def test_a_key_is_needed_for_as_long_as_a_secret_of_it_signs() -> None:
    made = pipeline(rotated(HOOK, "k2", NOW, 10))
    hooks = {use.key: use.hooks for use in key_uses(["k2", "k1"], [made], [], NOW)}
    assert hooks == {"k2": 1, "k1": 1}
    hooks = {use.key: use.hooks for use in key_uses(["k2", "k1"], [made], [], NOW + 10_000)}
    assert hooks == {"k2": 1, "k1": 0}
