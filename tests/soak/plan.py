"""What a soak does: pipelines, pushes and faults, all drawn from one seed. Pure: the same seed gives the same plan.

Times `at_s` are seconds from the start of the load.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from tests.soak.fault_plan import SERVICES, SKEW_MS, Fault, Kind, kinds_of, make_faults

__all__ = ["TIMEOUTS_S", "OrderPlan", "PipelinePlan", "Plan", "PushPlan", "make_plan"]

REPOSITORIES = 6
PUSHES_PER_S = 2.0
ORDERS_PER_S = 0.2
REPEATED = 0.08
"""Share of pushes that their registry sends once more, some time after it was answered."""
LATE_FACTOR, LATE_S = 3.0, 120.0
"""How much longer a run may take than it should, where recoveries take long."""
TIMEOUTS_S = (1, 2, 3)
"""Of hooks: how long a POST may be open."""


@dataclass(frozen=True)
class PipelinePlan:
    """A pipeline as the console is asked to make it."""

    name: str
    repository: str
    hooks: int
    expect_final_callback: bool
    callback_deadline_s: int
    timeout_s: int
    retry_delays_s: tuple[int, ...]


@dataclass(frozen=True)
class PushPlan:
    """One POST of a registry, tried again until it is answered. Two with the same tag are one push, repeated."""

    at_s: float
    source: str
    repository: str
    tag: str


@dataclass(frozen=True)
class OrderPlan:
    """Someone cancels a chain or runs one again: `which` (0 to 1) among those that receivers saw last."""

    at_s: float
    action: str
    which: float
    key: str


@dataclass(frozen=True)
class Plan:
    """`pushes` and `orders` go on beyond `seconds`: they come until the last fault is recovered from."""

    seed: int
    brokers: int
    seconds: float
    pipelines: tuple[PipelinePlan, ...]
    pushes: tuple[PushPlan, ...]
    orders: tuple[OrderPlan, ...]
    faults: tuple[Fault, ...]
    skews_ms: dict[str, int]
    """How much each service's clock is off from the start on."""


def make_plan(seed: int, seconds: float, brokers: int = 1, *, kinds: Sequence[Kind] | None = None) -> Plan:
    """`seconds`: how long pushes and faults come; what they began goes on after it. `kinds`: of faults, in any order; None: all; (): none."""
    kinds = [kind for kind in kinds_of(brokers) if kinds is None or kind in kinds]
    longest = seconds * LATE_FACTOR + LATE_S
    # A source of its own for each part: a change to one leaves the others as they were.
    drawn = {part: Random(f"{seed}/{part}") for part in ("pipelines", "pushes", "orders", "faults", "skews")}
    skews = {name: drawn["skews"].randint(-SKEW_MS, SKEW_MS) for name in SERVICES} if kinds else {}
    return Plan(
        seed,
        brokers,
        seconds,
        tuple(_pipelines(drawn["pipelines"])),
        tuple(sorted(_pushes(drawn["pushes"], longest), key=lambda push: push.at_s)),
        tuple(_orders(drawn["orders"], longest)),
        tuple(make_faults(drawn["faults"], seconds, brokers, kinds)),
        skews,
    )


def _pipelines(random: Random) -> Iterator[PipelinePlan]:
    """One or two for each repository."""
    for number in range(REPOSITORIES):
        for name in ("ci", "cd")[: random.choice((1, 1, 2))]:
            yield PipelinePlan(
                name=name,
                repository=f"soak/app{number}",
                hooks=1 + (number + len(name) + random.randrange(4)) % 5,
                expect_final_callback=random.random() < 0.8,
                callback_deadline_s=random.choice((1, 2, 5, 10, 20)),
                timeout_s=random.choice(TIMEOUTS_S),
                retry_delays_s=tuple(random.choice((1, 2, 3)) for _ in range(random.randint(1, 4))),
            )


def _pushes(random: Random, seconds: float) -> Iterator[PushPlan]:
    at, number = 0.0, 0
    while (at := at + random.expovariate(PUSHES_PER_S)) < seconds:
        number += 1
        source, repository = random.choice(("dockerhub", "distribution")), f"soak/app{random.randrange(REPOSITORIES)}"
        yield PushPlan(at, source, repository, f"v{number}")
        if random.random() < REPEATED:
            yield PushPlan(at + random.uniform(0.0, 10.0), source, repository, f"v{number}")


def _orders(random: Random, seconds: float) -> Iterator[OrderPlan]:
    at, number = 0.0, 0
    while (at := at + random.expovariate(ORDERS_PER_S)) < seconds:
        number += 1
        yield OrderPlan(at, random.choice(("cancel", "run")), random.random(), f"order-{number}")
