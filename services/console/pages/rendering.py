"""Templates to pages: Jinja2 with everything escaped, and the few functions that templates call."""

from functools import cache
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote, urlencode

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from hookline.clock import Clock
from hookline.errors import Invalid
from hookline.web.masking import mask_tokens, mask_url
from services.console.api.answers import rfc3339
from services.console.api.login import USER
from services.console.forms import parse_pattern
from services.console.pages import words

__all__ = ["FORM_TOKEN", "STATIC_FOLDER", "Renderer", "is_link", "repository_path"]

FORM_TOKEN = web.RequestKey("form_token", str)
"""What the forms of this page carry."""

HERE = Path(__file__).parent
STATIC_FOLDER = HERE / "static"


class Renderer:
    """Makes answers of templates."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._environment = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals.update(
            ago=self._ago,
            asset=_asset,
            is_link=is_link,
            repository_path=repository_path,
            rfc3339=rfc3339,
            words=words,
        )
        self._environment.filters.update(duration=words.duration, masked=mask_url, without_tokens=mask_tokens)

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
        """A page that says what is wrong; with `retry_after_s` also that another try may help."""
        answer = self.page(
            request, "error.html", status, number=status.value, phrase=status.phrase, said=said, again=retry_after_s
        )
        if retry_after_s is not None:
            answer.headers["Retry-After"] = str(retry_after_s)
        return answer

    def _ago(self, at: int) -> str:
        return words.relative(at, self._clock.now_ms())


def is_link(url: str) -> bool:
    """May a page make a link of what a stranger sent? Only plain http(s), nothing that a browser would mend into it."""
    scheme, _, rest = url.partition("://")
    return scheme.lower() in ("http", "https") and rest[:1] not in ("", "/", "?", "#") and url.isprintable()


def repository_path(repository: str) -> str:
    """The page of a repository or of a glob; for a name that no pipeline can have (pushes come with any), its pushes."""
    try:
        is_plain = parse_pattern(repository) == repository and not {".", ".."} & set(repository.split("/"))
    except Invalid:
        is_plain = False
    return f"/repositories/{quote(repository)}" if is_plain else f"/pushes?{urlencode({'repository': repository})}"


@cache
def _asset(name: str) -> str:
    """The path of a static file, another one when it changes."""
    return f"/static/{name}?v={sha256((STATIC_FOLDER / name).read_bytes()).hexdigest()[:12]}"
