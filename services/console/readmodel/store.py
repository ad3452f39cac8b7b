"""The projection's SQL: where it stands, the chains it needs, and the rows of a batch with the positions they lead to."""

from collections.abc import Iterable
from typing import cast

from sqlalchemy import Connection, bindparam, insert, select, update

from hookline.chain.events import EVENTS, ChainEvent, Plan
from hookline.chain.fold import apply
from hookline.chain.state import PENDING, Chain
from hookline.log.records import Positions
from services.console.readmodel.projection import PartitionProjection, Row, Rows, Saved
from services.console.readmodel.schema import chains, events, positions, pushes

__all__ = ["event_of", "fresh_chain", "load_chains", "load_positions", "load_saved", "save_rows", "start_at"]

IDS_A_SELECT = 500


def load_saved(connection: Connection) -> dict[int, Saved]:
    """By partition; empty before `start_at`."""
    saved = {}
    for row in connection.execute(select(positions)):
        open_windows = (
            select(pushes.c.push_id, pushes.c.until)
            .where(pushes.c.partition == row.partition, pushes.c.until > row.clock, pushes.c.offset >= row.windows_from)
            .order_by(pushes.c.until)  # the latest of one push_id wins
        )
        windows = {row.push_id: row.until for row in connection.execute(open_windows)}
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
    wanted = sorted(ids)
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


def save_rows(connection: Connection, rows: Rows, projections: Iterable[PartitionProjection]) -> None:
    """All rows of a batch, and the positions of the partitions it came from."""
    for table, new in ((pushes, rows.pushes), (chains, list(rows.chains.values())), (events, rows.events)):
        if new:
            connection.execute(insert(table), new)
    if rows.changes:
        connection.execute(_CHANGE, [{"key": chain_id, **change} for chain_id, change in rows.changes.items()])
    now = [
        {"key": p.reader.partition} | _place_row(p.reader.positions, p) | {"fence": p.reader.fence} for p in projections
    ]
    connection.execute(_MOVE, now)


def _place_row(at: Positions, windows: PartitionProjection | Saved) -> Row:
    return {**at._asdict(), "clock": windows.clock, "windows_from": windows.windows_from}


_STARTS = ("hookline.RedeliveryRequested.v1",)
# The columns to set are the keys of the rows that they are executed with.
_CHANGE = update(chains).where(chains.c.id == bindparam("key"))
_MOVE = update(positions).where(positions.c.partition == bindparam("key"))
