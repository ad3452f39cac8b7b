"""What a metric says, by the client's public collection."""

from prometheus_client.metrics import MetricWrapperBase

from hookline.log.reader_status import READER_STATE, State

__all__ = ["halted", "value_of"]


def value_of(metric: MetricWrapperBase) -> float:
    """Of a gauge or a counter, with its labels set where it has any."""
    (family,) = metric.collect()
    (sample,) = (sample for sample in family.samples if not sample.name.endswith("_created"))
    return sample.value


def halted(reader: str) -> int:
    """In how many partitions that reader stands at a record that cannot be read, or whose cause is lost."""
    (family,) = READER_STATE.collect()
    return sum(s.labels["reader"] == reader and s.value in (State.STOPPED, State.LOST) for s in family.samples)
