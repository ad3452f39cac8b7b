"""The dispatcher's metrics (docs/metrics.md); no repository, chain or URL is a label."""

from prometheus_client import Counter, Gauge, Histogram

__all__ = [
    "ATTEMPTS",
    "ATTEMPT_SECONDS",
    "CHECKPOINTS",
    "CHECKPOINT_TIME",
    "CONTAINED",
    "DECISIONS",
    "ENDED",
    "INCARNATIONS",
    "IN_FLIGHT",
    "MISFITS",
    "NAME_TAKEN",
    "OLDEST_DUE",
    "OPEN_CHAINS",
    "POLL_AGE",
    "RESTORE_SECONDS",
    "SET_ASIDE",
    "SLOW_HOOKS",
    "VOID",
    "WAITING",
]

ATTEMPTS = Counter("hookline_hook_attempts", "POSTs that ended, by outcome", ["outcome"])
ATTEMPT_SECONDS = Histogram(
    "hookline_hook_attempt_seconds",
    "Time of a POST until its answer",
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60),
)
IN_FLIGHT = Gauge("hookline_hooks_in_flight", "POSTs open now")
WAITING = Gauge("hookline_hooks_waiting", "POSTs that are due and waiting for a slot")
OLDEST_DUE = Gauge("hookline_oldest_due_seconds", "Age of the oldest due POST that has not begun")
SLOW_HOOKS = Gauge("hookline_slow_hooks", "Hooks with fewer slots because their attempts timed out")
SET_ASIDE = Gauge("hookline_chains_set_aside", "Open chains that cannot be decided or POSTed", ["partition"])
CONTAINED = Counter("hookline_contained_errors", "Exceptions that were contained in one chain")
MISFITS = Counter("hookline_misfit_records", "Records read that do not fit their chain: void", ["topic"])
DECISIONS = Counter("hookline_decisions", "Decisions appended", ["type"])
ENDED = Counter("hookline_chains_ended", "Chains whose terminal event was read", ["reason"])
VOID = Counter("hookline_void_decisions", "Decisions read whose writer was fenced off")
OPEN_CHAINS = Gauge("hookline_open_chains", "Open chains in memory", ["partition"])
INCARNATIONS = Counter("hookline_incarnations_ended", "Restores begun because a worker could not go on", ["cause"])
RESTORE_SECONDS = Histogram(
    "hookline_restore_seconds", "Time from Fence to RUNNING", buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
)
CHECKPOINTS = Counter("hookline_checkpoints", "Snapshots committed")
CHECKPOINT_TIME = Gauge("hookline_checkpoint_timestamp_seconds", "Unix time of the last commit", ["partition"])
NAME_TAKEN = Counter("hookline_group_name_taken", "Times that another process took our GROUP_INSTANCE_ID from us")
POLL_AGE = Gauge("hookline_poll_age_seconds", "Age of the last completed poll")
