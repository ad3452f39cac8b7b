"""What callbacks keeps of a partition: the steps and verdicts of its open chains, and of those that ended within the hour."""

from collections import OrderedDict
from collections.abc import Callable

from hookline.chain.events import CallbackReceived, Plan, PushReceived, RedeliveryRequested, StepSealed
from hookline.chain.fold import PartitionFold, apply
from hookline.chain.state import Chain
from hookline.log.codec import Record
from hookline.log.folding import fold_record
from hookline.log.snapshots import Restored

__all__ = ["EndedChains", "PartitionMemory"]

KEEP_ENDED_S = 3600.0
"""Seconds that a chain is kept after its end was read: a repeat is answered as the verdict was (I4)."""
MAX_ENDED = 100_000
"""Ended chains kept in one process, about 60 MB; beyond it the one that ended first is forgotten."""

_NO_PLAN = Plan(n=0, pipeline_id="", name="", slug="", hooks=())
"""Stands in for every plan: nothing here looks into one."""


class EndedChains:
    """Chains that are over, by id, of all partitions of this process. `monotonic`: seconds."""

    def __init__(self, monotonic: Callable[[], float], limit: int = MAX_ENDED) -> None:
        self._monotonic = monotonic
        self._limit = limit
        self._chains: OrderedDict[str, tuple[Chain, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._chains)

    def add(self, chain: Chain) -> None:
        """A chain whose end was read just now."""
        now = self._monotonic()
        self._chains[chain.id] = chain, now + KEEP_ENDED_S
        while len(self._chains) > self._limit or next(iter(self._chains.values()))[1] <= now:
            self._chains.popitem(last=False)

    def get(self, chain_id: str) -> Chain | None:
        found = self._chains.get(chain_id)
        return found[0] if found is not None and found[1] > self._monotonic() else None

    def heard(self, event: CallbackReceived | StepSealed, offset: int) -> None:
        """What was read after the end: the first verdict of a step is one all the same, unless a StepSealed lies below it."""
        if (found := self._chains.get(event.chain_id)) is not None:
            self._chains[event.chain_id] = apply(found[0], event, offset), found[1]


class PartitionMemory:
    """The fold of one partition, without plans and payloads, and the chains that ended in it."""

    def __init__(self, restored: Restored, ended: EndedChains) -> None:
        self._ended = ended
        self._fold = PartitionFold(
            map(_bare, restored.chains.values()), restored.repeats, keep_payload=False, on_end=ended.add
        )

    def take(self, record: Record) -> None:
        """Fold a valid record, in the order in which the reader hands them out. Raises Unfoldable."""
        event = record.event
        touched = fold_record(self._fold, record)
        match event:
            case PushReceived() | RedeliveryRequested():
                for chain_id in touched:
                    self._fold.chains[chain_id] = _bare(self._fold.chains[chain_id])
            case CallbackReceived() | StepSealed() if not touched:
                self._ended.heard(event, record.offset)

    def chain(self, chain_id: str) -> Chain | None:
        """None: it is not read yet, or it ended and was forgotten (the tail knows which)."""
        return self._fold.chains.get(chain_id) or self._ended.get(chain_id)


def _bare(chain: Chain) -> Chain:
    return chain._replace(plan=_NO_PLAN, payload=b"")
