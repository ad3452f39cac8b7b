"""The sources that ingress knows: each module here is one, so adding one touches no other file."""

import importlib
import pkgutil
from collections.abc import Mapping

from hookline.clock import Clock, SystemClock
from hookline.settings import Settings
from services.ingress.source import Source

__all__ = ["discover"]


def discover(settings: Settings | None = None, clock: Clock | None = None) -> Mapping[str, Source]:
    """Every source by name, in the order of their names; set up by `settings`, where given. Raises ConfigError.

    `clock`: what times that producers sign are compared with; None for the system's.
    """
    modules = (importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__))
    sources = [module.SOURCE for module in modules]
    assert all(isinstance(source, Source) for source in sources)
    by_name = {source.name: source for source in sorted(sources, key=lambda source: source.name)}
    if settings is None:
        return by_name
    found: dict[str, Source] = {}
    for name, source in by_name.items():
        found[name] = source.with_settings(settings)
        found |= {further.name: further for further in source.further(settings, clock or SystemClock())}
    return found
