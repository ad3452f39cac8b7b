"""Which hooks settings allow, as far as their URLs tell: https only, and ports. One rule for whoever saves and whoever calls.

Addresses are judged elsewhere (`hookline.web.addresses`): a name's are known only when it is resolved.
"""

from dataclasses import dataclass

from hookline.settings import Settings
from hookline.web.hook_url import HookUrl, HookUrlError

__all__ = ["ANY_URL", "HookNotAllowed", "HookRules"]


class HookNotAllowed(HookUrlError):
    """What is wrong with a URL that could be called: a sentence that names the setting."""


@dataclass(frozen=True)
class HookRules:
    """HOOKLINE_HOOK_HTTPS_ONLY and HOOKLINE_HOOK_PORTS. `ports`: none means every."""

    https_only: bool = False
    ports: tuple[int, ...] = ()

    @classmethod
    def of(cls, settings: Settings) -> "HookRules":
        return cls(settings.hook_https_only, settings.hook_ports)

    def check(self, url: HookUrl) -> None:
        """Raises HookNotAllowed."""
        if self.https_only and url.scheme != "https":
            raise HookNotAllowed("Must begin with https:// (HOOKLINE_HOOK_HTTPS_ONLY).")
        if self.ports and url.port not in self.ports:
            allowed = ", ".join(map(str, self.ports))
            raise HookNotAllowed(f"Has port {url.port}: hooks may use {allowed} only (HOOKLINE_HOOK_PORTS).")


ANY_URL = HookRules()
