"""The last records that a process has read of each place: whoever goes on there, with another consumer too, must meet them again."""

from collections import defaultdict, deque

from hookline.log.records import Place, RawRecord

__all__ = ["LastReads"]

KEPT = 4
"""Of a place; several readers may be at it."""


class LastReads:
    """What all consumers of a cluster share."""

    def __init__(self) -> None:
        self._kept: defaultdict[Place, deque[RawRecord]] = defaultdict(lambda: deque(maxlen=KEPT))

    def put(self, record: RawRecord) -> None:
        """Somebody has read to there."""
        if self.before(record.place, record.next_offset) != record:
            self._kept[record.place].append(record)

    def before(self, place: Place, offset: int) -> RawRecord | None:
        """The record just below that offset, where somebody has read to there: the latest, if there were several."""
        return next((record for record in reversed(self._kept[place]) if record.next_offset == offset), None)

    def forget(self, place: Place) -> None:
        """That place is another log now, and whoever reads it has been told."""
        self._kept.pop(place, None)
