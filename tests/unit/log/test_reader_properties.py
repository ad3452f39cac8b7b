"""Any logs, any order of fetching, any place to start: what a reader delivers (design section 3, causal reading; I5, I10)."""

from hypothesis import given
from hypothesis import strategies as st

from hookline.log.reader import PartitionReader, Read, cause_of
from hookline.log.records import LOGS, Positions, Topic
from tests.unit.chain.logs import PARTITION, Logs
from tests.unit.log.random_logs import logs


def fetch(draw: st.DataObject, reader: PartitionReader, made: Logs) -> list[Read]:
    """Read to the ends, with fetches of any size from any topic in any order, and seek back where the reader asks."""
    reads: list[Read] = []
    while reader.positions != made.ends:
        topic = draw.draw(st.sampled_from([t for t in LOGS if reader.next_fetch(t) < made.ends.of(t)] or LOGS))
        start = reader.next_fetch(topic)
        reader.offer(topic, made.records[topic][start : start + draw.draw(st.integers(1, 5))])
        reads += reader.read()
        if reader.rewind is not None:
            reader.rewound()
    return reads


def full(made: Logs) -> dict[tuple[Topic, int], bool]:
    """What a reader from the beginning says of each record."""
    return {(r.record.topic, r.record.offset): r.valid for r in made.read()}


@given(logs(), st.data())
def test_however_it_is_fetched_no_record_comes_before_its_cause_and_none_is_lost(
    made: Logs, data: st.DataObject
) -> None:
    reads = fetch(data, PartitionReader(PARTITION, Positions()), made)
    seen: set[tuple[Topic, int]] = set()
    for read in reads:
        record = read.record
        cause = cause_of(record.event)
        assert cause is None or cause in seen
        assert record.offset == sum(topic is record.topic for topic, _ in seen), "within a topic the log's order"
        seen.add((record.topic, record.offset))
    assert {(r.record.topic, r.record.offset): r.valid for r in reads} == full(made)


@given(logs(), st.data())
def test_wherever_it_starts_a_reader_judges_every_decision_as_a_full_reader_does(
    made: Logs, data: st.DataObject
) -> None:
    starts = Positions(*(data.draw(st.integers(0, end)) for end in made.ends))
    reads = fetch(data, PartitionReader(PARTITION, starts, fence=None), made)
    wanted = full(made)
    judged = {}
    for read in reads:
        key = (read.record.topic, read.record.offset)
        assert read.valid == wanted[key]
        judged[key] = read.valid
    for topic in LOGS:
        assert {o for t, o in judged if t is topic} >= set(range(starts.of(topic), made.ends.of(topic)))


@given(logs(), st.data())
def test_where_the_fences_are_gone_every_valid_decision_is_still_valid(made: Logs, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, made.ends.deliveries))
    at = Positions(made.ends.pushes, made.ends.callbacks, made.ends.commands, start)
    reads = fetch(data, PartitionReader(PARTITION, at, fence=None, deliveries_start=start), made)
    wanted = full(made)
    assert all(r.valid for r in reads if wanted[r.record.topic, r.record.offset])
