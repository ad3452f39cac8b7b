"""Folds records: what goes wrong with one is said with its own place, by one rule for every reader.

A record that the fold cannot take, though it can be read, stops its partition as one does that cannot be read (design
section 4, rule 7): by a fault of ours, since what does not fit its chain is void by the fold itself.
"""

from hookline.chain.fold import PartitionFold
from hookline.errors import Unfoldable
from hookline.log.codec import Record

__all__ = ["fold_record"]


def fold_record(fold: PartitionFold, record: Record) -> tuple[str, ...]:
    """The ids of the chains that it started, changed or ended. Raises Unfoldable."""
    try:
        return fold.fold(record.event, record.offset, record.timestamp)
    except Exception as error:
        said = f"it can be read but not folded: {type(error).__name__}"
        raise Unfoldable(record.topic, record.partition, record.offset, said) from error
