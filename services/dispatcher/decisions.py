"""The decisions of one incarnation, on their way into the log and back (design section 4, rules 2 and 5)."""

from collections.abc import Callable, Coroutine

from hookline.chain.events import Decision, StepSealed
from hookline.errors import NotAuthorised, RecordRefused
from hookline.log.codec import encode
from hookline.log.records import Draft
from services.dispatcher import metrics
from services.dispatcher.surroundings import Surroundings
from services.dispatcher.unread import Unread

__all__ = ["Decisions", "MakeDecision"]

MakeDecision = Callable[[], Decision]


class Decisions:
    """Appends under the token of its worker, and knows what was not read back yet.

    A decision that Kafka refuses is not in the log, for certain: that concerns its chain, and no other.
    """

    def __init__(
        self,
        partition: int,
        token: int,
        around: Surroundings,
        spawn: Callable[[Coroutine[None, None, None]], object],
        on_refusal: Callable[[Decision | StepSealed, Exception], None],
    ) -> None:
        """spawn: runs an append, and ends the incarnation with what it raises. on_refusal: told which is refused, and why."""
        self.unread = Unread()
        self._partition = partition
        self._token = token
        self._around = around
        self._spawn = spawn
        self._on_refusal = on_refusal

    def append(self, event: Decision) -> None:
        """Raises where it cannot be written down."""
        self._send(event, self._encoded(event), None)

    def seal(self, event: StepSealed) -> None:
        """Raises where it cannot be written down."""
        metrics.DECISIONS.labels(type(event).__name__).inc()
        self._spawn(self._sealed(event, self._encoded(event)))

    def record(self, make: MakeDecision, make_bare: MakeDecision) -> None:
        """Append an event, or the bare one where the other cannot be made or is refused. Raises where neither can be made."""
        try:
            event = make()
            draft = self._encoded(event)
        except Exception:  # noqa: BLE001 - counted, and the bare one says less
            metrics.CONTAINED.inc()
            event = make_bare()
            draft = self._encoded(event)
        self._send(event, draft, make_bare)

    def _send(self, event: Decision, draft: Draft, make_bare: MakeDecision | None) -> None:
        self.unread.add(event)
        metrics.DECISIONS.labels(type(event).__name__).inc()
        self._spawn(self._written(event, draft, make_bare))

    async def _written(self, event: Decision, draft: Draft, make_bare: MakeDecision | None) -> None:
        refused = await self._refusal(draft)
        if refused is not None and make_bare is not None:
            metrics.CONTAINED.inc()
            try:
                bare = self._encoded(make_bare())
            except Exception as error:  # noqa: BLE001 - that chain's, and no other's
                refused = error
            else:
                refused = await self._refusal(bare)
        if refused is not None:
            self.unread.read_back(event)
            self._on_refusal(event, refused)

    async def _sealed(self, event: StepSealed, draft: Draft) -> None:
        if (refused := await self._refusal(draft)) is not None:
            self._on_refusal(event, refused)

    async def _refusal(self, draft: Draft) -> Exception | None:
        """None where it is acked. Raises what concerns more than that record."""
        try:
            await self._around.append(draft)
        except NotAuthorised:
            raise
        except RecordRefused as refused:
            return refused
        return None

    def _encoded(self, event: Decision | StepSealed) -> Draft:
        fence = None if isinstance(event, StepSealed) else self._token  # its intent is judged by the fence rule
        return encode(event, self._partition, now_ms=self._around.clock.now_ms(), fence=fence)
