"""What still rests on each master key: tokens that receivers hold, and hooks whose secret is made from it. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from hookline.chain.events import HookPlan
from hookline.chain.hook_secrets import signing
from hookline.chain.pipeline import Hook, Pipeline
from hookline.chain.state import Chain

__all__ = ["KeyUse", "TokenUse", "key_uses", "token_use"]


class TokenUse(NamedTuple):
    """Callback URLs that receivers hold and may still use. Which key signed one is not in the log: whichever was first then.

    `last_expires_at` (Unix ms): the latest end of any; None without one.
    """

    steps: int
    last_expires_at: int | None


class KeyUse(NamedTuple):
    """`hooks`: registered ones with a secret of this key; `open_hooks`: those of open chains that may yet be called."""

    key: str
    here: bool
    """Is it in HOOKLINE_MASTER_KEYS?"""
    signs: bool
    hooks: int
    open_hooks: int

    @property
    def rests(self) -> int:
        return self.hooks + self.open_hooks


def key_uses(keys: Sequence[str], pipelines: Iterable[Pipeline], chains: Iterable[Chain], now: int) -> list[KeyUse]:
    """Of each key that is there, in order, and then of each that is missing and would be needed. now: Unix ms."""
    hooks = Counter(key for pipeline in pipelines for hook in pipeline.hooks for key in _keys_of(hook, now))
    left = (hook for chain in chains for hook in chain.plan.hooks[max(0, chain.current - 1) :])
    waiting = Counter(key for hook in left for key in _keys_of(hook, now))
    missing = sorted((hooks.keys() | waiting.keys()) - set(keys))
    return [KeyUse(key, key in keys, key == keys[0], hooks[key], waiting[key]) for key in (*keys, *missing)]


def _keys_of(hook: Hook | HookPlan, now: int) -> set[str]:
    """Also that of a secret that was rotated out and signs still."""
    return {key for key, _ in signing(hook, now)}


def token_use(chains: Iterable[Chain], now: int, since: int | None = None) -> TokenUse:
    """Of steps that were called and have no verdict. since: only tokens made before it (Unix ms), when a new key came first.

    Of an attempt that failed the log's fold keeps no time: its token counts until it must be over.
    """
    expiries = [
        expires_at
        for chain in chains
        for state in chain.steps
        if state.verdict is None
        for expires_at in _expiries(state.expires_at, state.failed, chain, now, since)
    ]
    live = [at for at in expiries if at > now]
    return TokenUse(len(live), max(live, default=None))


def _expiries(delivered: int | None, failed: int, chain: Chain, now: int, since: int | None) -> Iterable[int]:
    lasts_ms = chain.plan.callback_deadline_s * 1000
    latest_start = now if since is None else min(now, since)
    if delivered is not None and delivered - lasts_ms <= latest_start:
        yield delivered
    elif failed:
        yield latest_start + lasts_ms
