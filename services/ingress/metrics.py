"""What ingress counts: by source, never by repository, chain or URL (design section 6)."""

from prometheus_client import Counter, Gauge, Histogram

__all__ = [
    "ACCEPTED",
    "APPEND_SECONDS",
    "DUPLICATES",
    "IGNORED",
    "QUARANTINED",
    "QUARANTINE_REPEATS",
    "REFUSED",
    "TOO_LARGE",
    "UNPROVEN_BYTES",
]

ACCEPTED = Counter("hookline_ingress_pushes_accepted", "Pushes appended for the first time", ["source"])
DUPLICATES = Counter("hookline_ingress_pushes_duplicate", "Pushes appended again within their window", ["source"])
IGNORED = Counter("hookline_ingress_events_ignored", "Events that start nothing", ["source", "reason"])
QUARANTINED = Counter("hookline_ingress_quarantined", "Rejected payloads: bodies or events", ["source"])
QUARANTINE_REPEATS = Counter(
    "hookline_ingress_quarantine_repeats",
    "Rejected payloads that are in quarantine already",
    ["source"],
)
TOO_LARGE = Counter(
    "hookline_ingress_pushes_too_large",
    "Pushes that start nothing: too large for one record, with their plans",
    ["source"],
)
REFUSED = Counter(
    "hookline_ingress_refused",
    "Deliveries refused: credential, not_configured, repository, too_large, in_flight, rate, bytes",
    ["source", "reason"],
)
UNPROVEN_BYTES = Gauge(
    "hookline_ingress_unproven_bytes",
    "Bytes of requests whose bodies are read to tell whether their signatures are good",
)
APPEND_SECONDS = Histogram(
    "hookline_ingress_append_seconds",
    "Time until all records of a delivery were acked",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
