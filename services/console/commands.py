"""What a user asks of a chain: cancel it, or run it again. Appended to `commands`, in the partition of its push."""

import asyncio
from collections.abc import Callable
from uuid import UUID, uuid5

from hookline.chain.events import CancelRequested, Plan, RedeliveryRequested
from hookline.chain.ids import ChainId, push_of
from hookline.chain.kept_text import is_whole
from hookline.clock import Clock
from hookline.errors import Invalid
from hookline.log.codec import encode
from services.console.pipelines import Appender
from services.console.readmodel.history import ChainRow, History
from services.console.readmodel.progress import Progress
from services.console.readmodel.standing import Status

__all__ = ["Commands"]

CANCELS_AT_ONCE = 100


class Commands:
    """`find` is how everyone looks a chain up: one that started a moment ago is waited for."""

    def __init__(
        self,
        history: History,
        progress: Progress,
        writer: Appender,
        clock: Clock,
        new_id: Callable[[], str],
        secrets_of_today: Callable[[Plan], Plan],
    ) -> None:
        """secrets_of_today: a plan with the secrets that its hooks have now (`Pipelines.secrets_of_today`)."""
        self._history = history
        self._progress = progress
        self._writer = writer
        self._clock = clock
        self._new_id = new_id
        self._secrets_of_today = secrets_of_today
        self._turn = asyncio.Lock()

    async def find(self, chain_id: str) -> ChainRow | None:
        """None where there is no such chain in the logs. Raises Unavailable, LogUnavailable."""
        try:
            ChainId.parse(chain_id)
        except ValueError:
            return None
        found = await asyncio.to_thread(self._history.chain, chain_id)
        if found is None:
            await self._progress.caught_up_on(push_of(chain_id))
            found = await asyncio.to_thread(self._history.chain, chain_id)
        return found

    async def cancel(self, chain: ChainRow, by: str, reason: str | None = None) -> None:
        """Ask for the chain to be halted. Raises Invalid where it is over, AppendFailed."""
        if chain.status is not Status.PENDING:
            over = chain.status.value if chain.reason is None else f"{chain.status.value}, {chain.reason}"
            raise Invalid({"non_field_errors": [f"The chain is over: {over}."]})
        await self._cancel(chain.id, by, reason)

    async def cancel_all(self, pipeline_id: str, by: str) -> int:
        """Cancel every open chain of a pipeline; how many. Raises Unavailable, LogUnavailable, AppendFailed."""
        await self._progress.caught_up()
        ids = await asyncio.to_thread(self._history.open_chains, pipeline_id)
        for at in range(0, len(ids), CANCELS_AT_ONCE):
            some = ids[at : at + CANCELS_AT_ONCE]
            await asyncio.gather(*(self._cancel(chain_id, by, "its pipeline was deleted") for chain_id in some))
        return len(ids)

    async def run(self, chain: ChainRow, from_step: int, by: str, key: str | None) -> str:
        """The id of a new run of the chain's plan from that step; for a `key` that was used before, of that run.

        It is signed with the secrets of today: those of its push may be over.

        The key becomes `ce_id` of the RedeliveryRequested. What an earlier request with it did is judged when `commands`
        was read to its end, so a repeat after a crash or an answer that was lost starts nothing either.
        Raises Invalid, Unavailable, LogUnavailable, AppendFailed.
        """
        plan_of = await asyncio.to_thread(self._history.folded, chain.id)
        payload = await asyncio.to_thread(self._history.payload, chain)
        if plan_of is None or payload is None:
            raise Invalid({"non_field_errors": ["The push of this chain is no longer in the logs."]})
        if not is_whole(chain.repository):
            raise Invalid({"non_field_errors": ["Its repository's name was cut off when it was stored: push again."]})
        if not 1 <= from_step <= len(plan_of.steps):
            raise Invalid({"from_step": [f"Must be a step of the chain: 1 to {len(plan_of.steps)}."]})
        async with self._turn:
            if (known := await self._run_before(chain, from_step, key)) is not None:
                return known
            now, place = self._clock.now_ms(), chain.partition
            event = RedeliveryRequested(
                cause=chain.push_offset,
                push_id=chain.push_id,
                repository=chain.repository,
                by=by,
                requested_at=now,
                from_step=from_step,
                plan=self._secrets_of_today(plan_of.plan),
                payload=payload,
            )
            event_id = self._new_id() if key is None else _request_id(chain, key)
            offset = await self._writer.append(encode(event, place, now_ms=now, event_id=event_id))
            return str(ChainId(chain.push_id, chain.push_offset, chain.n, offset + 1))

    async def read_back(self, chain: ChainRow) -> None:
        """Return when what was asked of that chain is in the read model. Raises Unavailable, LogUnavailable."""
        await self._progress.caught_up_on(chain.push_id)

    async def _run_before(self, chain: ChainRow, from_step: int, key: str | None) -> str | None:
        if key is None:
            return None
        await self._progress.caught_up_on(chain.push_id)
        known = await asyncio.to_thread(self._history.run_of_request, _request_id(chain, key))
        if known is None:
            return None
        if known.first_step != from_step:
            said = f"This Idempotency-Key was used for a run from step {known.first_step}."
            raise Invalid({"non_field_errors": [said]})
        return known.id

    async def _cancel(self, chain_id: str, by: str, reason: str | None) -> None:
        made, now = ChainId.parse(chain_id), self._clock.now_ms()
        event = CancelRequested(cause=made.cause, chain_id=chain_id, by=by, requested_at=now, reason=reason)
        await self._writer.append(encode(event, self._progress.partition_of(made.push_id), now_ms=now))


def _request_id(chain: ChainRow, key: str) -> str:
    """One key means the same request only for the same chain."""
    return str(uuid5(UUID(chain.push_id), f"{chain.id}\n{key}"))
