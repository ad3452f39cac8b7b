"""What the API and the pages read from the database: History, timelines, pushes.

Synchronous, for `asyncio.to_thread`; each method is one moment of the database and raises Unavailable. Times are Unix ms.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from pydantic import JsonValue
from sqlalchemy import ColumnElement, Connection, Select, func, select, true, tuple_

from hookline.chain.events import CallbackReceived, HookAttemptFailed, HookDelivered, Payload, ReadTo
from hookline.chain.kept_text import kept_text
from hookline.chain.payloads import unpack_payload
from hookline.chain.state import Chain
from hookline.log.records import Topic
from services.console.readmodel.database import Database
from services.console.readmodel.schema import chains, events, pushes
from services.console.readmodel.standing import Status
from services.console.readmodel.store import load_chains

__all__ = ["ChainRow", "History", "Page", "PushRow", "Said", "Timeline", "TimelineEvent"]

Entry = TypeVar("Entry")


class Page(NamedTuple, Generic[Entry]):
    """A part of a list, and how long the whole of it is."""

    total: int
    entries: tuple[Entry, ...]


class Said(NamedTuple):
    """What the latest step's verdict that counts said; `failed`: the latest step's last attempt, where that failed and no
    verdict has come."""

    description: str | None = None
    target_url: str | None = None
    failed: HookAttemptFailed | None = None


class ChainRow(NamedTuple):
    """A chain without its events. `created_at`: when its push came, or for a later run when that was asked for."""

    id: str
    push_id: str
    push_offset: int
    n: int
    run: int
    partition: int
    repository: str
    tag: str | None
    pipeline_id: str
    first_step: int
    created_at: int
    step: int
    status: Status
    reason: str | None
    ended_at: int | None
    said: Said = Said()


class PushRow(NamedTuple):
    """A PushReceived. `plans`: pipelines that matched; `repeat_of`: offset of the one that it repeats."""

    partition: int
    offset: int
    push_id: str
    source: str
    registry: str | None
    told_registry: str | None
    repository: str
    tag: str | None
    digest: str | None
    artifact_type: str | None
    pusher: str | None
    pushed_at: int
    received_at: int
    repeat: bool
    plans: int
    chains: tuple[ChainRow, ...] = ()
    repeat_of: int | None = None


class TimelineEvent(NamedTuple):
    """An event of a chain where it lies in the log. `timestamp`: Kafka's; `void`: null where it counts; `fields`: as in the log."""

    topic: str
    offset: int
    timestamp: int
    type: str
    void: str | None
    fields: dict[str, JsonValue]


class Timeline(NamedTuple):
    """All about one chain. `chain`: folded (without its payload); `runs`: all runs of its plan for its push, itself too."""

    row: ChainRow
    chain: Chain
    push: PushRow | None
    runs: tuple[ChainRow, ...]
    events: tuple[TimelineEvent, ...]


_FAILED = f"hookline.{HookAttemptFailed.__name__}.v1"
_VERDICT = f"hookline.{CallbackReceived.__name__}.v1"
_ATTEMPTS = (_FAILED, f"hookline.{HookDelivered.__name__}.v1")
_CHAIN = tuple(chains.c[name] for name in ChainRow._fields[:-1])
_PUSH = tuple(pushes.c[name] for name in PushRow._fields[:-2])


