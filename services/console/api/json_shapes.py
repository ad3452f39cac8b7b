"""JSON shapes of the API (docs/openapi/console.yaml). Times are RFC 3339 in UTC; fields of log events stay as they lie there."""

from collections.abc import Callable
from typing import TypeAlias

from pydantic import JsonValue

from hookline.chain.events import HookPlan
from hookline.chain.pipeline import Hook, Pipeline
from hookline.chain.state import Chain
from hookline.times import rfc3339
from hookline.web.masking import mask_json, mask_url
from services.console.attempt_words import attempt_words
from services.console.readmodel.history import ChainRow, PushRow, Timeline, TimelineEvent
from services.console.readmodel.standing import step_standing
from services.console.why import Why

__all__ = [
    "Json",
    "Link",
    "chain_json",
    "history_json",
    "hook_json",
    "pipeline_json",
    "push_json",
    "timeline_json",
]

Json: TypeAlias = dict[str, JsonValue]
Link: TypeAlias = Callable[[str], str]
"""A path of this service to the address that the client would use."""

_NOT_SHOWN = ("chain_id", "cause", "read_to")
"""Of an event's fields: said beside it, or for machines only."""


def pipeline_json(pipeline: Pipeline) -> Json:
    """Docker Hub's fields, and ours beyond them. Hook URLs as they were given: who may read this may change them."""
    return {
        "id": pipeline.pipeline_id,
        "name": pipeline.name,
        "slug": pipeline.slug,
        "repository": pipeline.repository,
        **pipeline.sent(),
        "webhooks": [hook_json(hook) for hook in pipeline.hooks],
        "created": rfc3339(pipeline.created_at),
        "last_updated": rfc3339(pipeline.updated_at),
    }


def history_json(row: ChainRow, link: Link) -> Json:
    """A row of History."""
    return _shown(
        {
            "uuid": row.id,
            "created": rfc3339(row.created_at),
            "status": row.status.value,
            "reason": row.reason,
            "step": row.step,
            "tag": row.tag,
            "description": row.said.description,
            "detail": None if row.said.failed is None else attempt_words(row.said.failed),
            "target_url": row.said.target_url,
            "chain_url": link(f"/api/chains/{row.id}"),
        }
    )


def timeline_json(timeline: Timeline, link: Link) -> Json:
    """One chain with all that happened to it."""
    row, chain = timeline.row, timeline.chain
    return _shown(
        {
            **history_json(row, link),
            "repository": row.repository,
            "pipeline": {"id": row.pipeline_id, "name": chain.plan.name, "slug": chain.plan.slug},
            "expect_final_callback": chain.plan.expect_final_callback,
            "first_step": row.first_step,
            "ended": rfc3339(row.ended_at),
            "cancel_requested": chain.cancelled,
            "run": [run.id for run in timeline.runs].index(row.id) + 1,
            "runs": [chain_json(run, link) for run in timeline.runs],
            "push": None if timeline.push is None else push_json(timeline.push, None, link),
            "hooks": [_step_json(chain, number, hook) for number, hook in enumerate(chain.plan.hooks, 1)],
            "timeline": [_event_json(event, row.partition) for event in timeline.events],
        }
    )


def chain_json(row: ChainRow, link: Link) -> Json:
    """A chain in a few words."""
    return {
        "uuid": row.id,
        "status": row.status.value,
        "reason": row.reason,
        "created": rfc3339(row.created_at),
        "chain_url": link(f"/api/chains/{row.id}"),
    }


def push_json(push: PushRow, why: Why | None, link: Link) -> Json:
    """A push, and the chains it started or why it started none (`code` and `detail`)."""
    return _shown(
        {
            "push_id": push.push_id,
            "partition": push.partition,
            "offset": push.offset,
            "source": push.source,
            "registry": push.registry,
            "repository": push.repository,
            "tag": push.tag,
            "digest": push.digest,
            "artifact_type": push.artifact_type,
            "pusher": push.pusher,
            "pushed": rfc3339(push.pushed_at),
            "received": rfc3339(push.received_at),
            "chains": [chain_json(row, link) for row in push.chains],
            "nothing_started": None if why is None else {"code": why["code"], "detail": why["detail"]},
        }
    )


def hook_json(hook: Hook) -> Json:
    """One of `webhooks`; beyond Docker Hub's fields which secret it has, and until when the one before signs, too."""
    return {
        "id": hook.id,
        "name": hook.name,
        "hook_url": hook.url,
        "secret_version": hook.version,
        "secret_before_until": None if hook.before is None else rfc3339(hook.before.until),
        "created": rfc3339(hook.created_at),
        "last_updated": rfc3339(hook.updated_at),
    }


def _step_json(chain: Chain, number: int, hook: HookPlan) -> Json:
    state = chain.step(number)
    return {
        "step": number,
        "id": hook.id,
        "name": hook.name,
        "hook_url": mask_url(hook.url),
        "state": step_standing(chain, number).value,
        "failed_attempts": state.failed,
        "next_attempt": rfc3339(state.retry_at) if state.expires_at is None and state.verdict is None else None,
        "callback_until": rfc3339(state.expires_at),
        "verdict": None if state.verdict is None else state.verdict.state.value,
    }


def _event_json(event: TimelineEvent, partition: int) -> Json:
    return {
        "type": event.type.removeprefix("hookline.").removesuffix(".v1"),
        "topic": event.topic,
        "partition": partition,
        "offset": event.offset,
        "at": rfc3339(event.timestamp),
        "void": event.void,
        "step": event.fields.get("step", event.fields.get("from_step")),
        "data": {key: value for key, value in event.fields.items() if key not in _NOT_SHOWN},
    }


def _shown(answer: Json) -> Json:
    """Without callback tokens, whichever field says one (I11)."""
    return {name: mask_json(value) for name, value in answer.items()}
