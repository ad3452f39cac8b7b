"""The one failure of a bench: something did not go as it must, so that its figures would mean nothing."""

__all__ = ["BenchFailed"]


class BenchFailed(Exception):
    """In words, for the terminal."""
