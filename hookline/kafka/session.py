"""A fetch session with one broker (KIP-227): a request names only what has changed since the one before, an answer only what has news.

Without it each fetch names every place, and each answer too: with 48 places that was a third of what a service that follows
the logs did. Pure: it makes requests and hears what became of them.
"""

from collections.abc import Callable, Iterable, Mapping

from aiokafka import TopicPartition
from aiokafka.protocol.api import Request
from aiokafka.protocol.fetch import FetchRequest_v11, FetchResponse_v11

from hookline.log.records import MAX_RECORD_BYTES

__all__ = ["Fetch", "FetchSession"]

WAIT_MS = 100
"""How long a broker waits for the first record; also how long a seek or a resume may wait behind a fetch under way."""
MAX_PLACE_BYTES, MAX_BYTES = 2 * MAX_RECORD_BYTES, 4 * MAX_RECORD_BYTES
"""Most that one answer holds, of a place and in all."""
CONSUMER, ANY_EPOCH, UNKNOWN_START, READ_UNCOMMITTED = -1, -1, -1, 0
"""What a consumer says for: replica id, leader epoch, log start offset, isolation level.

ANY_EPOCH: no broker is asked whether it leads in the epoch that we know of (KIP-320), for aiokafka's Metadata of version 5 tells
none. It costs nothing: a leader that was deposed and does not know it gives what it has below its high watermark, which each
later leader has, too; and whether a log is still the one that was read, `Cursor` asks of its records.
"""
NO_SESSION, FIRST_EPOCH, LAST_EPOCH = 0, 0, 2**31 - 1

Offsets = Mapping[TopicPartition, int]


class Fetch(Request[FetchRequest_v11]):  # type: ignore[misc]  # aiokafka's types are not told
    """A request of version 11: the first with zstd, sessions and no need for topic ids."""

    API_KEY = 1

    def __init__(self, session: int, epoch: int, wanted: Offsets, forgotten: Iterable[TopicPartition]) -> None:
        topics: dict[str, list[tuple[int, int, int, int, int]]] = {}
        for tp, offset in wanted.items():
            topics.setdefault(tp.topic, []).append((tp.partition, ANY_EPOCH, offset, UNKNOWN_START, MAX_PLACE_BYTES))
        gone: dict[str, list[int]] = {}
        for tp in forgotten:
            gone.setdefault(tp.topic, []).append(tp.partition)
        self._struct = FetchRequest_v11(
            CONSUMER, WAIT_MS, 1, MAX_BYTES, READ_UNCOMMITTED, session, epoch, list(topics.items()), list(gone.items()), ""
        )  # fmt: skip

    def build(self, request_struct_class: type[FetchRequest_v11]) -> FetchRequest_v11:
        return self._struct


class FetchSession:
    """What one broker was told to read, and what has changed since. One fetch at a time."""

    def __init__(self, position: Callable[[TopicPartition], int | None]) -> None:
        """position: where a place is to be read from now; None where it is not to be read from this broker."""
        self._position = position
        self.id, self.epoch = NO_SESSION, FIRST_EPOCH
        """As the broker knows this session, and the number of the next fetch in it."""
        self._told: dict[TopicPartition, int] = {}
        self._changed: set[TopicPartition] = set()

    def touch(self, tp: TopicPartition) -> None:
        """Its position may have changed, or whether it is read here."""
        self._changed.add(tp)

    def told(self, tp: TopicPartition) -> int | None:
        """The offset from which the fetch under way reads it."""
        return self._told.get(tp)

    def next_fetch(self) -> Fetch | None:
        """None while there is nothing to read here."""
        wanted, forgotten = self._take_changes()
        if not self._told:
            self.begin_anew()
            return None
        return Fetch(self.id, self.epoch, wanted, forgotten)

    def answered(self, answer: FetchResponse_v11) -> bool:
        """True where the answer counts. After an error, and where the broker gives no session, all is asked for again.

        Its records are to be looked at before: afterwards `told` may know nothing of them.
        """
        if answer.error_code or answer.session_id == NO_SESSION:
            self.begin_anew()
            return not answer.error_code
        self.id = answer.session_id
        self.epoch = self.epoch + 1 if self.epoch < LAST_EPOCH else FIRST_EPOCH + 1
        return True

    def begin_anew(self) -> None:
        """Nobody knows what the broker knows: the next request names everything."""
        self.id, self.epoch = NO_SESSION, FIRST_EPOCH
        self._changed.update(self._told)
        self._told.clear()

    def _take_changes(self) -> tuple[dict[TopicPartition, int], list[TopicPartition]]:
        wanted, forgotten = {}, []
        for tp in self._changed:
            position = self._position(tp)
            if position is None:
                if self._told.pop(tp, None) is not None:
                    forgotten.append(tp)
            elif self._told.get(tp) != position:
                wanted[tp] = self._told[tp] = position
        self._changed.clear()
        return wanted, forgotten
