"""Alerts, dashboard and scaling: every expression is PromQL, and asks for metrics that exist (docs/metrics.md)."""

import json
import re
import subprocess

import pytest

from tests.deploy.conftest import ROOT, TOOLS, rendered

PAGE = (ROOT / "docs" / "metrics.md").read_text()
METRICS = {
    name: (kind, {label.strip() for label in labels.split(",") if label.strip()})
    for name, kind, labels in re.findall(r"^\| `(hookline_\w+)` \| (\w+) \| ?(.*?) ?\|", PAGE, re.M)
}
FROM_KUBERNETES = {"namespace", "pod"}
PARSE = """
import json, sys, promql_parser as p
def walk(e, found):
    if isinstance(e, p.VectorSelector):
        found.append([e.name, [m.name for m in e.matchers.matchers]])
    for name in ("expr", "lhs", "rhs", "vector_selector", "param"):
        inner = getattr(e, name, None)
        if inner is not None:
            walk(inner, found)
    for inner in getattr(getattr(e, "args", None), "args", None) or getattr(e, "args", None) or []:
        walk(inner, found)
    return found
print(json.dumps({text: walk(p.parse(text), []) for text in json.load(sys.stdin)}))
"""


def expressions() -> list[str]:
    chart = rendered("full")
    dashboard = json.loads(chart.one("ConfigMap", "hookline-dashboard")["data"]["hookline.json"])
    found = [
        rule["expr"]
        for group in chart.one("PrometheusRule", "hookline-alerts")["spec"]["groups"]
        for rule in group["rules"]
    ]
    found += [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    triggers = chart.one("ScaledObject", "hookline-dispatcher")["spec"]["triggers"]
    return found + [trigger["metadata"]["query"] for trigger in triggers]


@pytest.fixture(scope="module")
def asked() -> dict[str, list[tuple[str, list[str]]]]:
    """Expression to its selectors: the metric's name and the labels that are matched. PromQL that is none fails here."""
    ran = subprocess.run(
        [TOOLS / "venv" / "bin" / "python", "-c", PARSE],
        input=json.dumps(expressions()),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    found: dict[str, list[tuple[str, list[str]]]] = json.loads(ran.stdout)
    return found


def metric_of(series: str) -> str:
    """docs/metrics.md names a histogram once; a counter with its `_total`."""
    base = re.sub(r"_(bucket|sum|count)$", "", series)
    return base if METRICS.get(base, ("",))[0] == "histogram" else series


def test_every_expression_asks_for_metrics_that_exist(asked: dict[str, list[tuple[str, list[str]]]]) -> None:
    for expression, selectors in asked.items():
        assert selectors, expression
        # The parser walks all that the text has.
        assert sorted(re.findall(r"hookline_\w+", expression)) == sorted(name for name, _ in selectors)
        for name, _ in selectors:
            assert metric_of(name) in METRICS, f"{name} in {expression}"


def test_every_expression_uses_labels_that_exist(asked: dict[str, list[tuple[str, list[str]]]]) -> None:
    for expression, selectors in asked.items():
        there = {"le"}.union(*(METRICS[metric_of(name)][1] for name, _ in selectors)) | FROM_KUBERNETES
        grouped = {
            label.strip()
            for labels in re.findall(r"\b(?:by|on) \(([^)]*)\)", expression)
            for label in labels.split(",")
        }
        matched = {label for _, labels in selectors for label in labels}
        assert grouped | matched <= there, expression


def test_a_counter_is_only_seen_as_a_rate_and_a_gauge_never(asked: dict[str, list[tuple[str, list[str]]]]) -> None:
    for expression, selectors in asked.items():
        for name, _ in selectors:
            is_rated = re.search(rf"\b(?:rate|increase)\({name}\b", expression) is not None
            assert is_rated == (METRICS[metric_of(name)][0] != "gauge"), f"{name} in {expression}"


def test_every_alert_says_what_it_means_and_how_bad_it_is() -> None:
    (group,) = rendered("full").one("PrometheusRule", "hookline-alerts")["spec"]["groups"]

    assert len({rule["alert"] for rule in group["rules"]}) == len(group["rules"])
    for rule in group["rules"]:
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"].keys() == {"summary", "description"}


def test_an_alerts_text_uses_labels_that_its_expression_keeps() -> None:
    (group,) = rendered("full").one("PrometheusRule", "hookline-alerts")["spec"]["groups"]

    for rule in group["rules"]:
        used = set(re.findall(r"\$labels\.(\w+)", json.dumps(rule["annotations"])))
        kept = {label.strip() for labels in re.findall(r"by \(([^)]*)\)", rule["expr"]) for label in labels.split(",")}
        assert used <= kept, rule["alert"]


def test_the_pod_monitor_finds_the_services_ports() -> None:
    chart = rendered("full")
    spec = chart.one("PodMonitor", "hookline-metrics")["spec"]
    (endpoint,) = spec["podMetricsEndpoints"]

    for service in ("ingress", "dispatcher", "callbacks", "console"):
        pod = chart.pods()[service]
        assert spec["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
        assert endpoint["port"] in {port["name"] for port in pod["spec"]["containers"][0]["ports"]}
