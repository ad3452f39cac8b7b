"""One chain's fault stays that chain's: whatever raises while it is decided, POSTed, answered or recorded (cases K1, F1, F2)."""

from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from itertools import count

import pytest
from structlog.testing import capture_logs

from hookline.chain.events import HookDelivered, Plan
from hookline.chain.state import Ending
from hookline.log.memory import MemoryCluster
from hookline.log.records import Place, Topic
from hookline.web.hook_url import HookUrl
from services.dispatcher.guard import AddressGuard
from services.dispatcher.metrics import SET_ASIDE
from services.dispatcher.sender import Sender
from services.dispatcher.service import Dispatcher
from tests.unit.dispatcher.harness import World, plan, until, worker_of
from tests.unit.dispatcher.injection import Injector
from tests.unit.dispatcher.instant_dial import InstantDial
from tests.unit.dispatcher.raw_receiver import OK

NUMBERS = count()
Answer = Callable[[HookUrl], Sequence[bytes]]


def failing(_: HookUrl) -> Sequence[bytes]:
    head = b"HTTP/1.1 503 victim\r\nRetry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\nTransfer-Encoding: chunked\r\n\r\n"
    return [head[:30], head[30:] + b"6\r\nvictim\r\n0\r\n\r\n"]


# Each has the victim's name in it, so that it shows whose it is.
ANSWERS: dict[str, Answer] = {
    "delivered": lambda _: [b"HTTP/1.1 200 victim\r\nKeep-Alive: timeout=9\r\nContent-Length: 6\r\n\r\nvictim"],
    "503 with a date": failing,
    "308": lambda _: [b"HTTP/1.1 308 victim\r\nLocation: https://elsewhere.test/x?y=1\r\nContent-Length: 0\r\n\r\n"],
    "cut short": lambda _: [b"HTTP/1.1 victim"],
    "no HTTP": lambda _: [b"SSH-2.0 victim\r\n"],
}


class Played:
    """Two chains a round: the victim's, for which something raises, and a good one."""

    def __init__(self, world: World, dispatcher: Dispatcher) -> None:
        self.world, self.dispatcher = world, dispatcher
        self.token = worker_of(dispatcher).token
        self.answer: Answer = ANSWERS["delivered"]

    async def round(self, answer: Answer, after: Callable[[str], None]) -> str:
        """Both are pushed; the victim's chain, once the good one is delivered and something has become of the victim's."""
        self.answer = answer
        victim = self._push(hooked(plan(1, delays=(0,), final=False), "victim"), after)
        good = self._push(hooked(plan(1, final=False), "good"))
        await until(lambda: self._ended(good), 20)
        await until(lambda: self.recorded(victim) or self._is_aside(victim), 20)
        assert worker_of(self.dispatcher).token == self.token, "the incarnation goes on"
        return victim

    def _push(self, made: Plan, after: Callable[[str], None] = lambda chain_id: None) -> str:
        at = len(self.world.cluster.log(Place(Topic.PUSHES, 0)))
        push_id = f"00000000-0000-4000-8000-{at:012d}"
        chain_id = f"{push_id}-{at}-0-0"
        self.world.push(made, push_id=push_id)
        after(chain_id)
        return chain_id

    async def end(self, chain_id: str) -> None:
        """Cancel it, if it is not over: it can be ended, whatever was wrong with it."""
        if not self._ended(chain_id):
            self.world.cancel(chain_id)
        await until(lambda: self._ended(chain_id), 20)

    def _ended(self, chain_id: str) -> bool:
        return self._has(chain_id, "ChainHalted", "ChainCompleted")

    def _is_aside(self, chain_id: str) -> bool:
        return any(chain_id in words for words in self.dispatcher.ready().troubles)

    def recorded(self, chain_id: str) -> bool:
        return self._has(chain_id, "HookAttemptFailed", "HookDelivered", "ChainHalted")

    def _has(self, chain_id: str, *kinds: str) -> bool:
        """Is one of these in the log? From its headers alone: the log is looked at all the time."""
        wanted = {f"hookline.{kind}.v1".encode() for kind in kinds}
        log = self.world.cluster.log(Place(Topic.DELIVERIES, 0))
        return any(raw.headers["ce_subject"] == chain_id.encode() and raw.headers["ce_type"] in wanted for raw in log)


