"""The sources that ingress knows: each module here is one, so adding one touches no other file."""

import importlib
import pkgutil
from collections.abc import Mapping

from hookline.settings import Settings
from services.ingress.source import Source

__all__ = ["discover"]


def discover(settings: Settings | None = None) -> Mapping[str, Source]:
    """Every source by name, in the order of their names; set up by `settings`, where given. Raises ConfigError."""
    modules = (importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__))
    sources = [module.SOURCE for module in modules]
    assert all(isinstance(source, Source) for source in sources)
    by_name = {source.name: source for source in sorted(sources, key=lambda source: source.name)}
    if settings is None:
        return by_name
    return {name: source.with_settings(settings) for name, source in by_name.items()}
