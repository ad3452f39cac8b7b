"""What callbacks counts. No repository, chain or URL is a label, and no token is anywhere."""

from prometheus_client import Counter, Gauge, Histogram

__all__ = ["ANSWERS", "APPEND_SECONDS", "STOPPED", "TAIL_LAG"]

ANSWERS = Counter("hookline_callbacks_answers", "Callbacks answered, by kind of answer", ["answer"])
APPEND_SECONDS = Histogram(
    "hookline_callbacks_append_seconds",
    "From the decision to append a verdict to its answer: append, read-back, judgement",
    buckets=(0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
TAIL_LAG = Gauge(
    "hookline_callbacks_tail_lag_events",
    "Events of a partition's four logs not read yet; NaN while Kafka does not answer",
    ["partition"],
)
STOPPED = Gauge(
    "hookline_callbacks_stopped_offset",
    "Offset of the record that stops a partition: it cannot be read, or its cause is lost; absent for all others",
    ["topic", "partition"],
)
