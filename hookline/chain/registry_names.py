"""One name for a registry, however it is written: pushes are kept under it, and pipelines are compared by it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from hookline.errors import ConfigError

__all__ = ["DOCKER_HUB", "OFFICIAL", "RegistryNames", "registry_name", "repository_name", "repository_of_page"]

DOCKER_HUB = "docker.io"
OFFICIAL = "library"
"""The namespace of Docker Hub's official images; `_` is what its web pages call it."""

_OF_DOCKER_HUB = frozenset({"index.docker.io", "registry-1.docker.io", "registry.hub.docker.com", "hub.docker.com"})
_DEFAULT_PORTS = (":443", ":80")


@dataclass(frozen=True)
class RegistryNames:
    """The names of registries as this installation knows them: `aliases` maps a name to the one that users write."""

    aliases: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, pairs: Iterable[str]) -> "RegistryNames":
        """Of `registry:5000=registry.example.com` and so on. Raises ConfigError."""
        aliases: dict[str, str] = {}
        for pair in pairs:
            name, found, meant = (part.strip() for part in pair.partition("="))
            if not (name and found and meant) or "/" in pair:
                raise ConfigError(
                    f"HOOKLINE_REGISTRY_ALIASES: {pair!r} is not a pair of hosts such as registry:5000=registry.example.com"
                )
            name, meant = registry_name(name), registry_name(meant)
            if aliases.get(name, meant) != meant:
                raise ConfigError(f"HOOKLINE_REGISTRY_ALIASES: {name} has two names")
            aliases[name] = meant
        if chained := sorted(name for name, meant in aliases.items() if aliases.get(meant, meant) != meant):
            raise ConfigError(f"HOOKLINE_REGISTRY_ALIASES: {chained[0]} is the alias of an alias")
        return cls(aliases)

    def of(self, host: str) -> str:
        """The one name of a registry that somebody calls `host`."""
        name = registry_name(host)
        return self.aliases.get(name, name)


def registry_name(host: str) -> str:
    """`host[:port]` in lower case, without a port that is meant anyway; `docker.io` for any name of Docker Hub's."""
    name = host.lower()
    for port in _DEFAULT_PORTS:
        name = name.removesuffix(port)
    return DOCKER_HUB if name in _OF_DOCKER_HUB else name


def repository_name(repository: str, registry: str | None) -> str:
    """The repository as its registry knows it: at Docker Hub `nginx` and `_/nginx` are `library/nginx`."""
    if registry != DOCKER_HUB:
        return repository
    namespace, _, name = repository.rpartition("/")
    return f"{OFFICIAL}/{name}" if namespace in ("", "_") else repository


def repository_of_page(repository: str) -> str:
    """`_/nginx`, as Docker Hub's pages have it in their URLs, is `library/nginx`; no repository has `_` for a part of its name."""
    return f"{OFFICIAL}/{repository.removeprefix('_/')}" if repository.startswith("_/") else repository
