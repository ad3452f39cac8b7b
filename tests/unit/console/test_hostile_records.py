"""Whatever stands in any text of any event: what the database does not take is set aside, and nothing else is missing.

SQLite and PostgreSQL get the same table of values, made from the models, and end with the same rows.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any, NamedTuple
from uuid import uuid5

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError, OperationalError

from hookline.chain.events import EVENTS, Fence
from hookline.chain.kept_text import KEPT
from hookline.errors import RowRefused, Unavailable, Undecodable
from hookline.log.codec import decode, encode
from hookline.log.records import LOGS, Place, Positions, Topic
from hookline.settings import Settings
from hookline.testing.memory import MemoryCluster
from services.console.readmodel.database import Database, ask_for_rebuild, open_database
from services.console.readmodel.entering import entering
from services.console.readmodel.history import History as Queries
from services.console.readmodel.model import ReadModel
from services.console.readmodel.progress import Progress
from services.console.readmodel.schema import METADATA, chains, events, pushes, set_aside
from tests.event_fields import Path as FieldPath
from tests.event_fields import text_paths, with_value
from tests.unit.console.histories import LOG_ID, History, plan, push, sample
from tests.unit.console.running import running
from tests.unit.console.test_read_model import dump, opened, read_all

PARTITIONS = 3
P = 1
"""Where it all lies."""
RANDOM = Random(4)
LONG = "".join(RANDOM.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=10_000))
"""Nothing that compresses: PostgreSQL compresses what it puts into an index."""
HOSTILE = {
    "NUL": "\0",
    "NUL within": "acme/a\0b",
    "long": LONG,
    "long, of four bytes each": "".join(chr(RANDOM.randrange(0x20000, 0x2A000)) for _ in range(3_000)),
    "at the limit, of four bytes each": "".join(chr(RANDOM.randrange(0x20000, 0x2A000)) for _ in range(KEPT)),
    "empty": "",
    "noncharacters": "\ufffe\uffff\U0010ffff",
    "controls": "\x1b[2J\r\n\x7f\x85\u2028\u202e",
    "quotes": "'; DROP TABLE hookline_chains; --\\",
    "formats": "%s %(key)s :key {0} $1",
}


class Case(NamedTuple):
    """One value in one field; `good`: the verdict behind it, of a chain of its own."""

    model: str
    path: FieldPath
    value: str
    place: tuple[str, int]
    good: int


@dataclass
class Story:
    """A log of hostile records, each beside a good chain."""

    cluster: MemoryCluster
    cases: list[Case]
    chains: int


def numbers() -> Iterator[int]:
    """Of pushes whose records lie in `P`."""
    history = History(MemoryCluster(PARTITIONS), PARTITIONS)
    return (n for n in range(10**6) if history.partition_of(str(uuid5(LOG_ID, str(n)))) == P)


def story() -> Story:
    """Each value in each field: the chain it is about, that record, and a good verdict of another chain behind it."""
    cluster = MemoryCluster(PARTITIONS)
    history, number = History(cluster, PARTITIONS), numbers()
    history.begin()
    cases, started = [], 0
    for model in EVENTS.values():
        for path in text_paths(model):
            for value in HOSTILE.values():
                (chain,) = history.push(push(next(number), (plan(),), received_at=history.now))
                event = sample(history, model, chain, RANDOM.randrange(10**9))
                draft = encode(event, P, now_ms=history.now, fence=history.fences.get(P))
                put = (
                    f"{value}-0" if path == ("chain_id",) else value
                )  # of run 0: else it waits for a cause in `commands`
                body = with_value(event, path, put).model_dump_json().encode()
                offset = cluster.append(replace(draft, value=body))
                if model is Fence:
                    history.fences[P] = offset
                (good,) = history.push(push(next(number), (plan(),), received_at=history.now))
                verdict = history.verdict(good, 1)
                cases.append(Case(model.__name__, path, value, (draft.place.topic.value, offset), verdict))
                started += 2
    return Story(cluster, cases, started)


@pytest.fixture(scope="module")
def told() -> Story:
    return story()


def aside(database: Database) -> dict[tuple[str, int], str]:
    with database.read() as connection:
        return {(row.topic, row.offset): row.reason for row in connection.execute(select(set_aside))}


def ids_of(rows: list[tuple[Any, ...]]) -> set[tuple[Any, ...]]:
    return {tuple(row[:3]) for row in rows}


def test_the_table_has_every_text_of_every_event(told: Story) -> None:
    assert {case.model for case in told.cases} == {model.__name__ for model in EVENTS.values()}
    fields = {(case.model, case.path) for case in told.cases}
    assert len(fields) == sum(len(list(text_paths(model))) for model in EVENTS.values()) > 50
    assert len(told.cases) == len(fields) * len(HOSTILE)


def test_nothing_hostile_stops_the_projection_and_nothing_good_is_missing(
    database: Database, told: Story, tmp_path: Path
) -> None:
    with opened(database, told.cluster) as model:
        read_all(model, told.cluster)
        assert not any(projection.stopped for projection in model.projections.values())
        assert model.positions()[P] == Positions(*(told.cluster.end(Place(topic, P)) for topic in LOGS))
        count, named = model.set_aside
        assert count == len(named) == len(aside(database)) > 5
    rows = dump(database)
    counted = {row[2] for row in rows[events.name] if row[1] == "callbacks" and row[5] is None}
    assert counted >= {case.good for case in told.cases}, "every good verdict"
    assert len(rows[chains.name]) >= told.chains
    refused = aside(database)
    odd_ids = {case.place for case in told.cases if case.path == ("push_id",) and is_no_id(case.value)}
    assert refused.keys() == odd_ids, "only what rows are found by is refused for its text"
    assert LONG[:40] not in str(refused), "a reason holds nothing of the value"

    other = open_database(Settings(data_dir=tmp_path / "other"))
    with opened(other, told.cluster) as model:
        read_all(model, told.cluster)
    assert dump(other) == rows, "the rows are the same on SQLite"
    other.close()


def is_no_id(value: str) -> bool:
    return len(value) > 36 or "\0" in value


def test_small_batches_and_restarts_set_the_same_records_aside(
    database: Database, told: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(database, told.cluster) as model:
        read_all(model, told.cluster)
    rows = dump(database)
    with database.write() as connection:
        ask_for_rebuild(connection)
    monkeypatch.setattr("services.console.readmodel.model.BATCH", 97)
    restarts = 0
    while True:
        with opened(database, told.cluster, chains_held=PARTITIONS * 5) as model:
            for partition, projection in model.projections.items():
                for topic in LOGS:
                    projection.reader.offer(topic, told.cluster.log(Place(topic, partition)))
            if sum(model.project(range(PARTITIONS)) for _ in range(2)) == 0:
                break
        restarts += 1
    assert restarts > 2
    assert dump(database) == rows


def test_numbers_that_no_column_takes(database: Database) -> None:
    cluster = MemoryCluster(PARTITIONS)
    history = History(cluster, PARTITIONS)
    huge = {"pushed_at": 10**30, "received_at": -(10**30), "dedupe_window_s": 10**30}
    chain_of = history.push(push(1, (plan(),)).model_copy(update=huge))
    odd = push(2, (plan().model_copy(update={"n": 2**40}),))
    history.push(odd)
    with opened(database, cluster) as model:
        read_all(model, cluster)
    assert list(aside(database).values()) == ["n is a number that is too large"]
    with database.read() as connection:
        (row,) = connection.execute(select(pushes))
        assert (row.pushed_at, row.received_at, row.until) == (2**53, -(2**53), 2**53)
        assert [found.id for found in connection.execute(select(chains))] == [str(chain_of[0])]


def test_a_push_that_was_set_aside_still_begins_its_window(database: Database) -> None:
    """Its repeats start nothing, in this process and in the next."""
    cluster = MemoryCluster(PARTITIONS)
    history = History(cluster, PARTITIONS)
    odd = push(2, (plan().model_copy(update={"n": 2**40}),))
    whole = push(2, (plan(),))
    for event in (odd, whole, whole):
        history.push(event)
        with opened(database, cluster) as model:
            read_all(model, cluster)
    history.push(odd)
    history.push(whole)
    with opened(database, cluster) as model:
        read_all(model, cluster)
    with database.read() as connection:
        assert [row.repeat for row in connection.execute(select(pushes))] == [True] * 4
        assert connection.execute(select(chains)).all() == []


def test_events_of_a_chain_whose_record_was_set_aside_are_as_after_a_restart(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one process and in two: the chain is as its rows say."""
    cluster = MemoryCluster(PARTITIONS)
    history = History(cluster, PARTITIONS)
    (chain,) = history.push(push(1, (plan(),)))
    history.delivered(chain, 1)
    refused = history.verdict(chain, 1, description="refuse me")
    history.verdict(chain, 1)
    history.delivered(chain, 2)
    (other,) = history.push(push(2, (plan(),)))
    history.verdict(other, 1)
    met = []

    def refusing(table: Any, row: Any) -> Any:
        if "refuse me" in str(row.get("json")):
            met.append(row)
            raise RowRefused("as the test wants")
        return entering(table, row)

    monkeypatch.setattr("services.console.readmodel.store.entering", refusing)
    with opened(database, cluster) as model:
        read_all(model, cluster)
    assert len(met) == 2, "in the batch, and by itself"
    rows = dump(database)
    assert aside(database) == {("callbacks", refused): "as the test wants"}
    with database.write() as connection:
        ask_for_rebuild(connection)
    monkeypatch.setattr("services.console.readmodel.model.BATCH", 1)
    for _ in range(20):
        with opened(database, cluster) as model:
            for partition, projection in model.projections.items():
                for topic in LOGS:
                    projection.reader.offer(topic, cluster.log(Place(topic, partition)))
            model.project(range(PARTITIONS))
    assert dump(database) == rows


