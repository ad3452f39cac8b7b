"""The page of sessions: who is logged in, from where and since when; and how they are ended."""

from aiohttp import web

from services.console.api.paging import page_asked
from services.console.pages.login_guard import read_form, see_other
from services.console.pages.paging import shown
from services.console.pages.rendering import Renderer
from services.console.sessions import Sessions
from services.console.trail import SESSION, note

__all__ = ["SESSIONS", "SessionPages"]

SESSIONS = "/sessions"


class SessionPages:
    """Handlers."""

    def __init__(self, renderer: Renderer, sessions: Sessions) -> None:
        self._renderer = renderer
        self._sessions = sessions

    async def list(self, request: web.Request) -> web.Response:
        """The last used first."""
        asked = page_asked(request)
        total, entries = await self._sessions.page(asked.size, (asked.number - 1) * asked.size)
        listed = shown(request, asked, total, entries)
        return self._renderer.page(request, "sessions.html", listed=listed, own=request[SESSION].id)

    async def end(self, request: web.Request) -> web.Response:
        """The one that the form names. One that has ended already is what was asked for."""
        session_id = (await read_form(request)).get("session", "")
        note(request, ended=session_id)
        await self._sessions.end(session_id)
        return see_other(SESSIONS)

    async def end_others(self, request: web.Request) -> web.Response:
        """All but the one that asks."""
        note(request, ended=await self._sessions.end_others(request[SESSION]))
        return see_other(SESSIONS)
