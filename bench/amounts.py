"""How much is measured: in full, or `--quick` to see that all of it runs."""

from dataclasses import dataclass

__all__ = ["FULL", "QUICK", "Amounts"]


@dataclass(frozen=True)
class Amounts:
    """Before each measurement comes a warm-up that is not counted: the broker's JIT, connections, caches."""

    warm_up_pushes: int
    warm_up_s: float
    open_rates: tuple[int, ...] = (50, 200)
    open_s: float = 30
    closed_pushes: int = 10_000
    clients: int = 64
    chain_rate: int = 20
    chain_rate_s: float = 30
    chains: int = 3_000
    chains_open: int = 500
    restore: tuple[int, ...] = (10_000, 30_000, 100_000)
    neighbour_rate: int = 100
    neighbour_s: float = 20
    neighbour_timeout_s: int = 5
    outage_chains: int = 50_000
    outage_opening_s: float = 120
    """Seconds until they are due; opening them takes a part of it."""
    outage_rate: int = 100
    outage_s: float = 20
    """Without retries."""
    outage_during_s: float = 60
    """With them, or until all are made."""
    scale_pushes: int = 5_000
    idle_s: float = 10


FULL = Amounts(warm_up_pushes=3_000, warm_up_s=5)
QUICK = Amounts(
    warm_up_pushes=100, warm_up_s=0.5, open_s=2, closed_pushes=500, chain_rate_s=2, chains=200, chains_open=100,
    restore=(500, 1_000), neighbour_s=3, neighbour_timeout_s=1, outage_chains=500, outage_opening_s=20,
    outage_s=3, scale_pushes=500, idle_s=1,
)  # fmt: skip
MILLION = 1_000_000
