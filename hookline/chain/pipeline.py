"""A pipeline's settings as they lie in the `pipelines` topic, and the plan that a push gets from them."""

from collections.abc import Iterable
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from hookline.chain.artifacts import ArtifactType, matches_artifact
from hookline.chain.events import HookPlan, Plan, SecretBefore
from hookline.chain.matching import matches_repository, matches_tag
from hookline.chain.pipeline_settings import Dedupe, PipelineSettings, PlanSettings
from hookline.chain.registry_names import registry_name

__all__ = ["LOG_ID_KEY", "Dedupe", "Hook", "LogId", "Pipeline", "matching"]

LOG_ID_KEY = b"log_id"
"""Key of the record that holds the log's id; every other key is a pipeline_id."""


class _Setting(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class LogId(_Setting):
    """The random id of this log, the namespace of push ids, and how many partitions it was made with, permanently;
    `hookline topics create` writes it. partitions null: an earlier version wrote it."""

    log_id: UUID
    partitions: int | None = None


class Hook(_Setting):
    """A receiver. `key` and `version` name its secret (`KeyRing.hook_secret`), `before` the one that was rotated out. `*_at`: Unix ms."""

    id: str
    version: int = 1
    key: str
    name: str
    url: str
    before: SecretBefore | None = None
    created_at: int
    updated_at: int


class Pipeline(PipelineSettings):
    """Ordered hooks for one repository, or for a glob of repositories. Deleting it writes a tombstone.

    `registry` null matches any, and so does `tags`; else that is a list of globs, or a text: a range of versions
    (`hookline.chain.matching`). `artifacts`: the kinds that it is for, or "all".
    """

    pipeline_id: str
    repository: str
    name: str
    slug: str
    hooks: tuple[Hook, ...]
    created_at: int
    updated_at: int

    def is_of(self, registry: str | None, told_registry: str | None = None) -> bool:
        """Is it for pushes of that registry? However either is written; told_registry: another name of it."""
        if self.registry is None:
            return True
        names = {registry_name(name) for name in (registry, told_registry) if name is not None}
        return registry_name(self.registry) in names

    def matches(
        self,
        repository: str,
        registry: str | None,
        tag: str | None = None,
        told_registry: str | None = None,
        artifact_type: ArtifactType | None = None,
    ) -> bool:
        """Is a push of that tag to that repository of that registry, of such an artifact, for this pipeline?"""
        return (
            self.active
            and self.is_of(registry, told_registry)
            and matches_repository(self.repository, repository)
            and matches_tag(self.tags, tag)
            and matches_artifact(self.artifacts, artifact_type)
        )

    def plan(self, n: int) -> Plan:
        """What a push gets: the settings as they are now, as plan number n (from 0)."""
        return Plan(
            n=n,
            pipeline_id=self.pipeline_id,
            name=self.name,
            slug=self.slug,
            **{field: getattr(self, field) for field in PlanSettings.model_fields},
            hooks=tuple(
                HookPlan(id=h.id, version=h.version, key=h.key, name=h.name, url=h.url, before=h.before)
                for h in self.hooks
            ),
        )


def matching(
    pipelines: Iterable[Pipeline],
    repository: str,
    registry: str | None,
    tag: str | None = None,
    told_registry: str | None = None,
    artifact_type: ArtifactType | None = None,
) -> list[Pipeline]:
    """Every pipeline that a push is for, in the order of their creation."""
    found = (p for p in pipelines if p.matches(repository, registry, tag, told_registry, artifact_type))
    return sorted(found, key=lambda p: (p.created_at, p.pipeline_id))