@pytest.mark.postgres
def test_what_a_connection_says_is_waited_out_and_what_it_says_of_a_value_is_not(postgres_url: str) -> None:
    """PostgreSQL's driver has one class for both."""
    database = open_database(Settings(database_url=postgres_url))
    with pytest.raises(Unavailable), database.write() as connection:
        connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    with database.write() as connection:
        connection.execute(text("DROP TABLE IF EXISTS t"))
        connection.execute(text("CREATE TABLE t (name text UNIQUE)"))
    for value in (LONG, "\0", "\ud800"):
        with pytest.raises(RowRefused) as refused, database.write() as connection:
            connection.execute(text("INSERT INTO t VALUES (:name)"), {"name": value})
        assert value not in str(refused.value)
    with pytest.raises(DBAPIError) as odd, database.write() as connection:
        connection.execute(text("INSERT INTO there_is_none VALUES (:name)"), {"name": "s3cret"})
    assert "s3cret" not in str(odd.value), "no values of rows in a trace"
    assert not isinstance(odd.value, OperationalError)
    with database.write() as connection:
        connection.execute(text("DROP TABLE t"))
    database.close()


def test_half_of_a_surrogate_pair_is_no_record(told: Story) -> None:
    """Why the table has none: it cannot be read, and stops its partition by name (`hookline log skip`)."""
    cluster = MemoryCluster(PARTITIONS)
    event = push(1, ())
    draft = encode(event, P, now_ms=1)
    body = json.dumps(event.model_dump(mode="json") | {"tag": "\ud800"}).encode()
    cluster.append(replace(draft, value=body))
    with pytest.raises(Undecodable):
        decode(cluster.log(Place(Topic.PUSHES, P))[-1])


