import json

import pytest

from bench.__main__ import PARTS, as_object
from bench.figures import Figures, fit, nested, percentile
from bench.targets import KEYS, TARGETS, missing

ISSUE = [
    "open.200.p50_ms",
    "open.200.p95_ms",
    "open.200.p99_ms",
    "open.200.ack_p50_ms",
    "open.200.ack_p95_ms",
    "closed.accepted_per_s",
    "closed.delivered_per_s",
    "closed.cpu_ms_per_push",
    "closed.console_lag_s",
    "chains.gate_p50_ms",
    "chains.gate_p95_ms",
    "chains.chain_p95_ms",
    "chains.chains_per_s",
    "chains.hooks_per_s",
    "chains.disk_bytes_per_chain",
    "restore.100000.seconds",
    "restore.100000.callbacks_seconds",
    "restore.100000.bytes_per_chain",
    "neighbours.names.p95_ratio",
    "neighbours.names.p99_ratio",
    "scale.2.delivered_per_s",
    "scale.2.lost",
    "scale.2.duplicates",
    "idle.ingress_mb",
    "idle.dispatcher_mb",
    "idle.callbacks_mb",
    "idle.console_mb",
]
"""Keys that readers of the JSON rely on."""


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [
        ([7], 50, 7),
        ([3, 1, 2, 4], 50, 2),
        (range(1, 101), 95, 95),
        (range(1, 101), 99, 99),
        (range(1, 6001), 99, 5940),
        ([1, 2, 3], 99, 3),
    ],
)
def test_a_percentile_is_a_value_that_was_measured(values: list[float], percent: float, expected: float) -> None:
    assert percentile(values, percent) == expected


def test_no_percentile_of_nothing() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 50)


def test_a_fit_gives_base_and_slope_and_how_far_the_farthest_point_is_off() -> None:
    exact = fit({1: 12, 3: 16, 10: 30})
    assert (exact.base, exact.slope, exact.off) == pytest.approx((10, 2, 0))
    assert fit({0: 1, 1: 4, 2: 1}).off == pytest.approx(1)
    with pytest.raises(ValueError, match="two points"):
        fit({1: 1})


def test_dotted_keys_become_objects() -> None:
    assert nested({"open.50.p50_ms": 1.0, "open.200.p50_ms": 2.0, "closed.cpu_ms.kafka": 3.0}.items()) == {
        "open": {"50": {"p50_ms": 1.0}, "200": {"p50_ms": 2.0}},
        "closed": {"cpu_ms": {"kafka": 3.0}},
    }


def test_the_object_holds_the_floor_under_the_same_keys() -> None:
    made = as_object(dict.fromkeys(ISSUE, 1.5), {"closed.delivered_per_s": 2.5}, quick=True)
    assert json.loads(json.dumps(made)) == made
    for key in ISSUE:
        inner: object = made
        for part in key.split("."):
            assert isinstance(inner, dict)
            inner = inner[part]
        assert inner == 1.5
    assert made["floor"] == {"closed": {"delivered_per_s": 2.5}}


@pytest.mark.parametrize("left_out", ISSUE)
def test_a_part_that_lacks_a_key_is_noticed(left_out: str) -> None:
    part = left_out.partition(".")[0]
    assert missing(part, dict.fromkeys(ISSUE, 1.0)) == []
    group = left_out.rpartition(".")[0]
    figures: Figures = {**dict.fromkeys(ISSUE, 1.0), f"{group}.more": 1.0}
    del figures[left_out]
    assert missing(part, figures) == [left_out]


def test_a_part_that_gives_nothing_is_noticed() -> None:
    for part in PARTS.keys() - {"harness"}:
        assert missing(part, {})


def test_every_target_is_of_a_key_that_a_part_gives() -> None:
    groups = {group.removesuffix(".*"): names for group, names in KEYS.items()}
    for key in TARGETS.keys() - {"harness.per_s"}:
        assert key.rpartition(".")[2] in groups[key.partition(".")[0]]


@pytest.mark.parametrize(
    ("key", "value", "floor", "met"),
    [
        ("open.200.p95_ms", 5.9, 2.7, True),
        ("open.200.p95_ms", 6.0, 2.7, False),
        ("chains.chains_per_s", 500, None, True),
        ("closed.delivered_per_s", 700, 1000, True),
        ("closed.delivered_per_s", 699, 1000, False),
        ("closed.delivered_per_s", 700, None, None),
        ("closed.cpu_ms_per_push", 0.75, 0.5, True),
        ("closed.cpu_ms_per_push", 0.76, 0.5, False),
        ("scale.2.lost", 1, None, False),
    ],
)
def test_targets(key: str, value: float, floor: float | None, met: bool | None) -> None:
    assert TARGETS[key].met(value, floor) is met
