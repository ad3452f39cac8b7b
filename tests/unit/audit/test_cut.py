"""Taking facts out of a chain again is the same as never having folded them: what every derived decision rests on."""

from hypothesis import given
from hypothesis import strategies as st

from hookline.audit.cut import at_cut
from hookline.chain.events import CancelRequested
from hookline.chain.fold import PartitionFold
from hookline.log.records import LOGS, Positions, Topic
from tests.unit.chain.histories import World, histories


@given(histories(), st.data())
def test_a_chain_at_a_cut_is_the_fold_of_what_lies_below_it(world: World, data: st.DataObject) -> None:
    """Any cut, causal or not, in all but `deliveries`, where both have read the same."""
    ends = world.logs.ends
    cut = Positions(*(data.draw(st.integers(0, end), label=topic) for topic, end in zip(LOGS, ends, strict=True)))
    everything, below = PartitionFold(keep_ended=True), PartitionFold(keep_ended=True)
    cancelled_at: dict[str, int] = {}
    for read in world.logs.read():
        event, topic, offset = read.record.event, read.record.topic, read.record.offset
        if not read.valid or (topic is Topic.DELIVERIES and offset >= cut.deliveries):
            continue
        everything.fold(event, offset, read.record.timestamp)
        if isinstance(event, CancelRequested):
            cancelled_at.setdefault(event.chain_id, offset)
        if offset < cut.of(topic):
            below.fold(event, offset, read.record.timestamp)

    assert below.chains == {
        chain_id: at_cut(chain, cancelled_at.get(chain_id), cut)
        for chain_id, chain in everything.chains.items()
        if chain_id in below.chains
    }
