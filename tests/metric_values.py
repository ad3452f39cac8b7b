"""What a metric says, by the client's public collection."""

from prometheus_client.metrics import MetricWrapperBase

__all__ = ["value_of"]


def value_of(metric: MetricWrapperBase) -> float:
    """Of a gauge or a counter, with its labels set where it has any."""
    (family,) = metric.collect()
    (sample,) = (sample for sample in family.samples if not sample.name.endswith("_created"))
    return sample.value
