"""What is measured, under which keys, and what is to be reached."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bench.figures import Figures

__all__ = ["KEYS", "TARGETS", "Target", "missing"]

KEYS: Mapping[str, tuple[str, ...]] = {
    "open.*": ("p50_ms", "p95_ms", "p99_ms", "ack_p50_ms", "ack_p95_ms"),
    "closed": ("accepted_per_s", "delivered_per_s", "cpu_ms_per_push", "console_lag_s"),
    "design": ("accepted_per_s", "delivered_per_s", "cpu_ms_per_push"),
    "chains": (
        "gate_p50_ms", "gate_p95_ms", "chain_p95_ms", "chains_per_s", "hooks_per_s", "disk_bytes_per_chain",
    ),
    "restore.*": ("seconds", "callbacks_seconds", "bytes_per_chain"),
    "neighbours.*": ("p95_ratio", "p99_ratio"),
    "outage.*": ("away_p95_ratio", "other_p95_ratio", "retries_per_s", "duplicates", "memory_ratio", "dispatcher_cores"),
    "scale.*": ("delivered_per_s", "lost", "duplicates"),
    "idle": ("ingress_mb", "dispatcher_mb", "callbacks_mb", "console_mb"),
}  # fmt: skip
"""The figures that every run of a part gives; `*` is each rate, number of chains, or number of dispatchers. There may be more."""


@dataclass(frozen=True)
class Target:
    """`met` is told the figure and the floor's, None where that was not measured: then it may not be known."""

    words: str
    met: Callable[[float, float | None], bool | None]


def below(limit: float) -> Target:
    return Target(f"< {limit:g}", lambda value, _: value < limit)


def at_most(limit: float) -> Target:
    return Target(f"<= {limit:g}", lambda value, _: value <= limit)


def at_least(limit: float) -> Target:
    return Target(f">= {limit:,g}", lambda value, _: value >= limit)


def none() -> Target:
    return Target("0", lambda value, _: value == 0)


def at_least_of_floor(part: float) -> Target:
    return Target(f">= {part:g} x floor", lambda value, floor: None if floor is None else value >= part * floor)


def at_most_of_floor(part: float) -> Target:
    return Target(f"<= {part:g} x floor", lambda value, floor: None if floor is None else value <= part * floor)


TARGETS: Mapping[str, Target] = {
    "harness.per_s": at_least(15_000),
    "open.200.p50_ms": below(3.5),
    "open.200.p95_ms": below(6),
    "open.200.p99_ms": below(15),
    "closed.delivered_per_s": at_least_of_floor(0.7),
    "closed.cpu_ms_per_push": at_most_of_floor(1.5),
    "closed.console_lag_s": below(3),
    "chains.gate_p95_ms": below(10),
    "chains.chains_per_s": at_least(500),
    "chains.disk_bytes_per_chain": below(6_000),
    "restore.100000.seconds": below(5),
    "restore.100000.callbacks_seconds": below(5),
    "restore.100000.bytes_per_chain": below(1_500),
    "restore.1000000.seconds": below(60),
    "restore.1000000.callbacks_seconds": below(60),
    "restore.1000000.bytes_per_chain": below(1_500),
    **{f"neighbours.{kind}.p95_ratio": at_most(1.5) for kind in ("two_hosts", "eight_hosts", "same_host", "names")},
    "neighbours.names.p99_ratio": at_most(1.5),
    **{f"outage.{kind}.{name}_p95_ratio": at_most(1.5) for kind in ("back", "restart") for name in ("away", "other")},
    **{f"outage.{kind}.duplicates": none() for kind in ("back", "restart")},
    **{f"scale.{dispatchers}.{what}": none() for dispatchers in (1, 2) for what in ("lost", "duplicates")},
    **{f"idle.{service}_mb": below(80) for service in ("ingress", "dispatcher", "callbacks")},
    "idle.console_mb": below(110),
}


def missing(part: str, figures: Figures) -> list[str]:
    """Keys that a run of that part should have given and did not."""
    wanted = []
    for group, names in KEYS.items():
        if group.partition(".")[0] != part:
            continue
        groups = {key.rpartition(".")[0] for key in figures if key.startswith(f"{part}.")} if "*" in group else {group}
        wanted += [f"{each}.{name}" for each in groups or {group} for name in names]
    return [key for key in wanted if key not in figures]
