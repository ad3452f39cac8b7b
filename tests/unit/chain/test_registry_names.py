"""A registry has one name, however pushes and pipelines write it."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.chain.pipeline import Pipeline
from hookline.chain.registry_names import registry_name, repository_name

HUB = [
    "docker.io",
    "index.docker.io",
    "registry-1.docker.io",
    "registry.hub.docker.com",
    "hub.docker.com",
    "Docker.IO:443",
]


@pytest.mark.parametrize("host", HUB)
def test_docker_hub_has_one(host: str) -> None:
    assert registry_name(host) == "docker.io"


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("R.Example.com", "r.example.com"),
        ("r.example.com:443", "r.example.com"),
        ("r.example.com:80", "r.example.com"),
        ("r.example.com:8080", "r.example.com:8080"),
        ("r.example.com:5000", "r.example.com:5000"),
        ("[::1]:443", "[::1]"),
        ("[fe80::80]", "[fe80::80]"),
        ("docker.io.example.com", "docker.io.example.com"),
    ],
)
def test_others_without_the_port_that_is_meant_anyway(host: str, name: str) -> None:
    assert registry_name(host) == name


@given(
    st.sampled_from([*HUB, "r.example.com", "r:443", "[::1]:80"]), st.sampled_from([str.upper, str.lower, str.title])
)
def test_a_name_is_its_own_name(host: str, write: Callable[[str], str]) -> None:
    name = registry_name(write(host))
    assert registry_name(name) == name == registry_name(host)


@pytest.mark.parametrize(
    ("repository", "registry", "name"),
    [
        ("nginx", "docker.io", "library/nginx"),
        ("_/nginx", "docker.io", "library/nginx"),
        ("acme/app", "docker.io", "acme/app"),
        ("nginx", "r.example.com", "nginx"),
        ("nginx", None, "nginx"),
    ],
)
def test_official_images(repository: str, registry: str | None, name: str) -> None:
    assert repository_name(repository, registry) == name


@pytest.mark.parametrize("saved", [*HUB, "REGISTRY-1.docker.io"])
@pytest.mark.parametrize("pushed", ["docker.io", "registry-1.docker.io"])
def test_a_pipeline_that_was_saved_before_is_compared_by_it(saved: str, pushed: str) -> None:
    pipeline = Pipeline(
        pipeline_id="p",
        repository="acme/app",
        registry=saved,
        name="ci",
        slug="ci",
        hooks=(),
        created_at=1,
        updated_at=1,
    )
    assert pipeline.matches("acme/app", pushed)
    assert not pipeline.matches("acme/app", "r.example.com")
    assert not pipeline.matches("acme/app", None)
