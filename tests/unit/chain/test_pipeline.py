"""Which pipelines a push gets, and the plans that it takes along."""

import pytest
from pydantic_core import to_json

from hookline.chain.artifacts import ArtifactType
from hookline.chain.pipeline import Hook, Pipeline, matching
from hookline.chain.pipeline_settings import DEFAULT_RETRY_DELAYS_S


def pipeline(
    name: str, *, repository: str = "acme/app", registry: str | None = None, active: bool = True, at: int = 0
) -> Pipeline:
    hook = Hook(id=f"hook-{name}", version=3, key="k1", name="test", url="http://h/1", created_at=at, updated_at=at)
    return Pipeline(
        pipeline_id=f"id-{name}",
        repository=repository,
        registry=registry,
        name=name,
        slug=name,
        active=active,
        hooks=(hook,),
        created_at=at,
        updated_at=at,
    )


@pytest.mark.parametrize(
    ("given", "registry", "matches"),
    [
        (pipeline("a"), "docker.io", True),
        (pipeline("a"), None, True),
        (pipeline("a", registry="docker.io"), "docker.io", True),
        (pipeline("a", registry="docker.io"), "ghcr.io", False),
        (pipeline("a", registry="docker.io"), None, False),
        (pipeline("a", active=False), "docker.io", False),
        (pipeline("a", repository="acme/other"), "docker.io", False),
    ],
)
def test_matches(given: Pipeline, registry: str | None, matches: bool) -> None:
    assert given.matches("acme/app", registry) is matches


@pytest.mark.parametrize(
    ("repository", "tags", "pushed", "tag", "matches"),
    [
        ("acme/*", None, "acme/app", None, True),
        ("acme/*", ("v*",), "acme/app", "v1", True),
        ("acme/*", ("v*",), "acme/app", "latest", False),
        ("acme/*", ("v*",), "acme/app", None, False),
        ("acme/*", "^1.2", "acme/app", "v1.4.0", True),
        ("acme/*", "^1.2", "acme/app", "v2.0.0", False),
        ("acme/app", "^1.2", "acme/app", "v1.4.0", True),
        ("acme/*", None, "other/app", "v1", False),
    ],
)
def test_globs_and_tags(
    repository: str, tags: tuple[str, ...] | str | None, pushed: str, tag: str | None, matches: bool
) -> None:
    given = pipeline("a", repository=repository).model_copy(update={"tags": tags})
    assert given.matches(pushed, "docker.io", tag) is matches
    assert bool(matching([given], pushed, "docker.io", tag)) is matches


@pytest.mark.parametrize(
    ("artifacts", "started"),
    [
        (None, ["image", "index", None]),
        ("all", [*ArtifactType, None]),
        (("helm_chart",), ["helm_chart"]),
        (("index", "sbom"), ["index", "sbom"]),
        ((), []),
    ],
)
def test_artifacts(artifacts: tuple[str, ...] | str | None, started: list[str | None]) -> None:
    """Null stands for a record of before: it is for images and indexes. What nobody told counts as an image."""
    record = pipeline("a").model_dump(mode="json")
    del record["artifacts"]
    if artifacts is not None:
        record["artifacts"] = artifacts
    read = Pipeline.model_validate_json(to_json(record))
    kinds = [kind for kind in (*ArtifactType, None) if read.matches("acme/app", "docker.io", "v1", artifact_type=kind)]
    assert kinds == started
    found = (k for k in (*ArtifactType, None) if matching([read], "acme/app", None, "v1", artifact_type=k))
    assert list(found) == started
    assert Pipeline.model_validate_json(read.model_dump_json()) == read


def test_what_a_record_may_hold_of_tags() -> None:
    for tags in (None, ("v*", "latest"), "^1.2"):
        given = pipeline("a").model_copy(update={"tags": tags})
        assert Pipeline.model_validate_json(given.model_dump_json()).tags == tags


def test_a_push_gets_its_pipelines_in_the_order_of_creation() -> None:
    late, early, other = pipeline("late", at=2), pipeline("early", at=1), pipeline("other", repository="x", at=0)
    assert [p.name for p in matching((late, other, early), "acme/app", None)] == ["early", "late"]


def test_a_plan_is_the_settings_as_they_are_and_no_secret() -> None:
    plan = pipeline("a").plan(2)
    assert (plan.n, plan.pipeline_id, plan.slug) == (2, "id-a", "a")
    assert (plan.expect_final_callback, plan.callback_deadline_s, plan.timeout_s) == (True, 86_400, 15)
    assert plan.retry_delays_s == DEFAULT_RETRY_DELAYS_S
    assert [hook.model_dump() for hook in plan.hooks] == [
        {"id": "hook-a", "version": 3, "key": "k1", "name": "test", "url": "http://h/1", "before": None}
    ]
