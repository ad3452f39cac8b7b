"""The fold and the decisions against a naive reference, on generated histories."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.chain.decide import Close, Complete, Halt, Post, Seal, Wait, decide
from hookline.chain.state import Chain, StepState
from hookline.log.records import LOGS, Topic
from tests.unit.chain.histories import World, histories
from tests.unit.chain.logs import Logs
from tests.unit.chain.reference import Seen, reference

pytestmark = pytest.mark.timeout(400)  # a failure is shrunk for up to 300 s


@given(histories(), st.integers(0, 120_000))
def test_chains_ends_and_actions_are_those_of_the_reference(world: World, later: int) -> None:
    now = world.now + later
    chains = world.logs.fold(keep_ended=True).chains
    assert {chain.id: seen(chain, now) for chain in chains.values()} == expected(world.logs, now)


@given(histories())
def test_memory_holds_exactly_the_open_chains_of_the_reference(world: World) -> None:
    still_open = {name for name, chain in expected(world.logs, world.now).items() if chain["end"] is None}
    assert set(world.logs.fold().chains) == still_open


@given(histories())
def test_a_settled_history_has_an_end_for_every_chain(world: World) -> None:
    world.settle()
    chains = world.logs.fold(keep_ended=True).chains
    assert {chain.id: seen(chain, world.now) for chain in chains.values()} == expected(world.logs, world.now)
    assert all(chain.ending for chain in chains.values())


def expected(logs: Logs, now: int) -> Seen:
    by_topic = {str(topic): logs.events[topic] for topic in LOGS}
    assert set(by_topic) == {"pushes", "callbacks", "commands", "deliveries"}
    return reference(**by_topic, times=logs.times_of(Topic.PUSHES), now=now)


def seen(chain: Chain, now: int) -> dict[str, Any]:
    """The chain in the reference's words."""
    end = chain.ending and (str(chain.ending.reason or "completed"), chain.ending.step)
    return {
        "end": end,
        "cancelled": chain.cancelled,
        "steps": [_step(state) for state in chain.steps],
        "due": None if end else _due(chain, now),
    }


def _step(state: StepState) -> dict[str, Any]:
    return {
        "verdict": state.verdict and str(state.verdict.state),
        "expires_at": state.expires_at,
        "failed": state.failed,
        "retry_at": state.retry_at,
        "closing": state.closing and (str(state.closing.reason), state.closing.offset),
        "sealed": state.seal,
    }


def _due(chain: Chain, now: int) -> tuple[Any, ...]:
    match decide(chain, now):
        case Post(step, attempt):
            return ("post", step, attempt)
        case Wait(step, until):
            return ("wait", step, until)
        case Close(step):
            return ("close", step)
        case Seal(step, intent):
            return ("seal", step, intent)
        case Halt(step, reason):
            return ("halt", step, str(reason))
        case Complete(step):
            return ("complete", step)
