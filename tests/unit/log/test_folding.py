"""A record that can be read and not folded: one rule for every reader (the dispatcher's and callbacks' own tests have theirs)."""

import pytest

from hookline.chain.events import CallbackReceived
from hookline.cli.operate.log import fold_fault, parse_spot
from hookline.errors import ConfigError, Undecodable, Unfoldable
from hookline.log.codec import encode
from hookline.log.open_chains import read_open_chains
from hookline.log.records import LOGS, Draft
from hookline.testing.memory import MemoryCluster
from tests.kit.events import START, plan, skip
from tests.unit.chain.logs import PARTITION, Logs
from tests.unit.dispatcher.harness import LOG_ID
from tests.unit.log.faulty_fold import fault_in_fold


def cluster_of(logs: Logs) -> MemoryCluster:
    cluster = MemoryCluster(PARTITION + 1)
    for raw in (raw for topic in LOGS for raw in logs.records[topic]):
        cluster.append(Draft(raw.place, raw.key, raw.value, dict(raw.headers)))
    return cluster


async def test_it_says_its_own_place_and_is_passed_over_once_it_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    logs = Logs()
    chain, other = (logs.push(plan(1), name=name)[0] for name in ("a", "b"))
    at = logs.verdict(chain, 1)
    logs.verdict(other, 1)
    cluster = cluster_of(logs)
    raised = fault_in_fold(monkeypatch, lambda event: isinstance(event, CallbackReceived) and event.chain_id == chain)
    with pytest.raises(Unfoldable) as stopped:
        await read_open_chains(cluster, LOG_ID)
    assert isinstance(stopped.value, Undecodable)
    assert (stopped.value.topic, stopped.value.partition, stopped.value.offset) == ("callbacks", PARTITION, at)
    assert str(stopped.value) == f"callbacks[{PARTITION}]@{at}: it can be read but not folded: ZeroDivisionError"
    cluster.append(encode(skip("callbacks", at), PARTITION, now_ms=START))
    found = {c.id: c for one in await read_open_chains(cluster, LOG_ID) for c in one.chains}
    assert found[chain].step(1).verdict is None
    assert found[other].step(1).verdict is not None
    assert raised


async def test_only_a_record_that_nobody_gets_past_may_be_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """`hookline log skip` folds the partition up to there, and sees for itself."""
    logs = Logs()
    (chain,) = logs.push(plan(1))
    first, second = logs.verdict(chain, 1), logs.verdict(chain, 1)
    cluster = cluster_of(logs)
    spot = parse_spot(f"callbacks[{PARTITION}]@{first}", None)
    assert await fold_fault(cluster, LOG_ID, spot) is None
    fault_in_fold(monkeypatch, lambda event: isinstance(event, CallbackReceived))
    assert "ZeroDivisionError" in (await fold_fault(cluster, LOG_ID, spot) or "")
    with pytest.raises(ConfigError, match=f"stops at callbacks.{PARTITION}.@{first}.* first"):
        await fold_fault(cluster, LOG_ID, parse_spot(f"callbacks[{PARTITION}]@{second}", None))
