"""One chain's fault stays that chain's: whatever raises while it is decided, POSTed, answered or recorded (cases K1, F1, F2)."""

from collections.abc import AsyncIterator, Sequence

import pytest
from structlog.testing import capture_logs

from hookline.chain.events import Event, HookDelivered
from hookline.chain.state import Ending
from hookline.errors import RecordRefused, RecordTooLarge
from hookline.log.codec import encode
from hookline.log.records import Draft, Place, RawRecord, Topic
from hookline.testing.memory import MemoryCluster
from hookline.web.hook_url import HookUrl
from services.dispatcher.address_guard import AddressGuard
from services.dispatcher.metrics import SET_ASIDE
from services.dispatcher.sender import Sender
from tests.kit.waiting import until
from tests.metric_values import value_of
from tests.unit.dispatcher.harness import World
from tests.unit.dispatcher.injection import VICTIM, Injector
from tests.unit.dispatcher.instant_dial import InstantDial
from tests.unit.dispatcher.raw_receiver import OK
from tests.unit.dispatcher.two_chains import ANSWERS, TwoChains


class MemoryLogs:
    def __init__(self, world: World) -> None:
        self._world = world

    def deliveries(self) -> Sequence[RawRecord]:
        return self._world.cluster.log(Place(Topic.DELIVERIES, 0))

    async def append(self, event: Event) -> None:
        self._world.clock.advance(1)  # else there is soon no retry left of those that may begin in a second
        self._world.cluster.append(encode(event, 0, now_ms=self._world.clock.now_ms()))


class Choosy(MemoryCluster):
    """Refuses decisions of one chain, for what they are."""

    def __init__(self) -> None:
        super().__init__(1)
        self.refusals = 0
        self._refused = b"none"

    def refuse(self, chain_id: str) -> None:
        self._refused = chain_id.encode()

    def refusal(self, draft: Draft) -> RecordRefused | None:
        if draft.place.topic is Topic.DELIVERIES and self._refused in (draft.value or b""):
            self.refusals += 1
            return RecordTooLarge("deliveries does not take it")
        return super().refusal(draft)


@pytest.fixture
def cluster() -> Choosy:
    return Choosy()


@pytest.fixture
def world(cluster: Choosy) -> World:
    return World(cluster)


@pytest.fixture
async def chains(world: World) -> AsyncIterator[TwoChains]:
    chains: TwoChains

    def say(url: HookUrl, request: bytes) -> Sequence[bytes]:
        return chains.answer(url) if url.host.startswith(VICTIM) else [OK]

    sender = Sender(world.keys, world.clock, AddressGuard(()), dial=InstantDial(say))
    world.make_sender = lambda: sender
    async with world.running() as dispatcher:
        chains = TwoChains(MemoryLogs(world), dispatcher, world.clock.now_ms)
        yield chains


@pytest.mark.parametrize("name", ANSWERS)
async def test_whatever_raises_for_one_chain_stays_that_chains(chains: TwoChains, name: str) -> None:
    """Each function that is called on the way from deciding to recording raises, whenever it is called for that chain."""
    await chains.survive(ANSWERS[name], at_least=80)


async def test_a_chain_that_is_set_aside_is_named_counted_and_cancellable(chains: TwoChains, world: World) -> None:
    with Injector("good") as injector, capture_logs() as logged:
        victim = await chains.round(ANSWERS["delivered"], injector.arming("decide.decide"))
        assert value_of(SET_ASIDE.labels(0)) == 1
        (said,) = chains.dispatcher.ready().troubles
        assert chains.dispatcher.ready().ok, "all others go on"
        assert victim in said
        assert {line["event"] for line in logged if line.get("chain") == victim} == {"chain set aside"}
        world.cancel(victim)  # though nobody can tell what it needs
        await until(lambda: world.ending(victim), 20)
    await until(lambda: chains.dispatcher.ready().troubles == ())
    assert value_of(SET_ASIDE.labels(0)) == 0


async def test_a_chain_that_is_set_aside_goes_on_when_something_of_it_is_read(chains: TwoChains, world: World) -> None:
    with Injector("good") as injector:
        victim = await chains.round(ANSWERS["delivered"], injector.arming("posting.queue"))
    assert chains.dispatcher.ready().troubles != ()
    world.verdict(victim)  # a zombie had POSTed it
    await until(lambda: isinstance(ending := world.ending(victim), Ending) and ending.reason is None)
    await until(lambda: chains.dispatcher.ready().troubles == ())


async def test_a_good_status_is_recorded_whatever_the_rest_of_its_answer_does(chains: TwoChains, world: World) -> None:
    """A receiver that has done its work is not called again because its answer's body cannot be written."""
    for function in ("sender._text", "sender._retry_after_s", "answer_reader._complete", "kept_connections.keep"):
        with Injector("good") as injector:
            victim = await chains.round(ANSWERS["delivered"], injector.arming(function))
        (delivered,) = [r for r in world.decisions(HookDelivered) if r.event.chain_id == victim]  # type: ignore[union-attr]
        assert delivered.event.status == 200  # type: ignore[union-attr]
        await chains.end(victim)


def limit_deliveries(world: World, limit: int) -> None:
    """An operator lowers what a record may have (bytes)."""
    world.cluster.limits[Topic.DELIVERIES] = limit


def wordy(_: HookUrl) -> Sequence[bytes]:
    return [b"HTTP/1.1 200 victim\r\nContent-Length: 1000\r\n\r\n" + b"v" * 1000]


async def test_a_delivery_whose_words_kafka_refuses_is_recorded_without_them(chains: TwoChains, world: World) -> None:
    victim = await chains.round(wordy, lambda _: limit_deliveries(world, 900))
    (delivered,) = [r.event for r in world.decisions(HookDelivered) if r.event.chain_id == victim]  # type: ignore[union-attr]
    assert (delivered.status, delivered.answer) == (200, None)  # type: ignore[union-attr]
    assert chains.dispatcher.ready().troubles == ()


async def test_a_chain_whose_records_kafka_refuses_is_set_aside_and_can_be_cancelled(
    chains: TwoChains, world: World, cluster: Choosy
) -> None:
    posts: list[str] = []

    def answer(url: HookUrl) -> Sequence[bytes]:
        posts.append(url.host)
        return [OK]

    victim = await chains.round(answer, cluster.refuse)
    (said,) = chains.dispatcher.ready().troubles
    assert victim in said
    assert "does not take" in said
    assert cluster.refusals == 2, "the delivery, and the same without its words"
    world.cancel(victim)
    await until(lambda: cluster.refusals == 3 and value_of(SET_ASIDE.labels(0)) == 1)
    cluster.refuse("none")
    world.cancel(victim)
    await until(lambda: world.ending(victim))
    await until(lambda: chains.dispatcher.ready().troubles == ())
    assert len(posts) == 1
