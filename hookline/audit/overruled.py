"""Finds a verdict that may have been answered 200 and was overruled all the same (I4): it was there before its step's intent."""

from collections.abc import Iterator

from hookline.audit.findings import Invariant, Wrong
from hookline.audit.history import Facts, Stamped
from hookline.chain.state import UNCAUSED, Chain

__all__ = ["judge_overruled"]

RACE_MS = 500
"""How much earlier a verdict is that the seal must have had: its copies take as long to be acked, and brokers' clocks differ."""


def judge_overruled(chain: Chain, facts: Facts, step: int, verdict: Stamped) -> Iterator[Wrong]:
    """verdict: the first one of that step, at or above what the halt had read; chain: as it ended, if it has.

    Kafka stamps a record as its leader takes it. A verdict that was taken before the intent lies below the end that seals
    the halt, unless who asked for that end was told an old one.
    """
    ending, intent = chain.ending, facts.intents.get(step)
    if ending is None or ending.reason not in UNCAUSED or ending.step != step or intent is None:
        return
    if verdict.stamp < intent.stamp - RACE_MS:
        yield Wrong(
            Invariant.I4,
            f"the verdict at callbacks@{verdict.offset} was there {intent.stamp - verdict.stamp} ms before the intent at"
            f" deliveries@{intent.offset}, and the chain was halted ({ending.reason}) at deliveries@{ending.offset}: its seal"
            " may have missed it, and the receiver may have been answered 200",
        )
