"""How fast passwords may be guessed: each try waits longer the more were wrong, from its address and in all, and is then judged.

A try is never refused for those before it, so nobody locks anybody out: not behind one proxy either (OWASP ASVS 5.0, 6.1.1). A
right password waits just as a wrong one would, for else the wait would tell which it is.
"""

import asyncio
import math
from collections import OrderedDict
from ipaddress import IPv6Address, ip_address
from typing import NamedTuple

from cachetools import FIFOCache

from hookline.clock import Clock
from hookline.errors import TooMany
from hookline.web.token_bucket import TokenBucket
from services.console.metrics import LOGIN_FAILURES, LOGINS_WAITING
from services.console.sessions import Begun, Sessions

__all__ = ["MAX_DELAY_S", "MAX_WAITING", "LoginLimit", "SignedIn", "sign_in"]

MAX_DELAY_S = 8.0
"""Less than any client or proxy waits for an answer."""
MAX_WAITING = 1_000
"""Tries that wait at once; above it the address that has the most gives up its oldest. So at most so many are judged in
MAX_DELAY_S, whoever guesses from wherever."""
ADDRESSES = 10_000
"""Addresses remembered; the one that tried longest ago is forgotten first."""


class Pace(NamedTuple):
    """`free`: wrong passwords that cost nothing; then the delay is a second, and doubles with every `step` more, up to
    MAX_DELAY_S. One is forgotten every `forget_s` seconds."""

    free: int
    step: int
    forget_s: float

    def bucket(self, now: float) -> TokenBucket:
        """What is taken out of it are tries that were wrong, or are not judged yet."""
        return TokenBucket.full(self.most, 1 / self.forget_s, now)

    def delay_s(self, bucket: TokenBucket, now: float) -> float:
        wrong = self.most - bucket.fill(now)
        if wrong < self.free:
            return 0.0
        return min(MAX_DELAY_S, math.exp2((wrong - self.free) / self.step))

    @property
    def most(self) -> float:
        """Wrong ones that are remembered: the delay grows no further."""
        return self.free + 4.0 * self.step


OF_AN_ADDRESS = Pace(free=3, step=1, forget_s=30.0)
IN_ALL = Pace(free=100, step=100, forget_s=0.5)


class LoginLimit:
    """Of all tries of one process: by client address (each /64 of IPv6), and in all."""

    def __init__(self, clock: Clock, *, addresses: int = ADDRESSES) -> None:
        """`addresses`: remembered at most."""
        self._clock = clock
        self._in_all = IN_ALL.bucket(clock.monotonic())
        self._by_address: FIFOCache[str, TokenBucket] = FIFOCache(addresses)
        self._waiting: dict[str, OrderedDict[asyncio.Task[None], None]] = {}
        self._waiting_count = 0

    @property
    def waiting(self) -> int:
        """Tries that wait for their turn."""
        return self._waiting_count

    def delay_s(self, address: str) -> float:
        """Seconds that the next try from that address waits."""
        now = self._clock.monotonic()
        known = self._by_address.get(_network(address))
        of_address = OF_AN_ADDRESS.delay_s(known, now) if known is not None else 0.0
        return max(of_address, IN_ALL.delay_s(self._in_all, now))

    async def turn(self, address: str) -> None:
        """Wait for a try's turn; it counts as a wrong one until `right` is called.

        Raises TooMany where more wait than there is room for, and most of them from that address: then it was not judged.
        """
        delay_s, network = self.delay_s(address), _network(address)
        self._count(network)
        if delay_s:
            await self._wait(network, delay_s)

    def right(self, address: str) -> None:
        """The last try from that address was right: what was wrong before it was a slip."""
        self._by_address.pop(_network(address), None)
        self._in_all.put_back()

    def _count(self, network: str) -> None:
        known = self._by_address.get(network) or OF_AN_ADDRESS.bucket(self._clock.monotonic())
        self._by_address[network] = known
        for bucket in (known, self._in_all):
            bucket.take(least=0)

    async def _wait(self, network: str, seconds: float) -> None:
        task = asyncio.create_task(_slept(self._clock, seconds))
        self._waiting.setdefault(network, OrderedDict())[task] = None
        self._waiting_count += 1
        LOGINS_WAITING.set(self._waiting_count)
        if self._waiting_count > MAX_WAITING:
            most = max(self._waiting, key=lambda one: len(self._waiting[one]))
            self._give_up(most, next(iter(self._waiting[most])))
        try:
            await asyncio.wait({task})
            if task.cancelled():
                LOGIN_FAILURES.labels("limited").inc()
                raise TooMany("Too many logins at once.", int(MAX_DELAY_S))
        finally:
            self._give_up(network, task)

    def _give_up(self, network: str, task: asyncio.Task[None]) -> None:
        """It waits no longer, whatever of it; nothing happens where it was given up before."""
        of_network = self._waiting.get(network, OrderedDict())
        if task not in of_network:
            return
        del of_network[task]
        if not of_network:
            del self._waiting[network]
        self._waiting_count -= 1
        LOGINS_WAITING.set(self._waiting_count)
        task.cancel()


async def _slept(clock: Clock, seconds: float) -> None:
    await clock.sleep(seconds)


def _network(address: str) -> str:
    try:
        ip = ip_address(address)
    except ValueError:
        return address
    return str(int(ip) >> 64) if isinstance(ip, IPv6Address) else str(ip)


class SignedIn(NamedTuple):
    """What came of a try. `begun` null: refused; then `wait_s` is 0 for a wrong name or password, else it was not judged, and
    there may be room in so many seconds."""

    begun: Begun | None
    wait_s: int = 0


async def sign_in(
    sessions: Sessions, limit: LoginLimit, address: str, entry: str, username: str, password: str
) -> SignedIn:
    """A try from that address, in its turn. entry: `pages` or `API`. Raises Unavailable."""
    try:
        await limit.turn(address)
    except TooMany as error:
        return SignedIn(None, error.retry_after_s)
    if not sessions.administrator.is_right(username, password):
        LOGIN_FAILURES.labels("wrong").inc()
        return SignedIn(None)
    limit.right(address)
    return SignedIn(await sessions.begin(address, entry))
