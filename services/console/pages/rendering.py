"""Templates to pages: Jinja2 with everything escaped and callback tokens masked, and the few functions that templates call."""

from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from hookline.clock import Clock
from hookline.times import relative, rfc3339
from hookline.web.masking import mask_tokens, mask_url
from services.console.artifact_words import kind_words
from services.console.attempt_words import attempt_words
from services.console.pages.addresses import is_link, local_path, repository_path
from services.console.pages.setting_rows import setting_rows
from services.console.trail import USER

__all__ = ["FORM_TOKEN", "STATIC_FOLDER", "Renderer", "static_file"]

FORM_TOKEN = web.RequestKey("form_token", str)
"""What the forms of this page carry."""

HERE = Path(__file__).parent
STATIC_FOLDER = HERE / "static"
STATIC_FILES: Mapping[str, Path] = {path.name: path for path in STATIC_FOLDER.iterdir() if path.is_file()}


class Renderer:
    """Makes answers of templates."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._environment = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            finalize=_shown,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals.update(
            ago=self._ago,
            asset=_asset,
            is_link=is_link,
            repository_path=repository_path,
            rfc3339=rfc3339,
            setting_rows=setting_rows,
        )
        self._environment.filters.update(
            attempt_words=attempt_words,
            kind_words=kind_words,
            masked=mask_url,
        )

    def page(
        self, request: web.Request, template: str, status: HTTPStatus = HTTPStatus.OK, **values: object
    ) -> web.Response:
        """`values`: the template's own; every template also has `user` (null: signed out), `token` and `path`."""
        text = self._environment.get_template(template).render(
            user=request.get(USER), token=request.get(FORM_TOKEN, ""), **{"path": request.path} | values
        )
        return web.Response(text=text, content_type="text/html", status=status)

    def error(
        self, request: web.Request, status: HTTPStatus, said: str, retry_after_s: int | None = None
    ) -> web.Response:
        """A page that says what is wrong; with `retry_after_s` also that another try may help. A form's page is the path above it."""
        here = local_path(request.path)
        page = here if request.method in ("GET", "HEAD") else here.rpartition("/")[0] or "/"
        answer = self.page(
            request,
            "error.html",
            status,
            number=status.value,
            phrase=status.phrase,
            said=said,
            again=retry_after_s,
            page=page,
        )
        if retry_after_s is not None:
            answer.headers["Retry-After"] = str(retry_after_s)
        return answer

    def _ago(self, at: int) -> str:
        return relative(at, self._clock.now_ms())


def _shown(value: object) -> object:
    """Whatever a template puts into a page, text or attribute: without callback tokens (I11)."""
    return mask_tokens(value) if isinstance(value, str) and not isinstance(value, Markup) else value


async def static_file(request: web.Request) -> web.StreamResponse:
    """A file of the pages; only a name that is there gets to the file system."""
    path = STATIC_FILES.get(request.match_info["name"])
    if path is None:
        raise web.HTTPNotFound
    return web.FileResponse(path)


@cache
def _asset(name: str) -> str:
    """The path of a static file, another one when it changes."""
    return f"/static/{name}?v={sha256((STATIC_FOLDER / name).read_bytes()).hexdigest()[:12]}"
