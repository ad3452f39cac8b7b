"""The projection's SQL: where it stands, the chains it needs, and the rows of a batch with the positions they lead to."""

from collections.abc import Iterable
from operator import itemgetter
from typing import cast

from sqlalchemy import Connection, bindparam, func, insert, inspect, select, update

from hookline.chain.events import EVENTS, ChainEvent, Plan
from hookline.chain.fold import apply
from hookline.chain.state import PENDING, Chain
from hookline.log.records import Positions
from services.console.readmodel.entering import Row, entering, may_be_id
from services.console.readmodel.projection import PartitionProjection
from services.console.readmodel.rows import Rows, Saved, SetAside
from services.console.readmodel.schema import chains, events, positions, pushes, set_aside

__all__ = [
    "event_of",
    "fresh_chain",
    "load_chains",
    "load_positions",
    "load_saved",
    "load_set_aside",
    "move_to",
    "save_rows",
    "save_set_aside",
    "start_at",
]

IDS_A_SELECT = 500


def load_saved(connection: Connection) -> dict[int, Saved]:
    """By partition; empty before `start_at`."""
    saved = {}
    for row in connection.execute(select(positions)):
        found = [
            (push.push_id if isinstance(push.push_id, str) else push.push_id.decode(), push.until)
            for table in (pushes, set_aside)
            for push in connection.execute(
                select(table.c.push_id, table.c.until).where(
                    table.c.partition == row.partition, table.c.until > row.clock, table.c.offset >= row.windows_from
                )
            )
        ]
        windows = dict(sorted(found, key=itemgetter(1)))  # the latest of one push_id wins
        at = Positions(row.pushes, row.callbacks, row.commands, row.deliveries)
        saved[row.partition] = Saved(row.partition, at, row.fence, row.clock, windows, row.windows_from)
    return saved


def start_at(connection: Connection, begun: Iterable[Saved]) -> None:
    """Enter partitions for the first time."""
    rows = [{"partition": s.partition} | _place_row(s.positions, s) | {"fence": s.fence} for s in begun]
    connection.execute(insert(positions), rows)


def load_positions(connection: Connection) -> dict[int, Positions]:
    """By partition."""
    return {
        row.partition: Positions(row.pushes, row.callbacks, row.commands, row.deliveries)
        for row in connection.execute(select(positions))
    }


def load_chains(connection: Connection, ids: Iterable[str]) -> dict[str, Chain]:
    """Chains by id, folded anew from their rows; those that are not there are left out."""
    wanted = sorted(chain_id for chain_id in ids if may_be_id(chains.c.id, chain_id))
    found: dict[str, Chain] = {}
    for at in range(0, len(wanted), IDS_A_SELECT):
        some = wanted[at : at + IDS_A_SELECT]
        for row in connection.execute(
            select(chains.c.id, chains.c.repository, chains.c.first_step, chains.c.plan).where(chains.c.id.in_(some))
        ):
            found[row.id] = fresh_chain(row.id, row.repository, row.first_step, row.plan)
        counting = (
            select(events.c.chain_id, events.c.offset, events.c.type, events.c.json)
            .where(events.c.chain_id.in_(some), events.c.void.is_(None), events.c.type.not_in(_STARTS))
            .order_by(events.c.topic.desc(), events.c.offset)  # `deliveries` first: a StepSealed counts by its intent
        )
        for chain_id, offset, event_type, json in connection.execute(counting):
            found[chain_id] = apply(found[chain_id], event_of(event_type, json), offset)
    return found


def fresh_chain(chain_id: str, repository: str, first_step: int, plan_json: str) -> Chain:
    """The chain as its cause started it (the payload is left out)."""
    plan = Plan.model_validate_json(plan_json)
    steps = (PENDING,) * len(plan.hooks)
    return Chain(chain_id, repository, first_step, plan, b"", steps)


def event_of(event_type: str, json: str) -> ChainEvent:
    """An event's row back to the event (not for a RedeliveryRequested: its row is not whole)."""
    return cast(ChainEvent, EVENTS[event_type].model_validate_json(json))


def save_rows(connection: Connection, rows: Rows) -> None:
    """New rows and changes, each value as it may enter. Raises RowRefused, and what the database says of a value."""
    for table, new in ((pushes, rows.pushes), (chains, rows.chains.values()), (events, rows.events)):
        if new:
            connection.execute(insert(table), [entering(table, row) for row in new])
    if rows.changes:
        changes = [{"key": chain_id, **entering(chains, change)} for chain_id, change in rows.changes.items()]
        connection.execute(_CHANGE, changes)


def move_to(connection: Connection, projections: Iterable[PartitionProjection]) -> None:
    """The positions that a batch leads to, of the partitions it came from."""
    now = [
        {"key": p.reader.partition} | _place_row(p.reader.positions, p) | {"fence": p.reader.fence} for p in projections
    ]
    connection.execute(_MOVE, now)


def save_set_aside(connection: Connection, records: Iterable[SetAside]) -> None:
    """Name those records: they are in no other table."""
    if rows := [entering(set_aside, record._asdict()) for record in records]:
        connection.execute(insert(set_aside), rows)


def load_set_aside(connection: Connection, most: int) -> tuple[int, tuple[SetAside, ...]]:
    """How many records were set aside, and the first of them. None where the tables are of a version that sets nothing aside."""
    if not inspect(connection).has_table(set_aside.name):
        return 0, ()
    first = select(set_aside).order_by(*set_aside.primary_key).limit(most)
    count = connection.scalar(select(func.count()).select_from(set_aside)) or 0
    return count, tuple(SetAside(*row) for row in connection.execute(first))


def _place_row(at: Positions, windows: PartitionProjection | Saved) -> Row:
    return {**at._asdict(), "clock": windows.clock, "windows_from": windows.windows_from}


_STARTS = ("hookline.RedeliveryRequested.v1",)
# The columns to set are the keys of the rows that they are executed with.
_CHANGE = update(chains).where(chains.c.id == bindparam("key"))
_MOVE = update(positions).where(positions.c.partition == bindparam("key"))
