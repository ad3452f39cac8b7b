"""A fold with a fault of ours: it raises for the events that a test names."""

from collections.abc import Callable

import pytest

from hookline.chain.events import Event
from hookline.chain.fold import PartitionFold

__all__ = ["fault_in_fold"]


def fault_in_fold(monkeypatch: pytest.MonkeyPatch, is_at_fault: Callable[[Event], bool]) -> list[Event]:
    """From now on every reader's fold raises ZeroDivisionError for those events; the ones that it raised for."""
    fold, raised = PartitionFold.fold, list[Event]()

    def faulty(self: PartitionFold, event: Event, offset: int, at: int) -> tuple[str, ...]:
        if is_at_fault(event):
            raised.append(event)
            raise ZeroDivisionError("in the fold")
        return fold(self, event, offset, at)

    monkeypatch.setattr(PartitionFold, "fold", faulty)
    return raised
