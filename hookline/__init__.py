"""Hookline: webhook chains for container registries, on Kafka. What the four services share."""

__all__ = ["__version__"]

__version__ = "0.1.0"
