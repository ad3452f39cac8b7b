"""What Python and the C library are told of a service's memory: much of it lives long, and a restore leaves much behind."""

import contextlib
import ctypes
import gc

__all__ = ["give_back", "spare_the_collector"]


def spare_the_collector() -> None:
    """A service holds many small values for long and makes few cycles: at Python's thresholds the collector takes a
    fifth to a third of the time of reading a log, going through all that was restored again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)


def give_back() -> None:
    """After a restore: collect what reading left, spare what it made, and return free memory to the machine.

    Without it a dispatcher that restored 30,000 chains kept half as much again (docs/performance.md). Some tens of ms.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    with contextlib.suppress(OSError, AttributeError):  # another C library than glibc
        ctypes.CDLL("libc.so.6").malloc_trim(0)
