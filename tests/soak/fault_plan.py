"""Which faults a soak makes, when, to what, and for how long: drawn from one seed. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, product
from math import exp, log
from random import Random

__all__ = [
    "DISPATCHERS",
    "KINDS",
    "LINK_KINDS",
    "LONGEST_S",
    "ONLY_WITH",
    "PARTITIONS",
    "SERVICES",
    "SESSION_S",
    "SHORTEST_S",
    "SKEW_MS",
    "Fault",
    "Kind",
    "kinds_of",
    "longest_stop_s",
    "make_faults",
]

DISPATCHERS = ("dispatcher-a", "dispatcher-b")
SERVICES = ("ingress", "callbacks", "console", *DISPATCHERS)
PARTITIONS = 4
SESSION_S = 3.0
"""A dispatcher that says nothing for longer loses its partitions to the other."""
SHORTEST_S, LONGEST_S = 2.0, 70.0
"""How long a process is stopped (SIGSTOP)."""
STOPS_PER_RUN = 12.0
"""No stop takes more than such a part of a run: a short one would be nothing else."""
SKEW_MS = 2_000
"""By so much clocks may be off all the time."""
MOVED_S = (10, 45)
"""By so much one is moved: below HOOKLINE_MAX_CLOCK_SKEW, above which services do not go by their clock."""
RECOVERY_S = 4.0
"""What is allowed for between two faults, beside a pause: it may take longer, and then all behind it comes later."""

Kind = str

KINDS: Mapping[Kind, str] = {
    "kill": "kill -9 of a service, started again up to 3 s later",
    "pause": "SIGSTOP of a service, 2 to 70 s",
    "zombie": "SIGSTOP of a dispatcher beyond its session: the other takes its partitions, then it wakes",
    "leave": "a dispatcher ends in order and comes back",
    "skew": "the clock of one service is 10 to 45 s off for a while, ahead or behind",
    "no-descriptors": "a service can open no file or socket any more (its limit is lowered to what it has open)",
    "late-answers": "what brokers answer one service to its produce or fetch requests is held back, up to 7 s",
    "hold-requests": "all that one service sends to Kafka is held in its proxies, then goes on",
    "hold-answers": "all that brokers answer one service is held, then goes on",
    "delay-requests": "each request of one service reaches Kafka later",
    "delay-answers": "each answer to one service comes later",
    "refuse-requests": "connections of one service to Kafka are refused, and cut before a request gets there",
    "refuse-answers": "brokers do what one service asks, and the connection is cut before their answer",
    "kill-broker": "kill -9 of a broker",
    "freeze-broker": "SIGSTOP of a broker, 2 to 70 s",
    "damage": "a byte of a batch is changed on the disk of a broker that is down: of one copy of three, or of the only one, and skipped",
    "kill-all": "kill -9 of every service and every broker at once",
    "kill-controller": "kill -9 of the active controller",
    "stop-leader": "SIGSTOP of the broker that leads a partition of `callbacks`, woken some time after another leads it",
    "disk-full": "the broker's disk (a tmpfs) is filled to the last byte; only where `unshare --mount --map-root-user` works",
}
"""Each kind, and what is done."""

ONLY_WITH = {"disk-full": 1, "kill-controller": 3, "stop-leader": 3}
"""Brokers that a kind needs, where not any number does."""
LINK_KINDS = tuple(f"{manner}-{way}" for manner in ("hold", "delay", "refuse") for way in ("requests", "answers"))


@dataclass(frozen=True)
class Fault:
    """`target`: a service, a broker's number, or for stop-leader a partition; `value`: how far a clock is moved in ms, how long
    a frame is delayed in s, what is held back by its api's name, or a topic."""

    at_s: float
    kind: Kind
    target: str
    lasts_s: float
    value: str = ""


def kinds_of(brokers: int) -> tuple[Kind, ...]:
    """All that a soak with so many brokers can make."""
    return tuple(kind for kind in KINDS if ONLY_WITH.get(kind, brokers) == brokers)


def longest_stop_s(seconds: float) -> float:
    """Of a run that long."""
    return min(LONGEST_S, max(SHORTEST_S, seconds / STOPS_PER_RUN))


def make_faults(random: Random, seconds: float, brokers: int, kinds: Sequence[Kind]) -> Iterator[Fault]:
    """One after the other while there is load to disturb: all kinds in an order that the seed gives, then all in another."""
    drawn = _Drawn(random, seconds, brokers)
    at = random.uniform(2.0, 4.0)
    while kinds:
        for kind in random.sample(kinds, len(kinds)):
            fault = drawn.fault(kind, at)
            if at + fault.lasts_s > seconds:
                return
            yield fault
            at += fault.lasts_s + RECOVERY_S + random.uniform(0.5, 2.0)


class _Drawn:
    """Targets come in turn, by kind: a run that is long enough has each of them."""

    def __init__(self, random: Random, seconds: float, brokers: int) -> None:
        self._random = random
        self._longest_s = longest_stop_s(seconds)
        services = [(service, "") for service in SERVICES]
        numbers = [(str(number + 1), "") for number in range(brokers)]
        one_only = {
            "zombie": [(name, "") for name in DISPATCHERS],
            "leave": [(name, "") for name in DISPATCHERS],
            "late-answers": list(product(SERVICES, ("PRODUCE", "FETCH"))),
            "kill-broker": numbers,
            "freeze-broker": numbers,
            "damage": [(number, topic) for number, _ in numbers for topic in ("pushes", "callbacks")],
            "disk-full": numbers,
            "stop-leader": [(str(partition), "") for partition in range(PARTITIONS)],
            "kill-controller": [("", "")],
            "kill-all": [("", "")],
        }
        self._turns = {kind: cycle(_shuffled(random, one_only.get(kind, services))) for kind in KINDS}

    def fault(self, kind: Kind, at: float) -> Fault:
        target, value = next(self._turns[kind])
        return Fault(at, kind, target, self._lasts_s(kind), value or self._value(kind))

    def _lasts_s(self, kind: Kind) -> float:
        match kind:
            case "pause" | "freeze-broker":
                return self._stop_s(SHORTEST_S)
            case "zombie":
                return self._stop_s(SESSION_S + 1.0)
            case "skew" | "late-answers" | "no-descriptors":
                return self._random.uniform(3.0, 7.0)
            case "leave" | "stop-leader":
                return self._random.uniform(1.0, 5.0)
            case _ if kind in LINK_KINDS:
                return self._random.uniform(2.0, 8.0)
            case _:
                return self._random.uniform(0.0, 3.0)

    def _stop_s(self, shortest_s: float) -> float:
        """Short ones are as likely as ones ten times as long."""
        longest_s = max(shortest_s, self._longest_s)
        return exp(self._random.uniform(log(shortest_s), log(longest_s)))

    def _value(self, kind: Kind) -> str:
        match kind:
            case "skew":
                return str(self._random.choice((-1, 1)) * self._random.randint(*MOVED_S) * 1000)
            case "delay-requests" | "delay-answers":
                return f"{self._random.uniform(0.1, 1.0):.2f}"
            case _:
                return ""


def _shuffled(random: Random, targets: Sequence[tuple[str, str]]) -> Sequence[tuple[str, str]]:
    return random.sample(targets, len(targets))
