"""The sources that ingress knows: each module here is one, so adding one touches no other file."""

import importlib
import pkgutil
from collections.abc import Mapping

from services.ingress.source import Source

__all__ = ["discover"]


def discover() -> Mapping[str, Source]:
    """Every source by name, in the order of their names."""
    modules = (importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__))
    sources = [module.SOURCE for module in modules]
    assert all(isinstance(source, Source) for source in sources)
    return {source.name: source for source in sorted(sources, key=lambda source: source.name)}
