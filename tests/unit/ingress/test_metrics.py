"""What ingress counts, and under which labels (I11)."""

from prometheus_client import REGISTRY, generate_latest

from tests.unit.ingress.conftest import BEARER, Ingress, running

PUSH = '{"push_data":{"tag":"v1"},"repository":{"repo_name":"marked/repository"}}'


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def counts() -> dict[str, float]:
    hub = {"source": "dockerhub"}
    return {
        "accepted": value("hookline_ingress_pushes_accepted_total", **hub),
        "duplicate": value("hookline_ingress_pushes_duplicate_total", **hub),
        "quarantined": value("hookline_ingress_quarantined_total", **hub),
        "pull": value("hookline_ingress_events_ignored_total", source="distribution", reason="pull"),
        "credential": value("hookline_ingress_refused_total", **hub, reason="credential"),
        "too_large": value("hookline_ingress_refused_total", **hub, reason="too_large"),
        "not_configured": value("hookline_ingress_refused_total", **hub, reason="not_configured"),
        "appends": value("hookline_ingress_append_seconds_count"),
    }


async def test_counters(ingress: Ingress) -> None:
    before = counts()
    for body in (PUSH, PUSH, PUSH, "{"):
        await ingress.deliver("dockerhub", body)
    await ingress.deliver("distribution", '{"events": [{"action": "pull"}, {"action": "pull"}]}')
    await ingress.post("dockerhub", PUSH, {})
    await ingress.post("dockerhub", b"x" * 2_000_000)
    async with running(tokens=()) as closed:
        await closed.post("dockerhub", PUSH)
    after = counts()
    assert {name: after[name] - before[name] for name in after} == {
        "accepted": 1,
        "duplicate": 2,
        "quarantined": 1,
        "pull": 2,
        "credential": 1,
        "too_large": 1,
        "not_configured": 1,
        "appends": 4,
    }


async def test_labels_say_nothing_of_what_was_pushed(ingress: Ingress) -> None:
    await ingress.deliver("dockerhub", PUSH)
    await ingress.client.post("/events/marked-source?token=marked", data=PUSH, headers=BEARER)
    assert b"marked" not in generate_latest()
    labels = {
        label
        for metric in REGISTRY.collect()
        if metric.name.startswith("hookline_ingress")
        for sample in metric.samples
        for label in sample.labels
    }
    assert labels <= {"source", "reason", "le"}
