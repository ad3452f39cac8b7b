"""Counts the POSTs that a receiver saw more than once, and looks for what explains each (design section 4, rule 6)."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from tests.soak.ledger import Happened, Ledgers
from tests.soak.naive import ATTEMPTS, ChainSeen, Log
from tests.soak.plan import TIMEOUTS_S

__all__ = ["Repeats", "count_repeats"]

NEVER_ARRIVED = ("connect", "dns", "tls", "blocked")
SLACK_MS = 1_000
OPEN_MS = 1_000 * max(TIMEOUTS_S)
"""So long a POST may have been open when its dispatcher died, so that nothing was written of it."""
OF_BROKERS = ("kill-broker", "kill-controller", "slow-broker", "disk-full")


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
        for _ in range(len(times) - attempts_of(chain, int(step)) if chain else 0):
            # A POST of which nothing was written is not a repeat unless there was another one.
            if len(times) == 1:
                break
            why = _why(log, chain.partition if chain else 0, min(times), max(times), ledgers.happened)
            if why:
                explained[why] += 1
            else:
                unexplained.append(webhook_id)
    return Repeats(sum(explained.values()) + len(unexplained), dict(explained), tuple(unexplained))


def attempts_of(chain: ChainSeen, step: int) -> int:
    """How many POSTs of that step the log says reached its receiver."""
    return sum(
        entry.kind in ATTEMPTS and entry.event["step"] == step and entry.event.get("error") not in NEVER_ARRIVED
        for entry in chain.decisions
    )


def _why(log: Log, partition: int, first: int, last: int, happened: Sequence[Happened]) -> str:
    """What happened while these POSTs were open: a fault of ours, or the partition changed hands."""
    begin, end = first - SLACK_MS, last + OPEN_MS + SLACK_MS
    for fault in happened:
        touches = fault.kind in OF_BROKERS or fault.target.startswith("dispatcher")
        if touches and fault.began <= end and begin <= fault.ended:
            return fault.kind
    for entry in log:
        if entry.kind == "Fence" and entry.partition == partition and begin <= entry.at <= end:
            return "changed hands"
    return ""
