"""Records whose cause a log has lost: their topic was made anew, or restored to an earlier state, without the others.

A record waits for its cause, which was in the log before it. So one that lies at or past the end of its topic, taken after
the record was read, will not come, unless somebody restores it: what comes there one day is another record. But a leader
that was deposed, and does not know it yet, answers with an end that is no more: only what stays so for a while is lost.

That is its partition's matter (design section 4, rule 7). No skip passes over such a record: another reader may have had its
cause, and folded it, before that was lost.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import structlog

from hookline.clock import Clock
from hookline.log.reader import PartitionReader, Wait
from hookline.log.records import Place, Topic

__all__ = ["SURE_S", "LostCause", "LostCauses"]

log = structlog.get_logger()

SURE_S = 20.0
"""How long a cause must be missing: far above what clients take to hear of another leader."""

Waits: TypeAlias = Sequence[tuple[int, Wait]]
"""By partition."""


@dataclass(frozen=True, slots=True)
class LostCause:
    """A record that waits for one which its topic has lost; as text: where both are, and what to do. end: that topic's."""

    partition: int
    wait: Wait
    end: int

    def __str__(self) -> str:
        wait, cause = self.wait, f"{self.wait.cause_topic}[{self.partition}]"
        return (
            f"{wait.topic}[{self.partition}]@{wait.offset} rests on {cause}@{wait.cause}, and {cause} ends at"
            f" {self.end}: that topic lost records, or was deleted and made anew. Restore it from"
            f" a backup; or stop all services, delete {_resting(wait.cause_topic)} too, and run `hookline topics create`"
        )


class LostCauses:
    """`waits` before the logs' ends are asked for, `check` with the answer; again and again."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._missing: dict[tuple[int, Wait], float] = {}
        """What waits for a cause that is not there, and since when (monotonic seconds)."""
        self._lost: dict[int, LostCause] = {}

    def waits(self, readers: Iterable[PartitionReader]) -> Waits:
        """What waits just now."""
        return [(reader.partition, wait) for reader in readers for wait in reader.waits]

    def check(self, waits: Waits, ends: Mapping[Place, int]) -> Mapping[int, LostCause]:
        """By partition, the first of these that has waited for long for what is not there; the log says it once.

        ends: taken after `waits`. Where Kafka did not say, it is as it was.
        """
        now, before = self._clock.monotonic(), self._missing
        self._missing, lost = {}, dict[int, LostCause]()
        for waiting in waits:
            partition, wait = waiting
            end, since = ends.get(Place(wait.cause_topic, partition)), before.get(waiting, now)
            if end is None and waiting in before:
                self._missing[waiting] = since
                if (known := self._lost.get(partition)) is not None and known.wait == wait:
                    lost.setdefault(partition, known)
            elif end is not None and wait.cause >= end:
                self._missing[waiting] = since
                if now - since >= SURE_S:
                    lost.setdefault(partition, LostCause(partition, wait, end))
        for found in lost.values():
            if (known := self._lost.get(found.partition)) is None or known.wait != found.wait:
                _say(found)
        self._lost = lost
        return lost


def _say(lost: LostCause) -> None:
    wait = lost.wait
    log.error(
        "partition stopped: the cause of a record is lost",
        topic=wait.topic,
        partition=lost.partition,
        offset=wait.offset,
        reason=str(lost),
    )


def _resting(cause: Topic) -> str:
    """The topics that are of no use without that one."""
    others = [Topic.CALLBACKS, Topic.DELIVERIES]
    return ", ".join([Topic.COMMANDS, *others] if cause is Topic.PUSHES else others)
