"""docs/metrics.md against the Prometheus registry: every metric of ours, its type and its labels."""

import importlib
import re
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "metrics.md").read_text()
ROWS = {
    name: (kind, labels, unit, meaning)
    for name, kind, labels, unit, meaning in re.findall(
        r"^\| `(\w+)` \| (\w+) \| ?(.*?) ?\| (.+?) \| (.+?) \| .*\|$", PAGE, re.M
    )
}
FORBIDDEN = {"repository", "chain", "chain_id", "push", "push_id", "url", "path", "hook", "token"}


def registered() -> dict[str, MetricWrapperBase]:
    """Metric name as it is scraped to metric, of all modules that make any."""
    for path in [*ROOT.glob("hookline/**/*.py"), *ROOT.glob("services/**/*.py")]:
        if "prometheus_client" in path.read_text():
            importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    found = {}
    # prometheus_client has no public way from a metric to its labels.
    for metric in list(REGISTRY._collector_to_names):
        if isinstance(metric, MetricWrapperBase) and metric._name.startswith("hookline_"):
            found[metric._name + ("_total" if metric._type == "counter" else "")] = metric
    return found


METRICS = registered()


def test_the_page_has_every_metric_and_no_other() -> None:
    assert sorted(METRICS) == sorted(ROWS)


@pytest.mark.parametrize("name", METRICS)
def test_a_row_says_type_and_labels(name: str) -> None:
    kind, labels, unit, meaning = ROWS[name]

    assert kind == METRICS[name]._type
    assert labels == ", ".join(METRICS[name]._labelnames)
    assert unit
    assert meaning


@pytest.mark.parametrize("name", METRICS)
def test_no_label_names_a_thing_of_a_user(name: str) -> None:
    """Design section 6; I11."""
    assert FORBIDDEN.isdisjoint(METRICS[name]._labelnames)
