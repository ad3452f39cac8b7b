"""Records whose cause a log has lost: their topic was made anew, or restored to an earlier state, without the others.

A record waits for its cause, which was in the log before it. So one that lies at or past the end of its topic, taken after
the record was read, will not come: what comes there one day is another record.
"""

from collections.abc import Iterable, Mapping, Sequence

from hookline.errors import ForeignLog
from hookline.log.reader import PartitionReader, Wait
from hookline.log.records import Place, Topic

__all__ = ["check_causes", "waits_of"]


def waits_of(readers: Iterable[PartitionReader]) -> list[tuple[int, Wait]]:
    """What waits just now, with its partition. To be asked before the ends are."""
    return [(reader.partition, wait) for reader in readers for wait in reader.waits]


def check_causes(waits: Sequence[tuple[int, Wait]], ends: Mapping[Place, int]) -> None:
    """Raises ForeignLog where one of these waits for what will not come. ends: as they stood at some moment after `waits_of`."""
    for partition, wait in waits:
        end = ends.get(Place(wait.cause_topic, partition))
        if end is not None and wait.cause >= end:
            raise ForeignLog(
                f"{wait.topic}[{partition}]@{wait.offset} rests on {wait.cause_topic}[{partition}]@{wait.cause}, and"
                f" {wait.cause_topic}[{partition}] ends at {end}: that topic lost records, or was made anew. Restore it from"
                f" a backup; or stop all services, delete {_resting(wait.cause_topic)} too, and run `hookline topics create`"
            )


def _resting(cause: Topic) -> str:
    """The topics that are of no use without that one."""
    others = [Topic.CALLBACKS, Topic.DELIVERIES]
    return ", ".join([Topic.COMMANDS, *others] if cause is Topic.PUSHES else others)
