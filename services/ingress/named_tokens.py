"""`[[tokens]]` of the secrets file: tokens that name the sources that they open, and the repositories that they are good for."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from hookline.secret_bounds import MIN_TOKEN
from services.ingress.scope import EVERYTHING, REPOSITORIES, Scope, scope_of, texts_of
from services.ingress.source import Source

__all__ = ["TOKENS", "NamedToken", "named_tokens"]

TOKENS = "tokens"
SOURCES = "sources"
KEYS = frozenset({"token", SOURCES, REPOSITORIES})


class NamedToken(NamedTuple):
    """A token. `sources`: empty for every one that takes tokens and has no credential of its own."""

    token: bytes
    sources: frozenset[str] = frozenset()
    scope: Scope = EVERYTHING


def named_tokens(entries: object, known: Mapping[str, Source], unnamed: Collection[str]) -> list[NamedToken]:
    """`unnamed`: of HOOKLINE_INGRESS_TOKENS. Raises ValueError, with words that hold no token."""
    if not isinstance(entries, list):
        raise ValueError(f"{TOKENS}: must be a list of tables, each with a token ([[{TOKENS}]])")
    found = []
    for number, entry in enumerate(entries, 1):
        try:
            found.append(_named(entry, known, unnamed))
        except ValueError as error:
            raise ValueError(f"{TOKENS}: entry {number}: {error}") from None
    return found


def _named(entry: object, known: Mapping[str, Source], unnamed: Collection[str]) -> NamedToken:
    if not isinstance(entry, dict) or not isinstance(token := entry.get("token"), str):
        raise ValueError("must be a table with a token")
    if unknown := entry.keys() - KEYS:
        raise ValueError(f"a token has no {', '.join(sorted(unknown))}; it has {', '.join(sorted(KEYS))}")
    if len(token) < MIN_TOKEN:
        raise ValueError(f"too short: at least {MIN_TOKEN} characters, such as `openssl rand -hex 24` gives")
    if token in unnamed:
        raise ValueError("stands in HOOKLINE_INGRESS_TOKENS, too, where it has no restrictions: remove it there")
    sources = texts_of(entry, SOURCES, '["harbor"]') if SOURCES in entry else []
    for name in sources:
        if name not in known:
            raise ValueError(f"{name}: no such source; there are: {', '.join(known)}")
        if not known[name].takes_tokens:
            raise ValueError(f"{name} takes no token: its producers sign, with a secret under its own name")
    return NamedToken(token.encode(), frozenset(sources), scope_of(entry))
