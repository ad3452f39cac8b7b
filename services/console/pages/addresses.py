"""Addresses on pages: our own, and those that strangers sent."""

from urllib.parse import quote, urlencode

from hookline.errors import Invalid
from hookline.web.masking import MASK, mask_tokens
from services.console.forms import parse_pattern

__all__ = ["is_link", "local_path", "repository_path"]

MAX_PATH = 2048


def local_path(text: str) -> str:
    """`text` if it is the path of one of our pages, else `/`: never an address of another host, nor what browsers take for one."""
    is_path = text.startswith("/") and not text.startswith("//") and "\\" not in text and text.isprintable()
    return text if is_path and len(text) <= MAX_PATH else "/"


def is_link(url: str) -> bool:
    """May a page make a link of what a stranger sent? Only plain http(s), nothing that a browser would mend into it, and nothing
    that is masked: it leads nowhere, or tells what the text beside it does not."""
    if MASK in mask_tokens(url):
        return False
    scheme, _, rest = url.partition("://")
    return scheme.lower() in ("http", "https") and rest[:1] not in ("", "/", "?", "#") and url.isprintable()


def repository_path(repository: str) -> str:
    """The page of a repository or of a glob; for a name that no pipeline can have (pushes come with any), its pushes."""
    try:
        is_plain = parse_pattern(repository) == repository and not {".", ".."} & set(repository.split("/"))
    except Invalid:
        is_plain = False
    return f"/repositories/{quote(repository)}" if is_plain else f"/pushes?{urlencode({'repository': repository})}"