class History:
    """Queries over the read model."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def chains(
        self, number: int, size: int, *, pipeline_id: str | None = None, repository: str | None = None
    ) -> Page[ChainRow]:
        """Page `number` (from 1) of the chains of a pipeline or repository, or of all; newest first."""
        wanted = _all(chains.c.pipeline_id, pipeline_id) & _all(chains.c.repository, repository)
        with self._database.read() as connection:
            count = _count(connection, select(func.count()).select_from(chains).where(wanted))
            newest = select(*_CHAIN).where(wanted).order_by(chains.c.created_at.desc(), chains.c.id.desc())
            rows = _chain_rows(connection, newest.limit(size).offset((number - 1) * size))
            said = _said(connection, [row.id for row in rows])
            return Page(count, tuple(row._replace(said=said.get(row.id, row.said)) for row in rows))

    def chain(self, chain_id: str) -> ChainRow | None:
        with self._database.read() as connection:
            return _chain(connection, chain_id)

    def latest(self, pipeline_ids: Sequence[str]) -> dict[str, ChainRow]:
        """By pipeline id, the newest chain of each of those that has one."""
        newest = select(*_CHAIN).order_by(chains.c.created_at.desc(), chains.c.id.desc()).limit(1)
        with self._database.read() as connection:
            return {
                row.pipeline_id: row
                for pipeline_id in pipeline_ids
                for row in _chain_rows(connection, newest.where(_all(chains.c.pipeline_id, pipeline_id)))
            }

    def folded(self, chain_id: str) -> Chain | None:
        """The chain itself, without its payload."""
        with self._database.read() as connection:
            return load_chains(connection, [chain_id]).get(chain_id)

    def timeline(self, chain_id: str) -> Timeline | None:
        with self._database.read() as connection:
            row = _chain(connection, chain_id)
            if row is None:
                return None
            said = _said(connection, [chain_id]).get(chain_id, row.said)
            same_plan = (chains.c.push_id, row.push_id), (chains.c.push_offset, row.push_offset), (chains.c.n, row.n)
            runs = select(*_CHAIN).where(*(column == value for column, value in same_plan)).order_by(chains.c.run)
            its_push = (pushes.c.partition == row.partition) & (pushes.c.offset == row.push_offset)
            found = _with_chains(connection, select(*_PUSH).where(its_push))
            return Timeline(
                row._replace(said=said),
                load_chains(connection, [chain_id])[chain_id],
                found[0] if found else None,
                _chain_rows(connection, runs),
                _timeline(connection, chain_id),
            )

    def pushes(
        self,
        number: int,
        size: int,
        *,
        repository: str | None = None,
        since: int | None = None,
        started: bool | None = None,
    ) -> Page[PushRow]:
        """Page `number` (from 1) of the pushes, newest first; started: only those that started a chain, or that did not."""
        idle = pushes.c.repeat | (pushes.c.plans == 0)
        wanted = _all(pushes.c.repository, repository)
        if since is not None:
            wanted &= pushes.c.received_at >= since
        if started is not None:
            wanted &= ~idle if started else idle
        with self._database.read() as connection:
            count = _count(connection, select(func.count()).select_from(pushes).where(wanted))
            newest = pushes.c.received_at.desc(), pushes.c.partition, pushes.c.offset.desc()
            page = select(*_PUSH).where(wanted).order_by(*newest).limit(size).offset((number - 1) * size)
            return Page(count, _with_chains(connection, page))

    def is_without_digest(self, repository: str) -> bool:
        """Did the latest push of that repository come without a digest?"""
        latest = select(pushes.c.digest).where(pushes.c.repository == repository)
        newest = latest.order_by(pushes.c.received_at.desc()).limit(1)
        with self._database.read() as connection:
            return connection.execute(newest).first() == (None,)

    def has_registry(self, registry: str) -> bool:
        """Has a push of that registry come?"""
        asked = select(pushes.c.push_id).where(pushes.c.registry == registry).limit(1)
        with self._database.read() as connection:
            return connection.scalar(asked) is not None

    def payload(self, chain: ChainRow) -> Payload | None:
        """The Docker Hub body that this chain's hooks get."""
        with self._database.read() as connection:
            its_push = (pushes.c.partition == chain.partition) & (pushes.c.offset == chain.push_offset)
            packed: bytes | None = connection.scalar(select(pushes.c.payload).where(its_push))
        return None if packed is None else unpack_payload(packed)

    def run_of_request(self, request_id: str) -> ChainRow | None:
        """The run that the RedeliveryRequested with that `ce_id` started; the first where there are more."""
        with self._database.read() as connection:
            asked = select(*_CHAIN).where(chains.c.request_id == request_id).order_by(chains.c.run).limit(1)
            return next(iter(_chain_rows(connection, asked)), None)

    def open_chains(self, pipeline_id: str) -> list[str]:
        """Ids of its chains that are not over."""
        with self._database.read() as connection:
            is_open = _all(chains.c.pipeline_id, pipeline_id) & (chains.c.status == Status.PENDING.value)
            return list(connection.scalars(select(chains.c.id).where(is_open)))


def _all(column: ColumnElement[str], value: str | None) -> ColumnElement[bool]:
    return true() if value is None else column == kept_text(value)


def _count(connection: Connection, query: Select[int]) -> int:
    return connection.scalar(query) or 0


