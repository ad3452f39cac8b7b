"""One place's records against a broker as Kafka describes it: numbers in order, whole batches refused, answers that are lost."""

import asyncio
from collections.abc import Iterator
from random import Random

import pytest
from aiokafka.record.memory_records import MemoryRecords
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hookline.errors import RecordRefused
from hookline.kafka.line import BATCH_BYTES, Batch, Line, ProducerId, Sending
from hookline.log.cluster import Ack
from hookline.log.records import Draft, Place, Topic

HERE = Place(Topic.PUSHES, 0)
ID = ProducerId(7, 0)
REFUSED = RecordRefused("not taken")


class Broker:
    """Takes a batch whose first number is the next one, and refuses one with a record that begins with `bad`."""

    def __init__(self) -> None:
        self.log: list[bytes] = []
        self._last: tuple[int, int] | None = None
        """The last batch's first number and offset: it is known when it comes again."""
        self._next = 0

    def take(self, batch: Batch) -> int | None:
        """Its offset; None: refused."""
        number, values = read(batch)
        if self._last is not None and number == self._last[0]:
            return self._last[1]
        assert number == self._next, "OUT_OF_ORDER_SEQUENCE_NUMBER"
        if any(value.startswith(b"bad") for value in values):
            return None
        self._last = number, len(self.log)
        self._next += len(values)
        self.log += values
        return self._last[1]


def read(batch: Batch) -> tuple[int, list[bytes]]:
    records = MemoryRecords(batch.data)
    one = records.next_batch()
    assert not records.has_next()
    assert (one.producer_id, one.producer_epoch) == ID
    return one.base_sequence, [record.value for record in one]


def add(line: Line, value: bytes) -> Sending:
    sending = Sending(Draft(HERE, b"k", value), 0)
    line.add(sending)
    return sending


def send(line: Line, broker: Broker, *, lost: bool = False) -> None:
    """Send the next batch; `lost`: its answer does not come back."""
    batch = line.next_batch(ID)
    offset = broker.take(batch)
    if lost:
        return
    if offset is not None:
        line.acked(offset, None)
    elif len(batch.sendings) == 1:
        line.refused(REFUSED)
    else:
        line.halve()


@given(
    steps=st.lists(st.sampled_from([b"good", b"good", b"good", b"bad", None]), max_size=60),
    seed=st.integers(0, 1000),
)
@example(steps=[b"good", b"bad", b"good", b"good"], seed=0)
@settings(deadline=None)
def test_each_bad_record_is_refused_alone_and_all_others_land_once_and_in_order(
    steps: list[bytes | None], seed: int
) -> None:
    """None: something is sent, and its answer may be lost (never that of a refusal, which then says nothing more)."""

    async def run() -> None:
        line, broker, random = Line(), Broker(), Random(seed)
        sendings = []
        for n, step in enumerate(steps):
            if step is not None:
                sendings.append(add(line, step + b"-%d" % n))
            elif line.has_work:
                is_bad = any(v.startswith(b"bad") for v in read(line.next_batch(ID))[1])
                send(line, broker, lost=not is_bad and random.random() < 0.3)
        while line.has_work:
            send(line, broker)
        values = [sending.draft.value or b"" for sending in sendings]
        assert broker.log == [value for value in values if not value.startswith(b"bad")]
        for sending, value in zip(sendings, values, strict=True):
            if value.startswith(b"bad"):
                assert isinstance(sending.acked.exception(), RecordRefused)
            else:
                assert broker.log[sending.acked.result().offset] == value

    asyncio.run(run())


@pytest.fixture
def line() -> Iterator[Line]:
    return Line()


async def test_finding_one_of_many_takes_few_requests(line: Line) -> None:
    broker, requests = Broker(), 0
    for n in range(256):
        add(line, b"bad" if n == 100 else b"good")
    while line.has_work:
        send(line, broker)
        requests += 1
    assert len(broker.log) == 255
    assert requests <= 2 * 8 + 1


async def test_a_batch_takes_what_has_room_and_one_that_has_none_goes_alone(line: Line) -> None:
    for size in (BATCH_BYTES // 2, BATCH_BYTES // 4, BATCH_BYTES // 2, 2 * BATCH_BYTES, 10):
        add(line, b"x" * size)
    sizes = []
    while line.has_work:
        sizes.append([len(value) for value in read(line.next_batch(ID))[1]])
        line.acked(0, None)
    assert sizes == [[BATCH_BYTES // 2, BATCH_BYTES // 4], [BATCH_BYTES // 2], [2 * BATCH_BYTES], [10]]


async def test_what_is_sent_again_is_the_same_batch_also_where_more_was_added(line: Line) -> None:
    add(line, b"good")
    first = line.next_batch(ID)
    add(line, b"more")
    assert line.next_batch(ID) is first
    line.acked(0, None)
    assert read(line.next_batch(ID)) == (1, [b"more"])


async def test_one_whose_caller_is_gone_is_sent_and_numbered_all_the_same(line: Line) -> None:
    broker = Broker()
    gone, other = add(line, b"good-1"), add(line, b"good-2")
    gone.acked.cancel()
    send(line, broker)
    assert broker.log == [b"good-1", b"good-2"]
    assert await other.acked == Ack(1, None)


async def test_an_error_is_each_callers_own(line: Line) -> None:
    first, second = add(line, b"a"), add(line, b"b")
    line.next_batch(ID)
    line.refused(REFUSED)
    assert first.acked.exception() is not second.acked.exception()
