"""Which repositories and tags a pipeline is for: globs as a shell writes them, and ranges of versions as npm writes them.

A glob's `*` matches any text, slashes too: `acme/*` has `acme/app` and `acme/team/app`; `?` is one character, `[ab]` one
of these. A range is loose: `v1.4.0` is a version, a tag that is none is in no range, and a pre-release is in a range only
where that names one of the same version (`>=1.4.0-rc.1`).
"""

import re
from fnmatch import translate
from functools import lru_cache

import nodesemver

__all__ = ["is_glob", "matches_repository", "matches_tag", "pattern_of", "range_fault"]

MAX_TAG = 128
"""Letters of a tag, as OCI allows: nothing longer is a version."""

_GLOB = re.compile(r"[*?\[]")
_COMPARATOR = re.compile(
    r"(?:[<>]=?|=|\^|~>?)?v?(?:\d+|[xX*])(?:\.(?:\d+|[xX*])){0,2}(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?"
)
_SPACE_AFTER_OPERATOR = re.compile(r"([<>=^~])\s+")


def is_glob(repository: str) -> bool:
    """Is that the glob of several repositories, or the path of one?"""
    return _GLOB.search(repository) is not None


@lru_cache(maxsize=4096)
def pattern_of(glob: str) -> re.Pattern[str]:
    """Matches what the glob has, from its beginning to its end. Remembered: `fnmatch` forgets all beyond 256, and making one is slow."""
    return re.compile(translate(glob))


def matches_repository(pattern: str, repository: str) -> bool:
    """`pattern`: a repository, or a glob of repositories."""
    return pattern == repository or (is_glob(pattern) and pattern_of(pattern).match(repository) is not None)


def matches_tag(wanted: tuple[str, ...] | str | None, tag: str | None) -> bool:
    """`wanted`: globs, of which one must match; a range of versions; None for any tag, and for none."""
    if wanted is None:
        return True
    if tag is None:
        return False
    if isinstance(wanted, str):
        return _is_in_range(tag, wanted)
    return any(pattern_of(glob).match(tag) for glob in wanted)


def range_fault(text: str) -> str | None:
    """What is wrong with a range of versions, in words; None for a good one."""
    for alternative in _SPACE_AFTER_OPERATOR.sub(r"\1", text).split("||"):
        # nodesemver, being loose, would leave out what it does not understand.
        comparators = [word for word in alternative.split() if word != "-"]
        if not comparators:
            return "a part of it is empty"
        if wrong := [word for word in comparators if not _COMPARATOR.fullmatch(word)]:
            return f"{wrong[0]} is not a comparison of versions"
    try:
        _range(text)
    except ValueError:
        return "it is not a range of versions"
    return None


def _is_in_range(tag: str, text: str) -> bool:
    if len(tag) > MAX_TAG:
        return False
    try:
        # `parse`, unlike `make_semver`, takes only what npm takes: 1.4 is no version.
        version = nodesemver.parse(tag, loose=True)
        return version is not None and bool(_range(text).test(version))
    except ValueError:
        return False


@lru_cache(maxsize=4096)
def _range(text: str) -> nodesemver.Range:
    """Raises ValueError."""
    return nodesemver.make_range(text, loose=True)
