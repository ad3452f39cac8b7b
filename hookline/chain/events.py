"""The events of design section 2, as frozen models. A field `*_at` is Unix milliseconds UTC, `*_s` seconds, `*_ms` milliseconds.

Readers ignore unknown fields; an optional field may be added to a `.v1`; anything else is a `.v2`.
JSON Schemas in `schemas/` are generated from these classes (`scripts/schemas`).
"""

from enum import StrEnum
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from hookline.chain.artifacts import ArtifactType
from hookline.chain.pipeline_settings import PlanSettings

__all__ = [
    "EVENTS",
    "AttemptError",
    "CallbackReceived",
    "CancelRequested",
    "ChainCompleted",
    "ChainEvent",
    "ChainHalted",
    "Decision",
    "Event",
    "Fence",
    "HaltReason",
    "HookAttemptFailed",
    "HookDelivered",
    "HookPlan",
    "Payload",
    "Plan",
    "PushReceived",
    "Quarantined",
    "ReadTo",
    "RedeliveryRequested",
    "SkipRequested",
    "StepClosing",
    "StepSealed",
    "Verdict",
    "written_at",
]

Payload: TypeAlias = dict[str, JsonValue]
"""A JSON object in the shape of Docker Hub's webhook body."""

Step: TypeAlias = Annotated[int, Field(ge=1, description="position of a hook in its plan, from 1")]
Offset: TypeAlias = Annotated[int, Field(ge=0)]
Millis: TypeAlias = Annotated[int, Field(description="Unix milliseconds, UTC")]


class Verdict(StrEnum):
    """What a callback says."""

    SUCCESS = "success"
    FAILURE = "failure"
    ERROR = "error"


class AttemptError(StrEnum):
    """Why an attempt failed."""

    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    TIMEOUT = "timeout"
    BLOCKED = "blocked"
    STATUS = "status"
    BROKEN = "broken"


class HaltReason(StrEnum):
    """Why a chain halted (design section 3)."""

    CALLBACK_FAILURE = "callback_failure"
    CALLBACK_ERROR = "callback_error"
    CALLBACK_TIMEOUT = "callback_timeout"
    DELIVERY_FAILED = "delivery_failed"
    GONE = "gone"
    BLOCKED_ADDRESS = "blocked_address"
    CANCELLED = "cancelled"


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class SecretBefore(_Model):
    """The secret that a hook had before its secret was rotated; it signs, too, until that time (Unix ms)."""

    version: int
    key: str
    until: Millis


class HookPlan(_Model):
    """One hook as it was when the push came. `version` and `key` (a master key's id) name the secret it is signed with."""

    id: str
    version: int
    key: str
    name: str
    url: str
    before: SecretBefore | None = None


class _PlanOf(_Model):
    n: int
    pipeline_id: str
    name: str
    slug: str


def _as_v1(schema: dict[str, Any]) -> None:
    """Every plan has these settings, so v1 requires them and says no default; those that came later are optional."""
    properties = schema["properties"]
    for name in ("expect_final_callback", "callback_deadline_s", "timeout_s", "retry_delays_s"):
        del properties[name]["default"]
    schema["required"] = [name for name, shape in properties.items() if "default" not in shape]


class Plan(PlanSettings, _PlanOf):
    """A pipeline as it was when the push came; never secrets."""

    # As pydantic orders fields: those of `_PlanOf`, the settings, then the hooks. Records lie so.
    model_config = ConfigDict(json_schema_extra=_as_v1)

    hooks: tuple[HookPlan, ...]


class ReadTo(_Model):
    """The deciding worker's positions (next offset) in the other three logs."""

    pushes: Offset
    callbacks: Offset
    commands: Offset


class PushReceived(_Model):
    """ingress: a registry pushed; with the plan of every pipeline that matched."""

    push_id: str
    source: str
    producer_id: str | None = None
    received_at: Millis
    dedupe_window_s: int
    pushed_at: Millis
    registry: str | None = None
    told_registry: str | None = Field(
        default=None,
        description="what the producer calls the registry, where HOOKLINE_REGISTRY_ALIASES has another name",
    )
    repository: str
    tag: str | None = None
    digest: str | None = None
    media_type: str | None = None
    artifact_media_type: str | None = Field(
        default=None,
        description="the manifest's `artifactType`, else its config's media type, as the producer tells them",
    )
    artifact_type: ArtifactType | None = Field(
        default=None, description="null: the producer does not tell, and pipelines take it as an image"
    )
    pusher: str | None = None
    payload: Payload
    raw: str
    raw_encoding: Literal["utf-8", "base64"] = "utf-8"
    headers: dict[str, str] = {}
    upstream_callback_url: str | None = None
    settings_offset: int = Field(description="next offset of `pipelines` that the plans were made from")
    plans: tuple[Plan, ...]
    same_digest: tuple[str, ...] = Field(
        default=(),
        description="ids of pipelines that matched and have no plan: with `dedupe: digest`, for which the tag had this digest already",
    )


