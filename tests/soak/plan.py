"""What a soak does: pipelines, pushes and faults, all drawn from one seed. Pure: the same seed gives the same plan.

Times `at_s` are seconds from the start of the load.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

__all__ = [
    "DISPATCHERS",
    "SERVICES",
    "TIMEOUTS_S",
    "Fault",
    "Kind",
    "OrderPlan",
    "PipelinePlan",
    "Plan",
    "PushPlan",
    "make_plan",
]

DISPATCHERS = ("dispatcher-a", "dispatcher-b")
SERVICES = ("ingress", "callbacks", "console", *DISPATCHERS)
REPOSITORIES = 6
PUSHES_PER_S = 2.0
ORDERS_PER_S = 0.2
REPEATED = 0.08
"""Share of pushes that their registry sends once more, some time after it was answered."""
TIMEOUTS_S = (1, 2, 3)
"""Of hooks: how long a POST may be open."""
SKEW_MS = 2_000
SESSION_S = 3.0
"""A dispatcher that says nothing for longer loses its partitions to the other."""

Kind = str
"""kill, pause, skew: any service; zombie, leave: a dispatcher; late-answers: one service's; kill-broker, kill-controller, slow-broker; disk-full: the only broker's."""

KINDS_OF_ONE = (
    "kill", "pause", "zombie", "kill-broker", "leave", "kill", "slow-broker", "late-answers", "disk-full", "skew",
)  # fmt: skip
KINDS_OF_THREE = (
    "kill", "kill-broker", "zombie", "kill-controller", "pause", "kill-broker", "leave", "slow-broker",
    "kill-broker", "skew",
)  # fmt: skip


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
class Fault:
    """`target`: a service, or a broker's number; `value`: the new skew in ms, or what is held back by its api's name."""

    at_s: float
    kind: Kind
    target: str
    lasts_s: float
    value: str = ""


@dataclass(frozen=True)
class Plan:
    seed: int
    brokers: int
    pipelines: tuple[PipelinePlan, ...]
    pushes: tuple[PushPlan, ...]
    orders: tuple[OrderPlan, ...]
    faults: tuple[Fault, ...]
    skews_ms: dict[str, int]
    """How much each service's clock is off from the start on."""


def make_plan(seed: int, seconds: float, brokers: int = 1, *, faults: bool = True) -> Plan:
    """`seconds`: how long pushes and faults come; what they began goes on after it."""
    # A source of its own for each part: a change to one leaves the others as they were.
    drawn = {part: Random(f"{seed}/{part}") for part in ("pipelines", "pushes", "orders", "faults", "skews")}
    skews = {name: drawn["skews"].randint(-SKEW_MS, SKEW_MS) for name in SERVICES} if faults else {}
    return Plan(
        seed,
        brokers,
        tuple(_pipelines(drawn["pipelines"])),
        tuple(sorted(_pushes(drawn["pushes"], seconds), key=lambda push: push.at_s)),
        tuple(_orders(drawn["orders"], seconds)),
        tuple(_faults(drawn["faults"], seconds, brokers)) if faults else (),
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


def _faults(random: Random, seconds: float, brokers: int) -> Iterator[Fault]:
    """One after the other, each kind in turn from a place that the seed gives, while there is load to disturb."""
    kinds = KINDS_OF_ONE if brokers == 1 else KINDS_OF_THREE
    turn, broker, at = random.randrange(len(kinds)), random.randrange(brokers), random.uniform(3.0, 6.0)
    while True:
        kind = kinds[turn % len(kinds)]
        broker = broker % brokers + 1 if kind == "kill-broker" else broker
        fault = _fault(random, kind, at, str(max(1, broker)))
        if at + fault.lasts_s > seconds:
            return
        yield fault
        at += fault.lasts_s + random.uniform(3.0, 8.0)
        turn += 1


def _fault(random: Random, kind: Kind, at: float, broker: str) -> Fault:
    """`broker`: the number of the one whose turn it is."""
    match kind:
        case "kill":
            return Fault(at, kind, random.choice(SERVICES), random.uniform(0.0, 2.0))
        case "pause":
            return Fault(at, kind, random.choice(SERVICES), random.uniform(0.5, SESSION_S - 0.5))
        case "skew":
            return Fault(at, kind, random.choice(SERVICES), 0.5, str(random.randint(-SKEW_MS, SKEW_MS)))
        case "zombie":
            return Fault(at, kind, random.choice(DISPATCHERS), SESSION_S + random.uniform(2.0, 5.0))
        case "leave":
            return Fault(at, kind, random.choice(DISPATCHERS), random.uniform(1.0, 5.0))
        case "late-answers":
            service = random.choice(("ingress", "callbacks", "dispatcher"))
            return Fault(at, kind, service, random.uniform(1.0, 7.0), random.choice(("PRODUCE", "FETCH")))
        case _:
            return Fault(at, kind, "" if kind == "kill-controller" else broker, random.uniform(0.5, 4.0))
