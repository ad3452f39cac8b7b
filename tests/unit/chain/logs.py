"""The four logs of one partition as lists."""

from collections.abc import Iterator

from hookline.chain.decide import Action, decide
from hookline.chain.events import Event, Plan
from hookline.chain.fold import PartitionFold
from hookline.chain.state import Chain
from hookline.log.codec import encode
from hookline.log.reader import PartitionReader, Read
from hookline.log.records import LOGS, Place, Positions, RawRecord, Topic
from tests.kit.events import START, push
from tests.kit.log_writer import OnePartition

PARTITION = 3


class Logs(OnePartition):
    """Pushes, callbacks, commands and deliveries of one partition; `now` is the brokers' time, too."""

    def __init__(self) -> None:
        super().__init__(PARTITION)
        self.records: dict[Topic, list[RawRecord]] = {topic: [] for topic in LOGS}
        self.events: dict[Topic, list[tuple[Event, int | None]]] = {topic: [] for topic in LOGS}
        """The same, not encoded: each event with its fence."""

    @property
    def ends(self) -> Positions:
        return Positions(*(len(self.records[topic]) for topic in LOGS))

    def end_of(self, place: Place) -> int:
        return len(self.records[place.topic])

    def append(self, event: Event, fence: int | None = None, *, at: int | None = None) -> int:
        """The event's offset. at: its broker's time, where that is not `now`."""
        return self.write(event, PARTITION, fence=fence, at=at)

    def write(
        self,
        event: Event,
        partition: int,
        *,
        fence: int | None = None,
        event_id: str | None = None,
        at: int | None = None,
    ) -> int:
        draft = encode(event, partition, now_ms=START, fence=fence, event_id=event_id)
        records = self.records[draft.place.topic]
        records.append(
            RawRecord(draft.place, len(records), self.now if at is None else at, draft.key, draft.value, draft.headers)
        )
        self.events[draft.place.topic].append((event, fence))
        return len(records) - 1

    def push(self, *plans: Plan, name: str = "a", at: int | None = None, window_s: int = 60) -> list[str]:
        """The ids of the chains that this push starts, if it is no repeat. Its producer's clock stands still."""
        return [str(chain) for chain in self.start(push(*plans, name=name, window_s=window_s), at=at)]

    # ---- reading

    def times_of(self, topic: str) -> list[int]:
        """The brokers'."""
        return [raw.timestamp for raw in self.records[Topic(topic)]]

    def events_of(self, topic: str) -> list[Event]:
        return [event for event, _ in self.events[Topic(topic)]]

    def read(self) -> Iterator[Read]:
        """Everything, in the order of the one reader."""
        reader = PartitionReader(PARTITION, Positions())
        for topic in LOGS:
            reader.offer(topic, self.records[topic])
        return reader.read()

    def fold(self, *, keep_ended: bool = False) -> PartitionFold:
        return fold_reads(self.read(), PartitionFold(keep_ended=keep_ended))

    def chain(self, chain: str) -> Chain:
        """That chain, ended or not."""
        return self.fold(keep_ended=True).chains[chain]


def due(logs: Logs, chain: str, now: int = START) -> Action:
    """What an open chain needs at that time."""
    return decide(logs.fold().chains[chain], now)


def fold_reads(reads: Iterator[Read], fold: PartitionFold) -> PartitionFold:
    """Fold what was delivered and is valid."""
    for read in reads:
        if read.valid:
            fold.fold(read.record.event, read.record.offset, read.record.timestamp)
    return fold
