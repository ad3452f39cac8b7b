"""Rotation of a hook's secret: which secrets sign at a time, what a rotation makes, and what a later run takes of it. Pure.

A secret is named by a master key and a version (`KeyRing.hook_secret`), so no record holds one.
"""

from collections.abc import Iterable, Mapping

from hookline.chain.events import HookPlan, Plan, SecretBefore
from hookline.chain.pipeline import Hook

__all__ = ["DEFAULT_GRACE_S", "MAX_GRACE_S", "is_run_of", "rotated", "signing", "with_secrets_of"]

DEFAULT_GRACE_S = 86_400
MAX_GRACE_S = 30 * 86_400


def signing(hook: Hook | HookPlan, now: int) -> list[tuple[str, int]]:
    """Key and version of each secret that signs at that time (Unix ms), the newest first."""
    before = hook.before
    return [
        (hook.key, hook.version),
        *([(before.key, before.version)] if before is not None and now < before.until else []),
    ]


def rotated(hook: Hook, key: str, now: int, grace_s: int) -> Hook:
    """With a new secret, of that master key; the one before it signs, too, until so many seconds later."""
    before = SecretBefore(key=hook.key, version=hook.version, until=now + grace_s * 1000) if grace_s else None
    return hook.model_copy(update={"key": key, "version": hook.version + 1, "before": before, "updated_at": now})


def with_secrets_of(plan: Plan, hooks: Iterable[Hook]) -> Plan:
    """The plan with the secrets that its hooks have now; one that is not there any more keeps its own."""
    now: Mapping[str, Hook] = {hook.id: hook for hook in hooks}
    made = tuple(_with_secret(hook, now[hook.id]) if hook.id in now else hook for hook in plan.hooks)
    return plan if made == plan.hooks else plan.model_copy(update={"hooks": made})


def is_run_of(plan: Plan, first: Plan) -> bool:
    """May a later run have this plan, where its push had the other one? Equal, but for secrets that were rotated since."""
    if len(plan.hooks) != len(first.hooks):
        return False
    hooks = zip(plan.hooks, first.hooks, strict=True)
    back = tuple(_with_secret(hook, was) if hook.version > was.version else hook for hook, was in hooks)
    return plan.model_copy(update={"hooks": back}) == first


def _with_secret(hook: HookPlan, other: Hook | HookPlan) -> HookPlan:
    return hook.model_copy(update={"key": other.key, "version": other.version, "before": other.before})