def _chain(connection: Connection, chain_id: str) -> ChainRow | None:
    return next(iter(_chain_rows(connection, select(*_CHAIN).where(chains.c.id == kept_text(chain_id)))), None)


def _chain_rows(connection: Connection, query: Select[*tuple[Any, ...]]) -> tuple[ChainRow, ...]:
    return tuple(
        row._replace(status=Status(row.status)) for row in (ChainRow(*values) for values in connection.execute(query))
    )


def _said(connection: Connection, ids: Iterable[str]) -> dict[str, Said]:
    """By chain id, from the verdict that counts of the latest step that has one, and from the last attempt of a later step."""
    telling = (
        select(events.c.chain_id, events.c.type, events.c.json)
        .where(events.c.chain_id.in_(list(ids)), events.c.void.is_(None))
        .where(events.c.type.in_((_VERDICT, *_ATTEMPTS)))
        .order_by(events.c.offset)
    )  # fmt: skip
    verdicts: dict[str, dict[str, Any]] = {}
    attempts: dict[str, tuple[str, dict[str, Any]]] = {}
    for chain_id, kind, text in connection.execute(telling):
        fields = json.loads(text)
        if kind in _ATTEMPTS:
            attempts[chain_id] = kind, fields
        elif fields["step"] > verdicts.get(chain_id, {"step": 0})["step"]:
            verdicts[chain_id] = fields
    return {chain_id: _saying(verdicts.get(chain_id), attempts.get(chain_id)) for chain_id in verdicts | attempts}


def _saying(verdict: dict[str, Any] | None, attempt: tuple[str, dict[str, Any]] | None) -> Said:
    said = Said() if verdict is None else Said(verdict.get("description"), verdict.get("target_url"))
    if attempt is None or attempt[0] != _FAILED or (verdict is not None and verdict["step"] >= attempt[1]["step"]):
        return said
    return said._replace(failed=HookAttemptFailed.model_validate(attempt[1]))


def _with_chains(connection: Connection, query: Select[*tuple[Any, ...]]) -> tuple[PushRow, ...]:
    """The pushes of that query, each with the first runs that it started, or with the one that it repeats."""
    found = [PushRow(*values) for values in connection.execute(query)]
    started = defaultdict(list)
    of_push = tuple_(chains.c.push_id, chains.c.push_offset)
    places = [(push.push_id, push.offset) for push in found if not push.repeat]
    for row in _chain_rows(
        connection, select(*_CHAIN).where(of_push.in_(places), chains.c.run == 0).order_by(chains.c.n)
    ):
        started[row.push_id, row.push_offset].append(row)
    firsts = defaultdict(list)
    repeated = {push.push_id for push in found if push.repeat}
    for push_id, offset in connection.execute(
        select(pushes.c.push_id, pushes.c.offset).where(pushes.c.push_id.in_(repeated), ~pushes.c.repeat)
    ):
        firsts[push_id].append(offset)
    return tuple(
        push._replace(
            chains=tuple(started[push.push_id, push.offset]),
            repeat_of=max((o for o in firsts[push.push_id] if o < push.offset), default=None) if push.repeat else None,
        )
        for push in found
    )


def _timeline(connection: Connection, chain_id: str) -> tuple[TimelineEvent, ...]:
    columns = tuple(events.c[name] for name in (*TimelineEvent._fields[:-1], "json"))
    its_own = select(*columns).where(events.c.chain_id == chain_id)
    found = [
        TimelineEvent(row.topic, row.offset, row.timestamp, row.type, row.void, json.loads(row.json))
        for row in connection.execute(its_own)
    ]
    return tuple(_in_order(found))


def _in_order(found: list[TimelineEvent]) -> list[TimelineEvent]:
    """By what each decision's writer had read (`read_to`), not by clocks; what no decision had read comes last."""
    decisions = sorted((e for e in found if e.topic == Topic.DELIVERIES), key=lambda e: e.offset)
    others = sorted((e for e in found if e.topic != Topic.DELIVERIES), key=lambda e: (e.timestamp, e.topic, e.offset))
    ordered: list[TimelineEvent] = []
    for decision in decisions:
        read_to = ReadTo.model_validate(decision.fields["read_to"]).model_dump()
        ordered += [e for e in others if e.offset < read_to[e.topic]]
        others = [e for e in others if e.offset >= read_to[e.topic]]
        ordered.append(decision)
    return ordered + others
