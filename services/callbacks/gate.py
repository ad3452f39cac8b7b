"""From a trusted token and a verdict to an answer: append where the log allows it, and judge what was read back (design section 6).

What the log says is judged only when `callbacks[p]` and then `deliveries[p]` were read to their ends, taken after the
request came or, where we appended, after the append. Only the decision to append may start from a stale tail.
"""

import asyncio
from collections.abc import Callable
from typing import NamedTuple, Protocol

from hookline.chain.events import CallbackReceived
from hookline.chain.ids import ChainId, partition_of
from hookline.chain.tokens import CallbackToken
from hookline.errors import Unavailable
from hookline.log.codec import encode
from hookline.log.records import Draft, Place, Topic
from services.callbacks.answers import Answer, first_verdict, judge
from services.callbacks.body import CallbackBody
from services.callbacks.metrics import APPEND_SECONDS
from services.callbacks.replica import Replica
from services.callbacks.tail import Tail

__all__ = ["ANSWER_S", "Appender", "Callback", "Gate"]

RETRY_AFTER_S = 5
"""While our clock may be wrong."""
ANSWER_S = 4.0
"""Seconds after which a callback is answered 503: with Kafka away the answer comes within 5 s."""


class Appender(Protocol):
    """What the gate needs of a writer (`hookline.log.writer`)."""

    async def append(self, draft: Draft) -> int:
        """The offset, once acked. Raises AppendFailed."""


class Callback(NamedTuple):
    """One request that has passed all checks which need no log. `came_at`: Unix ms."""

    token: CallbackToken
    body: CallbackBody
    came_at: int
    remote_ip: str

    @property
    def expired(self) -> bool:
        return self.came_at > self.token.expires_at

    def event(self) -> CallbackReceived:
        chain_id, step, _ = self.token
        return CallbackReceived(
            cause=chain_id.cause,
            chain_id=str(chain_id),
            step=step,
            **self.body._asdict(),
            received_at=self.came_at,
            remote_ip=self.remote_ip,
        )


class Gate:
    """Answers callbacks of all partitions."""

    def __init__(
        self, replica: Replica, writer: Appender, clock_is_doubtful: Callable[[], bool] = lambda: False
    ) -> None:
        """clock_is_doubtful: then no verdict is refused because its token has expired by our clock: 400 is final."""
        self._replica = replica
        self._writer = writer
        self._clock_is_doubtful = clock_is_doubtful

    async def answer(self, callback: Callback) -> Answer:
        """OK, NOT_ALLOWED or CLOSING. Raises Unavailable, AppendFailed, LogUnavailable: then a repeat is answered as the log says."""
        try:
            async with asyncio.timeout(ANSWER_S):
                return await self._answer(callback)
        except TimeoutError:
            raise Unavailable("the log did not answer in time") from None

    async def _answer(self, callback: Callback) -> Answer:
        push = callback.token.chain_id.push_id
        tail = self._replica.tails[partition_of(push, len(self._replica.tails))]
        tail.check()
        if self._judge(callback, tail) is not Answer.APPEND:
            answer = await self._judge_at_the_ends(callback, tail)
            if answer is not Answer.APPEND:
                return answer
        with APPEND_SECONDS.time():
            offset = await self._writer.append(encode(callback.event(), tail.partition, now_ms=callback.came_at))
            return await self._judge_at_the_ends(callback, tail, read=offset + 1)

    async def _judge_at_the_ends(self, callback: Callback, tail: Tail, read: int = 0) -> Answer:
        """Judge where both logs are read to their ends; `read`: what `callbacks` is read to in any case.

        A halt is sealed by reading `callbacks` after its intent. So the verdict that we judge by must have been there
        before the end of `deliveries` was taken: an intent beyond that end may have missed it.
        """
        while True:
            there_before = max(read, tail.positions.callbacks)
            await self._read_to_the_ends(callback.token.chain_id, tail, read)
            verdict = first_verdict(tail.chain(str(callback.token.chain_id)), callback.token.step)
            if verdict is None or verdict.offset < there_before:
                return self._judge(callback, tail)

    async def _read_to_the_ends(self, chain_id: ChainId, tail: Tail, read: int) -> None:
        """And past the chain's cause: then one that is not in memory has ended and was forgotten, however new its token."""
        callbacks, deliveries = Place(Topic.CALLBACKS, tail.partition), Place(Topic.DELIVERIES, tail.partition)
        ends = await self._replica.ends((callbacks, deliveries))
        await tail.reach(Topic.CALLBACKS, max(read, ends[callbacks]))
        await tail.reach(Topic.DELIVERIES, ends[deliveries])
        await tail.reach(Topic.PUSHES if chain_id.run == 0 else Topic.COMMANDS, chain_id.cause + 1)

    def _judge(self, callback: Callback, tail: Tail) -> Answer:
        """Raises Unavailable where only a clock that may be wrong says that it is too late."""
        token = callback.token
        chain, state = tail.chain(str(token.chain_id)), callback.body.state
        answer = judge(chain, token.step, state, expired=callback.expired)
        if (
            callback.expired
            and answer is not judge(chain, token.step, state, expired=False)
            and self._clock_is_doubtful()
        ):
            raise Unavailable("it seems too late, by a clock that may be wrong: try again", RETRY_AFTER_S)
        return answer
