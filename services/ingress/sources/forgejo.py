"""Forgejo, under its own name: what Gitea sends."""

from typing import ClassVar

from services.ingress.sources.gitea import Gitea

__all__ = ["SOURCE", "Forgejo"]


class Forgejo(Gitea):
    """A fork of Gitea; its deliveries have headers of both."""

    name: ClassVar[str] = "forgejo"
    title: ClassVar[str] = "Forgejo"


SOURCE = Forgejo()
