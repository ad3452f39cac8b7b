"""Names of receivers: one that is silent holds up no other (cases C7, F5)."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from hookline.chain.events import AttemptError
from hookline.clock import SystemClock
from services.dispatcher.address_guard import AddressGuard
from services.dispatcher.certificates import client_context
from services.dispatcher.dialer import Dialer
from services.dispatcher.resolver import ADDRESSES_S, FAILURE_S, NameFailed, Resolver
from services.dispatcher.sender import Sender
from tests.kit.waiting import until
from tests.unit.dispatcher.raw_receiver import OK, always, raw_receiver
from tests.unit.dispatcher.test_sender import KEYS, LOOPBACK, a_post

SOON_S = 0.5


class Names:
    """A resolver's system, as a test has it. `silent` names are not answered until `release`."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.now_s = 1000.0
        self.known: dict[str, list[str] | int | Exception] = {}
        self._released = threading.Event()

    def __call__(self, host: str) -> list[str]:
        self.asked.append(host)
        if host.startswith("silent"):
            self._released.wait(30)
        said = self.known.get(host, ["127.0.0.1"])
        if isinstance(said, int):
            raise socket.gaierror(said, "words of the system")
        if isinstance(said, Exception):
            raise said
        return said

    def monotonic(self) -> float:
        return self.now_s

    def release(self) -> None:
        self._released.set()

    def hold(self) -> None:
        self._released.clear()

    def resolver(self, most: int = 8) -> Resolver:
        return Resolver(most, self, self.monotonic, lookup_s=SOON_S)


@pytest.fixture
def names() -> Iterator[Names]:
    made = Names()
    yield made
    made.release()


async def failed(resolver: Resolver, host: str) -> int | None:
    with pytest.raises(NameFailed) as caught:
        await resolver.addresses(host)
    return caught.value.code


async def test_addresses_are_good_for_longer_than_a_lookup(names: Names) -> None:
    names.known["h"] = ["127.0.0.1", "::1"]
    resolver = names.resolver()
    for _ in range(3):
        assert await resolver.addresses("h") == ("127.0.0.1", "::1")
    assert names.asked == ["h"]
    names.now_s += ADDRESSES_S
    await resolver.addresses("h")
    assert names.asked == ["h", "h"]


@pytest.mark.parametrize(
    ("said", "code"),
    [(socket.EAI_NONAME, socket.EAI_NONAME), (socket.EAI_AGAIN, socket.EAI_AGAIN), ([], socket.EAI_NONAME),
     (OSError(5, "x"), socket.EAI_FAIL), (UnicodeError("x"), socket.EAI_FAIL), (RuntimeError("x"), socket.EAI_FAIL)],
)  # fmt: skip
async def test_a_failure_is_remembered_for_some_seconds(
    names: Names, said: list[str] | int | Exception, code: int
) -> None:
    names.known["h"] = said
    resolver = names.resolver()
    assert [await failed(resolver, "h"), await failed(resolver, "h")] == [code, code]
    assert names.asked == ["h"]
    names.now_s += FAILURE_S
    names.known["h"] = ["127.0.0.1"]
    assert await resolver.addresses("h") == ("127.0.0.1",)
    assert resolver.running == 0


async def test_many_who_ask_for_a_name_share_one_lookup(names: Names) -> None:
    resolver = names.resolver()
    waiting = [asyncio.create_task(failed(resolver, "silent")) for _ in range(20)]
    assert await asyncio.gather(*waiting) == [None] * 20
    assert (names.asked, resolver.running) == (["silent"], 1)
    names.now_s += FAILURE_S
    assert await failed(resolver, "silent") is None
    assert names.asked == ["silent"], "the first one still runs, and nobody begins a second one"


async def test_an_answer_that_comes_too_late_counts_from_then_on(names: Names) -> None:
    resolver = names.resolver()
    assert await failed(resolver, "silent") is None
    names.release()
    await until(lambda: resolver.running == 0)
    assert await resolver.addresses("silent") == ("127.0.0.1",)


async def test_silent_names_stop_no_others(names: Names) -> None:
    """More of them than there may be lookups at once: those that are overdue count no more."""
    resolver = names.resolver(most=8)
    silent = [f"silent{n}" for n in range(8)]
    assert await asyncio.gather(*(failed(resolver, host) for host in silent)) == [None] * 8
    assert resolver.running == 8
    assert await resolver.addresses("good") == ("127.0.0.1",)


async def test_names_that_were_silent_take_no_room_from_others_again(names: Names) -> None:
    resolver = names.resolver(most=4)
    assert await asyncio.gather(failed(resolver, "silent1"), failed(resolver, "silent2")) == [None] * 2
    names.release()
    await until(lambda: resolver.running == 0)
    names.hold()
    names.now_s += ADDRESSES_S  # both are known to have been silent
    assert await asyncio.gather(*(failed(resolver, f"silent{n}") for n in (3, 4))) == [None] * 2
    assert await failed(resolver, "silent1") is None
    assert names.asked.count("silent1") == 1, "two are overdue, half of four: it was not asked about again"
    assert await resolver.addresses("good") == ("127.0.0.1",)


async def test_names_that_are_known_do_not_fill_memory(names: Names) -> None:
    resolver = Resolver(8, names, names.monotonic, most_names=3)
    for host in ("a", "b", "c", "d"):
        await resolver.addresses(host)
    await resolver.addresses("d")
    await resolver.addresses("b")
    assert names.asked == ["a", "b", "c", "d"]
    await resolver.addresses("a")
    assert names.asked[-1] == "a", "the one used longest ago was forgotten"


async def test_a_lookup_without_an_answer_is_dns_and_not_the_whole_timeout(names: Names) -> None:
    guard = AddressGuard(LOOPBACK)
    sender = Sender(KEYS, SystemClock(), guard, dial=Dialer(names.resolver(), guard, client_context()))
    outcome = await sender.post(a_post("http://silent.example/", timeout_s=20))
    assert outcome.error is AttemptError.DNS
    assert "no answer about its host's name" in (outcome.detail or "")


async def test_a_name_with_one_address_that_nobody_answers_at_is_reached_at_the_other(names: Names) -> None:
    """Happy eyeballs (RFC 8305)."""
    guard = AddressGuard(LOOPBACK)
    names.known["two"] = ["127.0.0.2", "127.0.0.1"]
    async with raw_receiver(always(OK)) as receiver:
        sender = Sender(KEYS, SystemClock(), guard, dial=Dialer(names.resolver(), guard, client_context()))
        assert (await sender.post(a_post(f"http://two:{receiver.port}/"))).error is None
        await sender.close()


async def test_a_closed_loop_is_no_error_of_the_thread(names: Names) -> None:
    """A process that ends does not wait for a silent name."""
    ended: list[BaseException] = []

    def lookup() -> None:
        async def ask() -> None:
            with contextlib.suppress(NameFailed):
                await names.resolver().addresses("silent")

        asyncio.run(ask())

    hook, threading.excepthook = threading.excepthook, lambda args: ended.append(args.exc_value or Exception())
    try:
        await asyncio.to_thread(lookup)
        names.release()
        await until(lambda: not [thread for thread in threading.enumerate() if thread.name == "lookup"])
    finally:
        threading.excepthook = hook
    assert ended == []
