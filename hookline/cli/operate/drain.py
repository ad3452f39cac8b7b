"""`hookline topics drain`: what is still under way under a topic prefix that is being left for another."""

from collections.abc import Iterable
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from hookline.chain.key_use import TokenUse, token_use
from hookline.chain.state import Chain
from hookline.cli.terminal import plain
from hookline.errors import TopicsUnfit
from hookline.kafka.fitness import fitness
from hookline.kafka.kafka_cluster import KafkaCluster
from hookline.kafka.topics import describe
from hookline.log.open_chains import OpenPartition, read_open_chains
from hookline.log.retention import longest_step_s
from hookline.times import show_time

__all__ = ["Drain", "drain_of", "read_drain", "show_drain"]


class Drain(NamedTuple):
    """What is under way. `unread`: events that the dispatchers' last checkpoints had not read; `over_by` (Unix ms): when the
    last open chain is over at the latest, whatever its receivers do; None without one."""

    open_chains: int
    unread: int
    tokens: TokenUse
    over_by: int | None
    by_repository: tuple[tuple[str, int], ...]
    """Most first."""

    @property
    def drained(self) -> bool:
        """Nothing under the prefix needs its services any more."""
        return not self.open_chains

    def as_fields(self) -> dict[str, object]:
        """A JSON object; times RFC 3339."""
        return {
            "drained": self.drained,
            "open_chains": self.open_chains,
            "over_by": None if self.over_by is None else show_time(self.over_by),
            "tokens": self.tokens.steps,
            "last_token_expires_at": _time(self.tokens.last_expires_at),
            "unread": self.unread,
            "by_repository": dict(self.by_repository),
        }


async def read_drain(cluster: KafkaCluster, now: int) -> Drain:
    """Raises TopicsUnfit, and as `read_open_chains`."""
    found = await describe(cluster)
    if found.log_id is None:
        raise TopicsUnfit("; ".join(fitness(found, cluster.connection.name)))
    return drain_of(await read_open_chains(cluster, found.log_id), now)


def drain_of(partitions: Iterable[OpenPartition], now: int) -> Drain:
    """Of all partitions of a log, at `now` (Unix ms)."""
    partitions = list(partitions)
    chains = [chain for partition in partitions for chain in partition.chains]
    repositories: dict[str, int] = {}
    for chain in chains:
        repositories[chain.repository] = repositories.get(chain.repository, 0) + 1
    most_first = sorted(repositories.items(), key=lambda one: (-one[1], one[0]))
    over_by = max((_over_by(chain, now) for chain in chains), default=None)
    return Drain(len(chains), sum(p.unread for p in partitions), token_use(chains, now), over_by, tuple(most_first))


def show_drain(console: Console, drain: Drain, prefix: str) -> None:
    """In words."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_row("open chains", plain(drain.open_chains))
    table.add_row("over by", plain(_time(drain.over_by) or "-"))
    table.add_row("callback URLs", f"of {drain.tokens.steps:d} steps")
    table.add_row("the last good until", plain(_time(drain.tokens.last_expires_at) or "-"))
    table.add_row("events since the checkpoints", plain(drain.unread))
    console.print(table)
    for repository, count in drain.by_repository[:10]:
        console.print(f"  {plain(repository)}: {count:d}")
    if drain.drained:
        console.print(f"[good]drained[/]: nothing is under way under {plain(prefix)}; its services may be stopped")
    else:
        console.print(f"[warn]not drained[/]: keep dispatchers, callbacks and console of {plain(prefix)} running")


def _over_by(chain: Chain, now: int) -> int:
    """Each step that is left takes as long as it may; the current one began no later than now."""
    left = len(chain.steps) - chain.current + 1
    return now + round(left * longest_step_s(chain.plan) * 1000)


def _time(at: int | None) -> str | None:
    return None if at is None else show_time(at)
