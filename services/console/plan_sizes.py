"""How large the plans of one push may be: it holds those of every pipeline that it is for, in one record."""

from collections import defaultdict
from collections.abc import Iterable

from hookline.chain.matching import is_glob, matches_repository
from hookline.chain.pipeline import Pipeline

__all__ = ["MAX_PLANS_BYTES", "plans_bytes", "plans_fault"]

MAX_PLANS_BYTES = 1024 * 1024
"""Of a record's 4 MiB, the rest being for what the registry sent, as it came and as it is sent on."""
_WILD = "*?["


def plans_fault(others: Iterable[Pipeline], before: Pipeline | None, pipeline: Pipeline) -> str | None:
    """Why that pipeline cannot be saved; None where it can, as one always can that gets no larger. others: without `before`."""
    if not pipeline.active or (before is not None and before.active and _bytes(pipeline) <= _bytes(before)):
        return None
    found = plans_bytes(others, pipeline)
    if found <= MAX_PLANS_BYTES:
        return None
    return (
        f"Together with the other pipelines that a push may start, the plans would take {found} bytes, and may take {MAX_PLANS_BYTES}:"
        " make fewer pipelines for one repository, fewer hooks, or shorter URLs."
    )


def plans_bytes(others: Iterable[Pipeline], pipeline: Pipeline) -> int:
    """Of the plans that a push may have which starts the pipeline, at most, whatever its tag and registry.

    Two globs count as having a repository in common unless what they begin or end with says that they have none.
    """
    of_one: defaultdict[str, int] = defaultdict(int)
    globs = 0
    for other in (*others, pipeline):
        if not other.active:
            continue
        if not is_glob(other.repository):
            if matches_repository(pipeline.repository, other.repository):
                of_one[other.repository] += _bytes(other)
        elif _may_share(other.repository, pipeline.repository):
            globs += _bytes(other)
    return globs + max(of_one.values(), default=0)


def _may_share(glob: str, pattern: str) -> bool:
    """May one repository be in both?"""
    if not is_glob(pattern):
        return matches_repository(glob, pattern)
    begins = _literal(glob), _literal(pattern)
    ends = _literal(glob[::-1].translate(_TURNED)), _literal(pattern[::-1].translate(_TURNED))
    return all(one.startswith(other) or other.startswith(one) for one, other in (begins, ends))


_TURNED = str.maketrans("[]", "][")
"""A glob that is read backwards begins a set with what ended it."""


def _literal(glob: str) -> str:
    """What it begins with before its first wildcard."""
    at = next((at for at, letter in enumerate(glob) if letter in _WILD), len(glob))
    return glob[:at]


def _bytes(pipeline: Pipeline) -> int:
    return len(pipeline.plan(0).model_dump_json().encode())