def test_readiness_and_a_metric_name_what_was_set_aside(database: Database) -> None:
    cluster = MemoryCluster(PARTITIONS)
    history = History(cluster, PARTITIONS)
    for number in range(25):
        history.push(push(number, (plan().model_copy(update={"n": 2**40}),)))
    progress = Progress()
    with opened(database, cluster) as model:
        read_all(model, cluster)
        progress.note_set_aside(*model.set_aside)
        assert REGISTRY.get_sample_value("hookline_projection_set_aside") == 25
        assert len(progress.troubles) == 21
        assert progress.troubles[0] == "pushes[0]@0 is set aside: n is a number that is too large"
        assert progress.troubles[-1] == "and 5 more records"
    standby = ReadModel(database)
    standby.look_at_set_aside()
    assert standby.set_aside[0] == 25
    with database.write() as connection:
        set_aside.drop(connection)
    standby.look_at_set_aside()
    assert standby.set_aside == (0, ()), "a table of an earlier version, while its console still writes it"


def test_names_are_found_by_what_is_kept_of_them(database: Database) -> None:
    """And a query that no name can be is no error of the database's."""
    cluster = MemoryCluster(PARTITIONS)
    history = History(cluster, PARTITIONS)
    for number, name in enumerate(("acme/a\0b", LONG)):
        history.push(push(number, (plan(),), repository=name))
    with opened(database, cluster) as model:
        read_all(model, cluster)
    queries = Queries(database)
    for name in ("acme/a\0b", LONG):
        assert queries.pushes(1, 10, repository=name).total == 1
        assert queries.chains(1, 10, repository=name).total == 1
    for nothing in ("\0", "\ud800", "acme/a\ud800b2"):
        assert queries.chains(1, 10, pipeline_id=nothing, repository=nothing).total == 0
        assert queries.pushes(1, 10, repository=nothing).total == 0
        assert queries.open_chains(nothing) == []
        assert queries.latest([nothing]) == {}
        assert queries.chain(nothing) is None


@pytest.mark.postgres
@pytest.mark.parametrize(
    "path",
    [
        "/api/pushes?repository=%00",
        "/api/pushes?repository=a/b%00c",
        "/api/pipelines/%00",
        "/api/pipelines/%00/history",
        "/api/chains/%00",
        "/v2/repositories/a%00/b/webhook_pipeline/",
    ],
)
async def test_a_nul_in_a_request_is_no_error_of_the_database(postgres_url: str, tmp_path: Path, path: str) -> None:
    database = open_database(Settings(database_url=postgres_url))
    with database.write() as connection:
        METADATA.drop_all(connection)
    database.close()
    async with running(tmp_path, settings={"database_url": postgres_url}) as console:
        status, _ = await console.call("GET", path)
        assert status < 500
        page = path.replace("/api/", "/")
        async with console.http.get(console.base + page, headers={"Authorization": f"JWT {console.token}"}) as answer:
            assert answer.status < 500
