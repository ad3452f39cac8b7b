"""What a receiver does with a POST: how it answers, and what it calls back. Pure: drawn from seed, push, step and count."""

from dataclasses import dataclass
from random import Random

__all__ = ["Call", "Reaction", "react"]

ANSWERS = {"200": 60, "201": 8, "302": 8, "500": 8, "429": 4, "hang": 4, "half": 5, "410": 2}
"""Weights. `hang`: no answer at all; `half`: the connection is closed in the middle of the answer."""
DELIVERS = frozenset({"200", "201", "302"})
CALLS = {"once": 60, "early": 14, "twice": 8, "contradict": 6, "failure": 3, "error": 3, "late": 3, "never": 3}


@dataclass(frozen=True)
class Call:
    """One callback. `late`: it waits for the deadline before its `after_s` seconds."""

    state: str
    after_s: float
    late: bool = False


@dataclass(frozen=True)
class Reaction:
    """`early`: calls made, and answered, before the POST itself is; `later`: those after it."""

    answer: str
    early: tuple[Call, ...] = ()
    later: tuple[Call, ...] = ()


def react(seed: int, tag: str, pipeline: str, step: int, count: int) -> Reaction:
    """To the POST number `count` (from 1) of that step."""
    random = Random(f"{seed}/{tag}/{pipeline}/{step}/{count}")
    answer = _draw(random, ANSWERS)
    if answer not in DELIVERS and random.random() < 0.75:
        return Reaction(answer)  # a receiver that fails has mostly not done its work
    return _calling(random, answer, _draw(random, CALLS))


def _calling(random: Random, answer: str, habit: str) -> Reaction:
    soon = random.uniform(0.0, 0.5)
    match habit:
        case "once":
            return Reaction(answer, later=(Call("success", soon),))
        case "early":
            return Reaction(answer, early=(Call("success", 0.0),))
        case "twice":
            return Reaction(answer, early=(Call("success", 0.0),), later=(Call("success", soon),))
        case "contradict":
            states = ["success", random.choice(("failure", "error"))]
            random.shuffle(states)
            return Reaction(answer, later=tuple(Call(state, soon) for state in states))
        case "failure" | "error":
            return Reaction(answer, later=(Call(habit, soon),))
        case "late":
            return Reaction(answer, later=(Call("success", random.uniform(-0.2, 1.5), late=True),))
        case _:
            return Reaction(answer)


def _draw(random: Random, weights: dict[str, int]) -> str:
    return random.choices(list(weights), list(weights.values()))[0]
