"""How long the four logs and quarantine are kept: `HOOKLINE_RETENTION_DAYS` and its sisters, and how long the logs must be.

A running service needs nothing older than its last snapshot. What is older is needed where there is none: committed
offsets expired, a console's database is built anew, an audit. So the logs must reach back to the beginning of any chain
that may be open, and a push must be known for as long as a repeat of it starts nothing.
"""

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from hookline.chain.pipeline import Pipeline
from hookline.chain.pipeline_settings import PlanSettings
from hookline.chain.retries import JITTER, MAX_RETRY_AFTER_S
from hookline.errors import ConfigError
from hookline.log.records import LOGS, Topic

__all__ = [
    "FOR_EVER",
    "LONGEST_WINDOW_S",
    "QUARANTINE_BYTES",
    "QUARANTINE_DAYS",
    "Keep",
    "days_kept",
    "keep_of",
    "longest_chain_s",
    "longest_step_s",
    "needed_days",
    "retention_ms",
]

FOR_EVER = "-1"
"""Kafka's `retention.ms` for it."""
LONGEST_WINDOW_S = 24 * 3600
"""Of all sources: the same event id within this is a repeat (design section 3)."""
DAY_S = 86_400
QUARANTINE_DAYS = 30
QUARANTINE_BYTES = 1024**3


class Keep(NamedTuple):
    """How long topics keep what they have: Kafka's `retention.ms` and `retention.bytes`, -1 forever."""

    logs_ms: str = FOR_EVER
    quarantine_ms: str = str(QUARANTINE_DAYS * DAY_S * 1000)
    quarantine_bytes: str = str(QUARANTINE_BYTES)

    def of(self, topic: Topic) -> dict[str, str]:
        """Settings of one of the four logs, or of `quarantine`; empty for the others, which end by their writer's hand or never."""
        if topic in LOGS:
            return {"retention.ms": self.logs_ms}
        if topic is not Topic.QUARANTINE:
            return {}
        bounds = {"retention.ms": self.quarantine_ms, "retention.bytes": self.quarantine_bytes}
        if set(bounds.values()) == {FOR_EVER}:
            return bounds
        # Kafka deletes whole segments: small ones, so that what is too old or too much goes soon.
        return bounds | {"segment.bytes": str(64 * 1024 * 1024), "segment.ms": str(DAY_S * 1000)}


def keep_of(retention_days: int, quarantine_days: int, quarantine_bytes: int, pipelines: Iterable[Pipeline]) -> Keep:
    """Of the settings, 0 being forever and without a bound. Raises ConfigError as `retention_ms`."""
    days_ms = str(quarantine_days * DAY_S * 1000) if quarantine_days else FOR_EVER
    return Keep(retention_ms(retention_days, pipelines), days_ms, str(quarantine_bytes or -1))


def longest_step_s(settings: PlanSettings) -> float:
    """Seconds that one step may take: every attempt times out, every wait is as long as a Retry-After or its jitter may
    make it, the last attempt is delivered, and the verdict comes at its deadline."""
    waits = [max(delay_s * (1 + JITTER), MAX_RETRY_AFTER_S) for delay_s in settings.retry_delays_s]
    return sum(waits) + (len(waits) + 1) * settings.timeout_s + settings.callback_deadline_s


def longest_chain_s(pipeline: Pipeline) -> float:
    """Seconds that a chain of that pipeline may be open."""
    return len(pipeline.hooks) * longest_step_s(pipeline)


def needed_days(pipelines: Iterable[Pipeline]) -> tuple[int, str]:
    """The fewest days for these pipelines, and why in words. Without any: for one of one hook with every default."""
    longest = max(pipelines, key=longest_chain_s, default=None)
    if longest is None:
        chain_s, whose = longest_step_s(PlanSettings()), "a chain of one hook with the default settings"
    else:
        chain_s, whose = longest_chain_s(longest), f"a chain of the pipeline {longest.name} of {longest.repository}"
    days = math.ceil((chain_s + LONGEST_WINDOW_S) / DAY_S)
    said = f"{whose} may be open for {chain_s / DAY_S:.1f} days, and a push is known as a repeat for {LONGEST_WINDOW_S // DAY_S} more"
    return days, said


def days_kept(config: Mapping[str, str]) -> float | None:
    """How long a topic with these settings keeps its records; None: forever."""
    if config.get("cleanup.policy") != "delete" or config.get("retention.ms", FOR_EVER) == FOR_EVER:
        return None
    return round(int(config["retention.ms"]) / 1000 / DAY_S, 2)


def retention_ms(days: int, pipelines: Iterable[Pipeline]) -> str:
    """Kafka's `retention.ms` for that many days, 0 being forever. Raises ConfigError where it is too short."""
    if days == 0:
        return FOR_EVER
    needed, why = needed_days(pipelines)
    if days < needed:
        raise ConfigError(
            f"HOOKLINE_RETENTION_DAYS={days} is too short: {why}. Set {needed} or more, or 0 to keep the logs forever"
        )
    return str(days * DAY_S * 1000)
