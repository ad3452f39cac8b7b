"""After a restore garbage is gone, and what was made is left alone by later collections."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from hookline.web.process_memory import give_back


class Node:
    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_cycles_left_by_reading_go_and_the_rest_is_spared() -> None:
    left, kept = Node(), Node()
    gone = weakref.ref(left)
    gc.freeze()  # as the start of a service does
    del left
    give_back()
    assert gone() is None
    assert kept.itself is kept
    assert gc.get_freeze_count() > 0
    assert not any(found is kept for found in gc.get_objects())
