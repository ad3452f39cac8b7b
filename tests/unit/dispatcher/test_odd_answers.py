"""What curl, Python and Go take for a status, Hookline takes: 300 odd answers over real sockets, and 20,000 generated ones
through all that makes an event of an answer."""

import asyncio
import http.client
import shutil
from collections.abc import AsyncIterator
from random import Random

import pytest

from hookline.chain.decide import Post
from hookline.chain.events import HookAttemptFailed, HookDelivered, ReadTo
from hookline.chain.fold import start
from hookline.chain.keys import KeyRing
from hookline.chain.retries import is_delivered
from hookline.clock import SystemClock
from hookline.log.codec import decode, encode
from hookline.log.records import Place, RawRecord, Topic
from hookline.testing.memory import MemoryCluster
from services.dispatcher.address_guard import AddressGuard
from services.dispatcher.attempt import Attempt
from services.dispatcher.sender import Outcome, Sender
from tests.unit.dispatcher.harness import KEY, World, plan
from tests.unit.dispatcher.instant_dial import InstantDial
from tests.unit.dispatcher.odd_answers import EXPLAINED, generated, odd_answers
from tests.unit.dispatcher.raw_receiver import Line, RawReceiver, raw_receiver
from tests.unit.dispatcher.test_sender import KEYS, LOOPBACK, a_post

NAMES = sorted(odd_answers())


async def answer_by_path(line: Line) -> None:
    """`/n` is answered with the n-th odd answer; then no more is sent."""
    request = await line.request()
    await line.say(odd_answers()[NAMES[int(request.split(b" ")[1][1:])]])
    line.writer.write_eof()
    await line.hang()


@pytest.fixture
async def receiver() -> AsyncIterator[RawReceiver]:
    async with raw_receiver(answer_by_path) as made:
        yield made


async def by_sender(port: int) -> dict[str, int | None]:
    sender = Sender(KEYS, SystemClock(), AddressGuard(LOOPBACK))
    found = {}
    for number, name in enumerate(NAMES):
        found[name] = (await sender.post(a_post(f"http://127.0.0.1:{port}/{number}"))).status
    await sender.close()
    return found


async def by_curl(port: int) -> dict[str, int | None]:
    """A process for each: one for all gives up where an odd answer confuses it. It prints 000 where it found none."""
    turn = asyncio.Semaphore(4)

    async def ask(number: int) -> int:
        async with turn:
            curl = await asyncio.create_subprocess_exec(
                "curl", "--silent", "--noproxy", "*", "--max-time", "5", "--data", "{}", "--output", "/dev/null",
                "--write-out", "%{http_code}", f"http://127.0.0.1:{port}/{number}", stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
            said, _ = await curl.communicate()
            return int(said)

    statuses = await asyncio.gather(*map(ask, range(len(NAMES))))
    return {name: status or None for name, status in zip(NAMES, statuses, strict=True)}


def by_python(port: int) -> dict[str, int | None]:
    found: dict[str, int | None] = {}
    for number, name in enumerate(NAMES):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("POST", f"/{number}", b"{}", {"Connection": "close"})
            found[name] = connection.getresponse().status
        except (http.client.HTTPException, OSError):
            found[name] = None
        connection.close()
    return found


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not here to compare with")
async def test_what_curl_and_python_take_for_a_status_is_one(receiver: RawReceiver) -> None:
    """Each difference is one of EXPLAINED: there the odd answers say why."""
    curl, python = await by_curl(receiver.port), await asyncio.to_thread(by_python, receiver.port)
    ours = await by_sender(receiver.port)
    assert len(NAMES) >= 300
    different = {}
    for name in NAMES:
        theirs = {status for status in (curl[name], python[name]) if status is not None}
        if (ours[name] not in theirs) if theirs else ours[name] is not None:
            different[name] = (ours[name], curl[name], python[name])
    assert set(different) == set(EXPLAINED), different
    assert sum(curl[name] is None and python[name] is None for name in NAMES) < 60, "most have a status for somebody"


async def test_20_000_generated_answers_each_become_an_event_that_can_be_written_and_read() -> None:
    """Nothing raises on the way from bytes to a record: sending, reading, deciding when to try again, encoding, decoding."""
    random, raws = Random(2), list(generated(seed=2, count=20_000))

    def say(_: object, request: bytes) -> list[bytes]:
        raw = raws.pop()
        cut = random.randint(0, len(raw))
        return [piece for piece in (raw[:cut], raw[cut:]) if piece]

    world = World(MemoryCluster(1))
    (chain,) = start(world.push(plan(1)), 0)
    sender = Sender(KeyRing.parse([KEY]), world.clock, AddressGuard(()), dial=InstantDial(say))
    attempt = Attempt(chain, Post(1, 1), world.clock.now_ms())
    about = {
        "cause": 0, "chain_id": chain.id, "step": 1, "read_to": ReadTo(pushes=1, callbacks=0, commands=0),
        "decided_at": world.clock.now_ms(),
    }  # fmt: skip
    outcomes: dict[str, int] = {}
    while raws:
        outcome = await sender.post(attempt.hook_post(world.keys, "http://callbacks.test"))
        event = attempt.event(outcome, about, world.clock.now_ms(), random.random)  # type: ignore[arg-type]
        draft = encode(event, 0, now_ms=world.clock.now_ms(), fence=0)
        raw = RawRecord(Place(Topic.DELIVERIES, 0), 7, 0, draft.key, draft.value, draft.headers)
        assert decode(raw).event == event
        assert_fits(outcome, event)
        outcomes[outcome.error or "delivered"] = outcomes.get(outcome.error or "delivered", 0) + 1
    assert {"delivered", "status", "broken"} <= set(outcomes)


def assert_fits(outcome: Outcome, event: HookDelivered | HookAttemptFailed) -> None:
    delivered = outcome.status is not None and is_delivered(outcome.status)
    assert isinstance(event, HookDelivered) is delivered
    if isinstance(event, HookAttemptFailed):
        assert event.detail is None or (event.detail.isprintable() and len(event.detail) < 300)
