"""Which repositories a credential is good for, and how an entry of the secrets file says so."""

from collections.abc import Mapping
from dataclasses import dataclass

from hookline.chain.matching import matches_repository

__all__ = ["EVERYTHING", "MAX_GLOBS", "REPOSITORIES", "Scope", "scope_of", "texts_of"]

REPOSITORIES = "repositories"
"""The key of an entry's names and globs."""
MAX_GLOBS = 100
MAX_GLOB = 255


@dataclass(frozen=True, slots=True)
class Scope:
    """Repositories, and globs of some; a repository is in it where one of them has it."""

    globs: tuple[str, ...]

    def has(self, repository: str) -> bool:
        return any(matches_repository(glob, repository) for glob in self.globs)

    def __or__(self, other: "Scope") -> "Scope":
        """What one of the two has: of a credential that is listed twice."""
        return EVERYTHING if EVERYTHING in (self, other) else Scope(self.globs + other.globs)


EVERYTHING = Scope(("*",))
"""Of a credential that names no repository."""


def scope_of(table: Mapping[str, object]) -> Scope:
    """Raises ValueError, with words that hold nothing of the entry."""
    if REPOSITORIES not in table:
        return EVERYTHING
    return Scope(tuple(glob.lower().strip("/") for glob in texts_of(table, REPOSITORIES, '["acme/*"]')))


def texts_of(table: Mapping[str, object], key: str, example: str) -> list[str]:
    """The texts under that key, one at least. Raises ValueError: an empty list says neither all nor nothing."""
    given = table[key]
    texts = (
        [one for one in given if isinstance(one, str) and 0 < len(one) <= MAX_GLOB] if isinstance(given, list) else []
    )
    if not texts or not isinstance(given, list) or len(texts) < len(given) or len(given) > MAX_GLOBS:
        raise ValueError(f"{key} must be a list of 1 to {MAX_GLOBS} texts, such as {example}; leave it out for all")
    return texts
