"""`hookline topics drain --status`: what is under way under a prefix; over real Kafka: tests/integration/test_operations.py."""

from io import StringIO

import pytest
from rich.console import Console

from hookline.chain.state import PENDING, Chain, StepState
from hookline.cli.operate.drain import drain_of, show_drain
from hookline.cli.operate.topics import drain
from hookline.cli.terminal import THEME
from hookline.errors import ConfigError
from hookline.log.open_chains import OpenPartition
from tests.kit.events import START, plan

NONE: tuple[int, ...] = ()


def chain(*steps: StepState, repository: str = "acme/app", deadline_s: int = 100) -> Chain:
    made = plan(len(steps), deadline_s=deadline_s, delays_s=NONE)
    return Chain("c", repository, 1, made, b"", steps)


def partition(*chains: Chain, unread: int = 0) -> OpenPartition:
    return OpenPartition(0, chains, unread)


def said(drained: object) -> str:
    file = StringIO()
    show_drain(Console(file=file, theme=THEME, width=100), drained, "old.")  # type: ignore[arg-type]
    return file.getvalue()


def test_with_nothing_open_it_is_drained_whatever_is_unread() -> None:
    found = drain_of([partition(unread=7), partition()], START)
    assert found.drained
    assert (found.open_chains, found.unread, found.over_by) == (0, 7, None)
    assert "drained: nothing is under way under old." in said(found)


def test_an_open_chain_is_over_when_all_that_is_left_took_as_long_as_it_may() -> None:
    one = drain_of([partition(chain(PENDING, PENDING))], START)
    assert one.over_by == START + 2 * (100 + 15) * 1000
    longer = drain_of([partition(chain(PENDING), chain(PENDING, deadline_s=500))], START)
    assert longer.over_by == START + (500 + 15) * 1000


def test_tokens_and_repositories_are_counted_over_all_partitions() -> None:
    delivered = StepState(expires_at=START + 5_000)
    found = drain_of(
        [
            partition(chain(delivered), unread=1),
            partition(chain(delivered, repository="b/b"), chain(PENDING), unread=2),
        ],
        START,
    )
    assert not found.drained
    assert (found.open_chains, found.unread) == (3, 3)
    assert (found.tokens.steps, found.tokens.last_expires_at) == (2, START + 5_000)
    assert found.by_repository == (("acme/app", 2), ("b/b", 1))
    assert "not drained: keep dispatchers, callbacks and console of old. running" in said(found)
    assert found.as_fields()["last_token_expires_at"] == "2023-11-14T22:13:25.000Z"


def test_it_only_looks() -> None:
    with pytest.raises(ConfigError, match="--status"):
        drain(status=False, as_json=False)
