"""docs/metrics.md against the Prometheus registry: every metric of ours, its type and its labels."""

import importlib
import re
from pathlib import Path
from typing import NamedTuple

import pytest
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


class Registered(NamedTuple):
    kind: str
    labels: tuple[str, ...]


def registered() -> dict[str, Registered]:
    """By the name as it is scraped, of all modules that make any."""
    found = {}
    for path in [*ROOT.glob("hookline/**/*.py"), *ROOT.glob("services/**/*.py")]:
        if "prometheus_client" not in path.read_text():
            continue
        module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
        for metric in vars(module).values():
            if isinstance(metric, MetricWrapperBase):
                (told,) = metric.describe()
                # prometheus_client has no public way from a metric to its labels.
                labels = tuple(metric._labelnames)  # noqa: SLF001
                found[told.name + ("_total" if told.type == "counter" else "")] = Registered(told.type, labels)
    return found


METRICS = registered()


def test_the_page_has_every_metric_and_no_other() -> None:
    assert sorted(METRICS) == sorted(ROWS)


@pytest.mark.parametrize("name", METRICS)
def test_a_row_says_type_and_labels(name: str) -> None:
    kind, labels, unit, meaning = ROWS[name]

    assert kind == METRICS[name].kind
    assert labels == ", ".join(METRICS[name].labels)
    assert unit
    assert meaning


@pytest.mark.parametrize("name", METRICS)
def test_no_label_names_a_thing_of_a_user(name: str) -> None:
    """Design section 6; I11."""
    assert FORBIDDEN.isdisjoint(METRICS[name].labels)
