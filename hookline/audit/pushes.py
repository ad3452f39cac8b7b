"""Judges what a push says against what it was made of: its id, its fields and its payload against its raw body, its plans
against `pipelines`, and a run's plan and payload against its push's (I13).
"""

from base64 import b64decode
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from typing import Protocol
from uuid import UUID

from pydantic_core import to_json

from hookline.audit.findings import Invariant, Wrong
from hookline.audit.history import Facts
from hookline.audit.pipelines import PipelineHistory
from hookline.chain.events import Payload, PushReceived, RedeliveryRequested
from hookline.chain.hook_secrets import is_run_of
from hookline.chain.ids import push_id
from hookline.chain.state import Chain
from hookline.errors import Unreadable
from hookline.log.codec import Record, ce_time_of

__all__ = ["PushJudge", "PushReader", "payload_hash"]


class PushReader(Protocol):
    """Reads raw bodies as ingress does (`services.ingress.rereading`; this package knows no source)."""

    def read_again(self, event: PushReceived, log_id: UUID) -> PushReceived | None:
        """The event that ingress would make of its raw body, with the same plans.

        None where nobody can tell: its source is none of this Hookline's. Raises Unreadable where its source makes no push of it.
        """


class PushJudge:
    """`judge` each push, `judge_run` each RedeliveryRequested. log_id: where `pipelines` does not hold it.

    counts: `unread` pushes, whose source this Hookline does not have.
    """

    def __init__(
        self, pipelines: PipelineHistory, log_id: UUID | None, reader: PushReader, counts: Counter[str]
    ) -> None:
        self._pipelines = pipelines
        self._log_id = log_id
        self._reader = reader
        self._counts = counts

    def judge(self, record: Record, event: PushReceived) -> Iterator[Wrong]:
        try:
            raw = b64decode(event.raw, validate=True) if event.raw_encoding == "base64" else event.raw.encode()
        except ValueError:
            yield Wrong(Invariant.I13, "its raw body is neither text nor base64")
            return
        log_ids = self._log_ids(event)
        if log_ids and event.push_id not in {push_id(of, event.source, event.producer_id, raw) for of in log_ids}:
            made_of = "its body" if event.producer_id is None else "its event's id"
            yield Wrong(Invariant.I13, f"its push_id is not the one of {made_of} and the source {event.source}")
        try:
            again = self._reader.read_again(event, log_ids[0] if log_ids else UUID(int=0))
        except Unreadable as error:
            yield Wrong(Invariant.I13, f"the source {event.source} makes no push of its raw body: {error}")
        else:
            if again is None:
                self._counts["unread"] += 1
                return
            yield from _differences(event, again)
        if record.raw.headers.get("ce_time") != ce_time_of(event.received_at):
            yield Wrong(Invariant.I13, "its received_at is not its ce_time")
        yield from self._pipelines.judge(event, record.timestamp)

    def judge_run(self, event: RedeliveryRequested, first: Chain, facts: Facts) -> Iterator[Wrong]:
        """first: the run that its push started; facts: that run's."""
        if not is_run_of(event.plan, first.plan):
            yield Wrong(Invariant.I13, "its plan is not the one that its push had")
        if event.repository != first.repository:
            yield Wrong(Invariant.I13, f"its repository is not that of its push, {first.repository}")
        if facts.payload_hash and payload_hash(event.payload) != facts.payload_hash:
            yield Wrong(Invariant.I13, "its payload is not that of its push")

    def _log_ids(self, event: PushReceived) -> list[UUID]:
        """Those that its id may be of; none where the one in force was compacted away."""
        if not self._pipelines.has_log_id(event.settings_offset):
            return []
        known = [*self._pipelines.log_ids(event.settings_offset)]
        return known or ([] if self._log_id is None else [self._log_id])


def payload_hash(payload: Payload) -> bytes:
    return sha256(to_json(payload)).digest()


def _differences(event: PushReceived, again: PushReceived) -> Iterator[Wrong]:
    if again == event:
        return
    # Its id was derived from what it says; and how its body is written down is no part of what it is.
    names = [
        name
        for name in type(event).model_fields
        if name not in ("push_id", "raw_encoding") and getattr(event, name) != getattr(again, name)
    ]
    if names:
        yield Wrong(
            Invariant.I13,
            f"the source {event.source} reads its raw body otherwise, by this version: {', '.join(names)}",
        )