class _OfChain(_Model):
    """`cause`: offset in `pushes` of the chain's PushReceived, for a later run in `commands` of its RedeliveryRequested."""

    cause: Offset
    chain_id: str


class CallbackReceived(_OfChain):
    """callbacks: a receiver's verdict on a step."""

    step: Step
    state: Verdict
    description: str | None = None
    context: str | None = None
    target_url: str | None = None
    received_at: Millis
    remote_ip: str


class _Decision(_OfChain):
    step: Step
    read_to: ReadTo
    decided_at: Millis


class HookAttemptFailed(_Decision):
    """dispatcher: one POST failed. `next_attempt_at` null means no more: the step is being closed (design section 3)."""

    attempt: int
    started_at: Millis
    took_ms: int
    error: AttemptError
    detail: str | None = Field(default=None, description="why, in words of the dispatcher's own")
    status: int | None = None
    answer: str | None = Field(default=None, description="the first 1 KiB")
    retry_after_s: float | None = Field(
        default=None, description="what the answer's Retry-After asked for, at most 24 h"
    )
    next_attempt_at: Millis | None = None


class HookDelivered(_Decision):
    """dispatcher: the receiver answered 2xx, or 3xx but for 301, 307 and 308; its verdict is awaited until `expires_at`."""

    attempt: int
    started_at: Millis
    took_ms: int
    status: int
    answer: str | None = Field(default=None, description="the first 1 KiB")
    expires_at: Millis


class StepClosing(_Decision):
    """dispatcher: the intent to halt for a callback that did not come."""

    reason: Literal[HaltReason.CALLBACK_TIMEOUT] = HaltReason.CALLBACK_TIMEOUT
    detail: str | None = None


class StepSealed(_OfChain):
    """dispatcher, in `callbacks`: a halt of this step is intended, and no verdict above this record counts (design section 3).

    `intent`: offset in `deliveries` of the HookAttemptFailed or StepClosing that intends it.
    """

    step: Step
    intent: Offset
    sealed_at: Millis


class ChainHalted(_Decision):
    """dispatcher: the chain is over at this step."""

    reason: HaltReason
    detail: str | None = None


class ChainCompleted(_Decision):
    """dispatcher: the chain is over, all its steps done."""


class Fence(_Model):
    """dispatcher: from here on only decisions with this record's offset as token are valid."""

    owner: str
    fenced_at: Millis


class CancelRequested(_OfChain):
    """console: a user cancels a chain."""

    by: str
    requested_at: Millis
    reason: str | None = None


class RedeliveryRequested(_Model):
    """console: a user runs a chain again from a step, as a new run. `cause` is the offset of the PushReceived.

    `repository`, `plan` and `payload` are its own, so that it works long after the chain left memory.
    """

    cause: Offset
    push_id: str
    repository: str
    by: str
    requested_at: Millis
    from_step: Step
    plan: Plan
    payload: Payload


class SkipRequested(_Model):
    """console: an operator lets every reader pass over a record of this partition that none can read (`hookline log skip`).

    until: for a damaged batch, the offset after its last record: reading goes on there.
    """

    topic: Literal["pushes", "callbacks", "commands", "deliveries"]
    offset: Offset
    until: Offset | None = None
    by: str
    requested_at: Millis
    reason: str


class Quarantined(_Model):
    """ingress: a rejected payload, with the reason. Not part of any chain."""

    source: str
    received_at: Millis
    reason: str
    raw: str
    raw_encoding: Literal["utf-8", "base64"] = "utf-8"
    headers: dict[str, str] = {}


Decision: TypeAlias = HookAttemptFailed | HookDelivered | StepClosing | ChainHalted | ChainCompleted
ChainEvent: TypeAlias = CallbackReceived | StepSealed | CancelRequested | Decision
Event: TypeAlias = PushReceived | RedeliveryRequested | SkipRequested | Fence | ChainEvent

EVENTS: dict[str, type[Event]] = {
    f"hookline.{model.__name__}.v1": model
    for model in (
        PushReceived, CallbackReceived, StepSealed, CancelRequested, RedeliveryRequested, SkipRequested,
        HookAttemptFailed, HookDelivered, StepClosing, ChainHalted, ChainCompleted, Fence,
    )
}  # fmt: skip
"""`ce_type` to model."""


def written_at(event: Event) -> int:
    """When its writer says it was, Unix ms."""
    match event:
        case PushReceived(received_at=at) | CallbackReceived(received_at=at):
            return at
        case CancelRequested(requested_at=at) | RedeliveryRequested(requested_at=at) | SkipRequested(requested_at=at):
            return at
        case Fence(fenced_at=at) | StepSealed(sealed_at=at):
            return at
        case _:
            return event.decided_at
