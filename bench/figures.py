"""Figures, pure: percentiles, a fit, and the object that `--json` writes. A figure is a number under a dotted key."""

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple, TypeAlias

__all__ = ["Figures", "Fit", "fit", "nested", "percentile"]

Figures: TypeAlias = dict[str, float]
"""Dotted keys (`open.200.p95_ms`) to values, in the key's unit."""


def percentile(values: Collection[float], percent: float) -> float:
    """The smallest value that at least so many percent of them do not exceed (nearest rank). Raises ValueError without any."""
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    rank = -(-len(ordered) * percent // 100)  # rounded up
    return ordered[max(0, int(rank) - 1)]


class Fit(NamedTuple):
    """y = base + slope * x; `off`: how far the point that lies farthest from the line is from it, as a part of its y."""

    base: float
    slope: float
    off: float


def fit(points: Mapping[float, float]) -> Fit:
    """Least squares through two or more points. Raises ValueError for fewer."""
    if len(points) < 2:
        raise ValueError("a line needs two points")
    mean_x, mean_y = sum(points) / len(points), sum(points.values()) / len(points)
    spread = sum((x - mean_x) ** 2 for x in points)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points.items()) / spread
    base = mean_y - slope * mean_x
    return Fit(base, slope, max(abs(base + slope * x - y) / abs(y) for x, y in points.items() if y))


def nested(figures: Iterable[tuple[str, float]]) -> dict[str, object]:
    """`{"open": {"200": {"p95_ms": 4.1}}}` of `open.200.p95_ms`."""
    made: dict[str, object] = {}
    for key, value in figures:
        *path, last = key.split(".")
        inner = made
        for part in path:
            inner = inner.setdefault(part, {})  # type: ignore[assignment]
        inner[last] = value
    return made
