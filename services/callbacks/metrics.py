"""What callbacks counts. No repository, chain or URL is a label, and no token is anywhere."""

from prometheus_client import Counter, Histogram

__all__ = ["ANSWERS", "APPEND_SECONDS"]

ANSWERS = Counter("hookline_callbacks_answers", "Callbacks answered, by kind of answer", ["answer"])
APPEND_SECONDS = Histogram(
    "hookline_callbacks_append_seconds",
    "From the decision to append a verdict to its answer: append, read-back, judgement",
    buckets=(0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
