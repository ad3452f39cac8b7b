"""Records whose cause a log has lost: their topic was made anew, or restored to an earlier state, without the others.

A record waits for its cause, which was in the log before it. So one that lies at or past the end of its topic, taken after
the record was read, will not come: what comes there one day is another record. But a leader that was deposed, and does not
know it yet, answers with an end that is no more: only what stays so for a while is lost.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from hookline.clock import Clock
from hookline.errors import ForeignLog
from hookline.log.reader import PartitionReader, Wait
from hookline.log.records import Place, Topic

__all__ = ["LostCauses"]

SURE_S = 20.0
"""How long a cause must be missing: far above what clients take to hear of another leader."""

Waits: TypeAlias = Sequence[tuple[int, Wait]]
"""By partition."""


class LostCauses:
    """`waits` before the logs' ends are asked for, `check` with the answer; again and again."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._missing: dict[tuple[int, Wait], float] = {}
        """What waits for a cause that is not there, and since when (monotonic seconds)."""

    def waits(self, readers: Iterable[PartitionReader]) -> Waits:
        """What waits just now."""
        return [(reader.partition, wait) for reader in readers for wait in reader.waits]

    def check(self, waits: Waits, ends: Mapping[Place, int]) -> None:
        """Raises ForeignLog where one of these has waited for long for what is not there. ends: taken after `waits`."""
        now = self._clock.monotonic()
        ended = [w for w in waits if (end := ends.get(_cause_place(w))) is not None and w[1].cause >= end]
        self._missing = {missing: self._missing.get(missing, now) for missing in ended}
        for (partition, wait), since in self._missing.items():
            if now - since >= SURE_S:
                cause = f"{wait.cause_topic}[{partition}]"
                raise ForeignLog(
                    f"{wait.topic}[{partition}]@{wait.offset} rests on {cause}@{wait.cause}, and {cause} ends at"
                    f" {ends[Place(wait.cause_topic, partition)]}: that topic lost records, or was made anew. Restore it from"
                    f" a backup; or stop all services, delete {_resting(wait.cause_topic)} too, and run `hookline topics create`"
                )


def _cause_place(waiting: tuple[int, Wait]) -> Place:
    return Place(waiting[1].cause_topic, waiting[0])


def _resting(cause: Topic) -> str:
    """The topics that are of no use without that one."""
    others = [Topic.CALLBACKS, Topic.DELIVERIES]
    return ", ".join([Topic.COMMANDS, *others] if cause is Topic.PUSHES else others)
