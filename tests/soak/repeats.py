"""Counts the POSTs that a receiver saw more than once, and looks for what explains each (design section 4, rule 6)."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.soak.ledger import Happened, Ledgers
from tests.soak.naive import ATTEMPTS, ChainSeen, Log
from tests.soak.plan import TIMEOUTS_S

__all__ = ["Repeats", "count_repeats"]

NEVER_ARRIVED = ("connect", "dns", "tls", "blocked")
SLACK_MS = 1_000
OPEN_MS = 1_000 * max(TIMEOUTS_S)
"""So long a POST may have been open when its dispatcher died, so that nothing was written of it."""
OF_ALL = ("kill-broker", "freeze-broker", "kill-controller", "stop-leader", "disk-full", "damage", "kill-all")
"""Faults that may break off a POST of any dispatcher; every other one those of its target alone."""


@dataclass(frozen=True)
class Repeats:
    """`duplicates`: POSTs beyond those that the log has an attempt for; `unexplained`: webhook-ids, one for each of them."""

    duplicates: int
    explained_by: dict[str, int]
    unexplained: tuple[str, ...]


def count_repeats(log: Log, chains: dict[str, ChainSeen], ledgers: Ledgers) -> Repeats:
    """An attempt of the log is no repeat: that a failed POST is made again is what was asked for."""
    seen: dict[str, list[int]] = defaultdict(list)
    for post in ledgers.seen:
        seen[post.webhook_id].append(post.at)
    explained: dict[str, int] = defaultdict(int)
    unexplained: list[str] = []
    for webhook_id, times in seen.items():
        chain_id, _, step = webhook_id.rpartition("-")
        chain = chains.get(chain_id)
        extra = len(times) - attempts_of(chain, int(step)) if chain else 0
        if chain is None or extra < 1 or len(times) == 1:
            continue  # a POST of which nothing was written is not a repeat unless there was another one
        reasons = list(_reasons(log, chain.partition, min(times), max(times), ledgers.happened))
        for why in reasons[:extra]:
            explained[why] += 1
        unexplained += [webhook_id] * (extra - len(reasons))
    return Repeats(sum(explained.values()) + len(unexplained), dict(explained), tuple(unexplained))


def attempts_of(chain: ChainSeen, step: int) -> int:
    """How many POSTs of that step the log says reached its receiver."""
    return sum(
        entry.kind in ATTEMPTS and entry.event["step"] == step and entry.event.get("error") not in NEVER_ARRIVED
        for entry in chain.decisions
    )


def _reasons(log: Log, partition: int, first: int, last: int, happened: Sequence[Happened]) -> Iterator[str]:
    """What explains one POST each that the log has no attempt for, first and last being those that were seen.

    An attempt of which nothing was written is made again by the next incarnation alone, and once: a Fence lies between the two.
    Or there was no need to make the last one again, after it was broken off: what may break it off happened while it was open.
    """
    for entry in log:
        if entry.kind == "Fence" and entry.partition == partition and first <= entry.at <= last:
            yield _overlapping(entry.at, entry.at, happened) or "changed hands"
    if broken_off := _overlapping(last, last + OPEN_MS, happened):
        yield broken_off


def _overlapping(begin: int, end: int, happened: Sequence[Happened]) -> str:
    """The kind of a fault that may end an incarnation, or what it has under way, at that time."""
    for fault in happened:
        touches = fault.kind in OF_ALL or fault.target.startswith("dispatcher")
        if touches and fault.began <= end + SLACK_MS and begin - SLACK_MS <= fault.ended:
            return fault.kind
    return ""