def hooked(made: Plan, name: str) -> Plan:
    """With a new id and a new URL each time: what is known of them is remembered."""
    (hook,), number = made.hooks, next(NUMBERS)
    changed = hook.model_copy(update={"id": f"{name}-{number}", "url": f"http://{name}.test/{number}"})
    return made.model_copy(update={"hooks": (changed,), "timeout_s": 1, "pipeline_id": name})


@pytest.fixture
async def played() -> AsyncIterator[Played]:
    world = World(MemoryCluster(1))
    play: Played

    def say(url: HookUrl, request: bytes) -> Sequence[bytes]:
        return play.answer(url) if url.host == "victim.test" else [OK]

    sender = Sender(world.keys, world.clock, AddressGuard(()), dial=InstantDial(say))
    world.make_sender = lambda: sender
    async with world.running() as dispatcher:
        play = Played(world, dispatcher)
        yield play


@pytest.mark.parametrize("name", ANSWERS)
async def test_whatever_raises_for_one_chain_stays_that_chains(played: Played, name: str) -> None:
    """Each function that is called on the way from deciding to recording raises, whenever it is called for that chain."""
    found = Injector("good")
    with found:
        victim = await played.round(ANSWERS[name], lambda chain_id: found.watch(chain_id, "victim"))
        found.disarm()
    await played.end(victim)
    assert len(found.functions) > 80, found.functions
    for function in sorted(found.functions):
        with Injector("good") as injector, capture_logs() as logged:
            victim = await played.round(ANSWERS[name], partial(_arm, injector, function))
            injector.disarm()
        assert injector.raised[function] > 0, function
        said = [line for line in logged if line["log_level"] == "error" and line.get("chain", victim) == victim]
        assert said or played.recorded(victim), f"{function}: nobody is told"
        await played.end(victim)


def _arm(injector: Injector, function: str, chain_id: str) -> None:
    injector.arm(function, chain_id, "victim")


async def test_a_chain_that_is_set_aside_is_named_counted_and_cancellable(played: Played) -> None:
    with Injector("good") as injector, capture_logs() as logged:
        victim = await played.round(ANSWERS["delivered"], partial(_arm, injector, "decide.decide"))
        assert SET_ASIDE.labels(0)._value.get() == 1
        (said,) = played.dispatcher.ready().troubles
        assert played.dispatcher.ready().ok, "all others go on"
        assert victim in said
        assert {line["event"] for line in logged if line.get("chain") == victim} == {"chain set aside"}
        played.world.cancel(victim)  # though nobody can tell what it needs
        await until(lambda: played.world.ending(victim), 20)
    await until(lambda: played.dispatcher.ready().troubles == ())
    assert SET_ASIDE.labels(0)._value.get() == 0


async def test_a_chain_that_is_set_aside_goes_on_when_something_of_it_is_read(played: Played) -> None:
    with Injector("good") as injector:
        victim = await played.round(ANSWERS["delivered"], partial(_arm, injector, "posting.queue"))
    assert played.dispatcher.ready().troubles != ()
    played.world.verdict(victim)  # a zombie had POSTed it
    await until(lambda: isinstance(ending := played.world.ending(victim), Ending) and ending.reason is None)
    await until(lambda: played.dispatcher.ready().troubles == ())


async def test_a_good_status_is_recorded_whatever_the_rest_of_its_answer_does(played: Played) -> None:
    """A receiver that has done its work is not called again because its answer's body cannot be written."""
    for function in ("sender._text", "sender._retry_after_s", "answer_reader._complete", "kept_connections.keep"):
        with Injector("good") as injector:
            victim = await played.round(ANSWERS["delivered"], partial(_arm, injector, function))
        (delivered,) = [r for r in played.world.decisions(HookDelivered) if r.event.chain_id == victim]  # type: ignore[union-attr]
        assert delivered.event.status == 200  # type: ignore[union-attr]
        await played.end(victim)
