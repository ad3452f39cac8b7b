"""The console's own metrics; those of its HTTP are in `hookline.web.middleware`."""

from prometheus_client import Counter, Gauge, Histogram

__all__ = [
    "BATCH_SECONDS",
    "LAG_SECONDS",
    "LOGINS_WAITING",
    "LOGIN_FAILURES",
    "RECORDS",
    "SET_ASIDE",
]

RECORDS = Counter("hookline_projection_records", "Records read into the database")
LAG_SECONDS = Gauge("hookline_projection_lag_seconds", "Age of the last record read while there are more; else 0")
SET_ASIDE = Gauge("hookline_projection_set_aside", "Records that the database refused, while all others were read")
BATCH_SECONDS = Histogram(
    "hookline_projection_batch_seconds",
    "Time to fold and write one batch",
    buckets=(0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
LOGINS_WAITING = Gauge("hookline_console_logins_waiting", "Logins waiting for their turn")
LOGIN_FAILURES = Counter("hookline_console_login_failures", "Logins refused", ["reason"])
