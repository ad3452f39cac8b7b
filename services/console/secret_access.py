"""A hook's secret, for who may see it: page and API show the same."""

from typing import NamedTuple

from aiohttp import web

from hookline.chain.keys import KeyRing
from hookline.chain.pipeline import Hook
from services.console.pipelines import Pipelines

__all__ = ["HookSecrets", "ShownSecret"]


class ShownSecret(NamedTuple):
    """A hook, and what its receiver verifies signatures with (`whsec_...`)."""

    hook: Hook
    secret: str


class HookSecrets:
    """Finds them."""

    def __init__(self, pipelines: Pipelines, keys: KeyRing) -> None:
        self._pipelines = pipelines
        self._keys = keys

    async def find(self, hook_id: str) -> ShownSecret | None:
        """None where there is no such hook. Raises HTTPConflict where its master key is not here, Unavailable, LogUnavailable."""
        hook = await self._pipelines.find_hook(hook_id)
        if hook is None:
            return None
        if hook.key not in self._keys:
            raise web.HTTPConflict(
                reason=f"It is made from master key {hook.key}, which HOOKLINE_MASTER_KEYS does not have."
            )
        return ShownSecret(hook, self._keys.hook_secret(hook.key, hook.id, hook.version))
