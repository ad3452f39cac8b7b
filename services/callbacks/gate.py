"""From a trusted token and a verdict to an answer: append where the log allows it, and judge what was read back (design section 6).

The order in `callbacks[p]` decides: what we append is read back, and answered by what lies below it. No answer of 200 rests on
an end offset, which a deposed leader may give as it was.
"""

import asyncio
from collections.abc import Callable
from typing import NamedTuple, Protocol

from hookline.chain.callback_tokens import CallbackToken
from hookline.chain.events import CallbackReceived
from hookline.chain.ids import ChainId, partition_of
from hookline.errors import Unavailable
from hookline.log.codec import encode
from hookline.log.records import Draft, Place, Topic
from hookline.web.masking import mask_tokens
from services.callbacks.answers import Answer, answer_to_appended, judge
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
        """A receiver may say the very URL that it was given: no token goes into a topic (I11)."""
        chain_id, step, _ = self.token
        state, *said = self.body
        description, context, target_url = (None if text is None else mask_tokens(text) for text in said)
        return CallbackReceived(
            cause=chain_id.cause,
            chain_id=str(chain_id),
            step=step,
            state=state,
            description=description,
            context=context,
            target_url=target_url,
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
        """OK, NOT_ALLOWED or TOO_LATE. Raises Unavailable, AppendFailed, LogUnavailable: then a repeat is answered as the log says."""
        try:
            async with asyncio.timeout(ANSWER_S):
                return await self._answer(callback)
        except TimeoutError:
            raise Unavailable("the log did not answer in time") from None

    async def _answer(self, callback: Callback) -> Answer:
        push = callback.token.chain_id.push_id
        tail = self._replica.tails[partition_of(push, len(self._replica.tails))]
        tail.check()
        answer = self._judge(callback, tail)
        if answer is Answer.TOO_LATE:
            await self._read_to_the_end(callback.token.chain_id, tail)
            answer = self._judge(callback, tail)
        return await self._append(callback, tail) if answer is Answer.APPEND else answer

    async def _append(self, callback: Callback, tail: Tail) -> Answer:
        chain_id, step, _ = callback.token
        with APPEND_SECONDS.time():
            offset = await self._writer.append(encode(callback.event(), tail.partition, now_ms=callback.came_at))
            await tail.reach(Topic.CALLBACKS, offset + 1)
            await self._read_past_cause(chain_id, tail)
        return answer_to_appended(tail.chain(str(chain_id)), step, callback.body.state)

    async def _read_to_the_end(self, chain_id: ChainId, tail: Tail) -> None:
        """Where a deposed leader tells an old end, a repeat of a verdict that was answered 200 may be told 400 here: nothing in
        the log changes by that."""
        place = Place(Topic.CALLBACKS, tail.partition)
        await tail.reach(Topic.CALLBACKS, (await self._replica.ends((place,)))[place])
        await self._read_past_cause(chain_id, tail)

    @staticmethod
    async def _read_past_cause(chain_id: ChainId, tail: Tail) -> None:
        """Then a chain that is not in memory has ended and was forgotten, however new its token."""
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
            raise Unavailable("it seems too late, but this clock may be wrong: try again", RETRY_AFTER_S)
        return answer
