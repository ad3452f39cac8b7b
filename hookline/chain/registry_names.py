"""One name for a registry, however it is written: pushes are kept under it, and pipelines are compared by it."""

__all__ = ["DOCKER_HUB", "registry_name", "repository_name"]

DOCKER_HUB = "docker.io"
OFFICIAL = "library"
"""The namespace of Docker Hub's official images; `_` is what its web pages call it."""

_ALIASES = frozenset({"index.docker.io", "registry-1.docker.io", "registry.hub.docker.com", "hub.docker.com"})
_DEFAULT_PORTS = (":443", ":80")


def registry_name(host: str) -> str:
    """`host[:port]` in lower case, without a port that is meant anyway; `docker.io` for any name of Docker Hub's."""
    name = host.lower()
    for port in _DEFAULT_PORTS:
        name = name.removesuffix(port)
    return DOCKER_HUB if name in _ALIASES else name


def repository_name(repository: str, registry: str | None) -> str:
    """The repository as its registry knows it: at Docker Hub `nginx` and `_/nginx` are `library/nginx`."""
    if registry != DOCKER_HUB:
        return repository
    namespace, _, name = repository.rpartition("/")
    return f"{OFFICIAL}/{name}" if namespace in ("", "_") else repository
