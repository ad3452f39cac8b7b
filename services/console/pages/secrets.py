"""The page of a hook's secret: only for who gave the password just now."""

from aiohttp import web

from services.console.pages.login import LoginPages
from services.console.pages.rendering import Renderer
from services.console.secret_access import HookSecrets
from services.console.sessions import Sessions
from services.console.trail import SESSION

__all__ = ["SecretPages"]


class SecretPages:
    """Handlers."""

    def __init__(self, renderer: Renderer, secrets: HookSecrets, sessions: Sessions, login: LoginPages) -> None:
        self._renderer = renderer
        self._secrets = secrets
        self._sessions = sessions
        self._login = login

    async def secret(self, request: web.Request) -> web.Response:
        """Where the password was given longer ago, it is asked for here, and leads back here."""
        if not self._sessions.is_fresh(request[SESSION]):
            return self._login.again(request)
        found = await self._secrets.find(request.match_info["hook_id"])
        if found is None:
            raise web.HTTPNotFound(text="There is no such hook.")
        return self._renderer.page(request, "secret.html", hook=found.hook, secret=found.secret)
